#include "eval/token_work.h"

namespace slm::eval {

TokenWork WorkOf(const engine::Model& model, bool will_be_packed) {
  TokenWork work;
  const auto add = [&](const ops::Matrix& m, double* macs) {
    *macs += static_cast<double>(m.rows()) * static_cast<double>(m.k());
    work.bytes +=
        static_cast<double>(will_be_packed && m.wants_panels() ? m.packed_bytes() : m.bytes());
  };
  for (const model::LayerWeights& w : model.weights().layers)
    for (const ops::Matrix* m : {&w.q, &w.k, &w.v, &w.output, &w.gate, &w.up, &w.down})
      add(*m, &work.macs_of[m->type()]);
  for (const auto& [type, macs] : work.macs_of) work.macs += macs;
  add(model.weights().output, &work.output_macs);
  return work;
}

}  // namespace slm::eval
