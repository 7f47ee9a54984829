#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ddpm_eval::training {

/// When a loss that is still finite counts as diverged.
struct LossLimit {
  double factor = 0;    ///< above so many times the running median. 0: never
  int64_t steps = 100;  ///< for so many steps in a row
};

/// Follows the losses of a run. The running median is over the last 100 losses that were not above the limit,
/// so that a run which leaves its course does not move the limit with it; before there are 100 nothing is
/// judged. Part of the checkpoint.
class LossWatch {
 public:
  static constexpr size_t kHistory = 100;

  /// Takes the finite loss of the next step. True if this step and limit.steps - 1 before it were above the
  /// limit.
  bool diverges(double loss, const LossLimit& limit);

  /// Steps in a row that were above the limit, the last one included.
  int64_t steps_above() const { return steps_above_; }
  /// 0 before there are enough losses.
  double median() const;

  bool empty() const { return history_.empty(); }

  /// {"losses": [oldest, ...], "steps_above": n}, exact.
  std::string to_json() const;
  /// Throws DataError naming `origin`.
  static LossWatch from_json(std::string_view json, const std::string& origin);

 private:
  std::vector<double> history_;  ///< oldest first
  int64_t steps_above_ = 0;
};

}  // namespace ddpm_eval::training
