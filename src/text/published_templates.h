// The files of src/text/templates, built into the program by cmake/embed_texts.cmake.
#pragma once

#include <span>

#include "text/chat_template.h"

namespace slm::text {

std::span<const PublishedTemplate> PublishedTemplates();

}  // namespace slm::text
