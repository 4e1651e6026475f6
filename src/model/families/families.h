// The records of all families; families.cpp lists them.
#pragma once

#include "model/family.h"

namespace slm::model {

extern const Family kGemma2;
extern const Family kGemma3;
extern const Family kLlama;
extern const Family kMistral3;
extern const Family kPhi3;
extern const Family kQwen2;
extern const Family kQwen3;

}  // namespace slm::model
