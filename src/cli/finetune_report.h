// What can be read of a training afterwards, report.html: its facts, and answers before and after.
#pragma once

#include "cli/sample_answers.h"
#include "cli/training_data.h"
#include "cli/training_subject.h"

namespace slm::cli {

train::Facts FactsOf(const FinetuneFlags& flags, const TrainingSubject& subject,
                     const TrainingData& data, const train::TrainingRun& run);

// To --report.
void WriteFinetuneReport(const FinetuneFlags& flags, train::Facts facts, const TrainingData& data,
                         const Speaker& before, const Speaker& after);

}  // namespace slm::cli
