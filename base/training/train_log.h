#pragma once

#include "base/training/task.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace ddpm_eval::training {

/// One line of `log.jsonl`. Every number but the last three is a function of seed and configuration; those
/// three, last in the line, are timings.
struct LogLine {
  int64_t step = 0;          ///< optimiser steps done when the line was written
  double loss = 0;           ///< mean over the steps since the line before, as all that follow but the rate
  StepLog entries;           ///< the task's own; each a mean over the steps that had it
  double grad_norm = 0;      ///< before clipping
  double clipped_share = 0;  ///< share of the steps whose gradient was clipped, 0 to 1
  double learning_rate = 0;  ///< of the last step
  double images_per_second = 0;
  double seconds = 0;       ///< of the whole run, resumed parts added up
  double seconds_left = 0;  ///< at the speed of this process so far, or up to its time limit
};

/// How and where a run diverged.
struct Divergence {
  int64_t step = 0;        ///< 1-based; the step that ended the run; only for "weights" it did change them
  int64_t first_step = 0;  ///< where it began: before `step` only if a finite loss stayed above its limit
  std::string reason;      ///< "loss", "gradient", "weights" (not finite) or "limit" (LossWatch)
  double loss = 0;         ///< of `step`
  double grad_norm = 0;    ///< of `step`, before clipping; NaN where the loss is not finite
  double learning_rate = 0;
  std::optional<double> loss_before;  ///< of the step before, if this process did one
  std::optional<int64_t> checkpoint;  ///< step of the last good state on the disk
};

/// The file's name in the run's folder.
inline constexpr const char* kLogFile = "log.jsonl";
inline constexpr const char* kDivergenceFile = "divergence.json";

/// Writes `divergence` as a record of kind "divergence" to `folder`. Throws ResourceError.
void write_divergence(const std::filesystem::path& folder, const Divergence& divergence);

/// Means over the steps since the last log line. Part of the checkpoint, so that a resumed run writes the
/// same next line.
class LogWindow {
 public:
  /// Values must be finite.
  void add(const std::string& name, double value);
  /// 0 if nothing was added.
  double mean(const std::string& name) const;
  /// Means of all names that are not among the loop's own ("loss", "grad_norm", "clipped").
  StepLog task_means() const;
  void clear() { sums_.clear(); }

  /// {"loss": [sum, count], ...}, exact.
  std::string to_json() const;
  /// Throws DataError naming `origin`.
  static LogWindow from_json(std::string_view json, const std::string& origin);

 private:
  struct Sum {
    double total = 0;
    int64_t count = 0;
  };
  std::map<std::string, Sum> sums_;
};

/// The log file of a run: one JSON object a line.
class TrainLog {
 public:
  /// Keeps the lines up to and including `step` of what is in the file, and drops the rest: lines that a
  /// killed run wrote after its last checkpoint, or half a line. Throws ResourceError.
  TrainLog(std::filesystem::path path, int64_t step);

  /// `seconds` of the last line kept; 0 if there is none.
  double seconds_before() const { return seconds_before_; }

  /// Throws ResourceError, on a full disk among others.
  void append(const LogLine& line);

  /// {"step": n, "event": "diverged", "reason": ..., ...}; non-finite numbers are written as words.
  void append(const Divergence& divergence);

 private:
  std::filesystem::path path_;
  double seconds_before_ = 0;
};

}  // namespace ddpm_eval::training
