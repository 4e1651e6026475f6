// The numbers of a model into the metadata of a file.
#pragma once

#include "model/hparams.h"

namespace slm::format {
class GgufHeader;
}

namespace slm::model {

// What ReadHparams reads, but for how positions are scaled.
void WriteHparams(const Hparams& hparams, const Family& family, format::GgufHeader* out);

}  // namespace slm::model
