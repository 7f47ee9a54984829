#include "base/training/task.h"

#include "base/core/error.h"

namespace ddpm_eval::training {

at::Tensor TrainTask::part_of_loss(int64_t step, Rows rows, StepLog& log) {
  DDPM_CHECK(rows.begin == 0 && rows.end == batch_size(), "rows {} to {} of a batch that cannot be split",
             rows.begin, rows.end);
  return loss(step, log);
}

}  // namespace ddpm_eval::training
