// Builds the syntax tree.
#pragma once

#include <string>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_lexer.h"

namespace slm::text::jinja {

// Throws SyntaxFailure. Nesting is limited, so that whatever walks the tree can recurse.
Body ParseTemplate(const std::vector<Token>& tokens);

}  // namespace slm::text::jinja
