#pragma once

#include "base/training/event_file.h"
#include "base/training/train_log.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace ddpm_eval::eval {

/// A training in TensorBoard: event files, if they are wanted.
class TensorBoard {
 public:
  /// `step` is where this process begins; `folder` is made if `wanted`. Throws ResourceError.
  TensorBoard(bool wanted, int64_t step, const std::filesystem::path& folder);

  void line(const training::LogLine& line) const;
  void score(int64_t step, const std::string& metric, double value) const;
  void grid(int64_t step, const std::filesystem::path& png) const;

 private:
  std::unique_ptr<training::EventFile> file_;
};

}  // namespace ddpm_eval::eval
