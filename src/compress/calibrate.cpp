#include "compress/calibrate.h"

#include <algorithm>

#include "base/progress.h"

namespace slm::compress {

void Calibrate(const text::TextChunks& chunks, bool with_output, engine::Executor* executor,
               engine::Session* session, engine::InputObserver* observer, Progress* progress) {
  if (progress)
    progress->Start("calibrating", ProgressUnit::kCount, 0, static_cast<uint64_t>(chunks.count()));
  executor->set_observer(observer);
  const struct Guard {
    engine::Executor* executor;
    ~Guard() { executor->set_observer(nullptr); }
  } guard = {executor};
  for (int64_t chunk = 0; chunk < chunks.count(); ++chunk) {
    const std::vector<int32_t> input = chunks.Input(chunk);
    session->KeepPrefix({}, 0);
    for (int64_t at = 0; at < chunks.size(); at += engine::Executor::kMaxRows) {
      const int64_t rows = std::min(engine::Executor::kMaxRows, chunks.size() - at);
      const std::span<const int32_t> ids(input.data() + at, static_cast<size_t>(rows));
      const engine::BatchItem item = {session, ids, with_output ? rows : 0};
      executor->Forward({&item, 1}, {});
    }
    if (progress) progress->Update(static_cast<uint64_t>(chunk + 1));
  }
  if (progress) progress->Finish();
}

}  // namespace slm::compress
