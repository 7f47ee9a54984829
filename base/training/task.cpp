#include "base/training/task.h"

#include "base/core/error.h"

namespace ddpm_eval::training {

at::Tensor TrainTask::part_of_loss(int64_t /*step*/, Rows rows) {
  DDPM_CHECK(false, "rows {} to {} of a batch that cannot be split", rows.begin, rows.end);
}

void TrainTask::end_of_parts(int64_t /*step*/, Rows own, StepLog& /*log*/) {
  DDPM_CHECK(false, "rows {} to {} of a batch that cannot be split", own.begin, own.end);
}

}  // namespace ddpm_eval::training
