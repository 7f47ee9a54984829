#pragma once

#include "base/training/checkpoint.h"
#include "ddpm/model_factory.h"

#include <cstdint>
#include <filesystem>

namespace ddpm_eval::eval {

/// Grids of samples of a model under training, from the weights that [sample] names and always from the same
/// x_T, so that they show progress alone.
class SampleGrids {
 public:
  SampleGrids(const ddpm::RunConfig& config, const ddpm::Model& model, std::filesystem::path folder);

  /// Whether this state's grid is due and not there: an interrupt while drawing leaves it to the resumed run.
  bool owes(const training::TrainState& state) const;

  /// Returns the picture's file. Throws InterruptedError.
  std::filesystem::path write(const training::TrainState& state);

 private:
  std::filesystem::path target(int64_t step) const;

  ddpm::RunConfig config_;
  ddpm::Model preview_;
  std::filesystem::path folder_;
};

}  // namespace ddpm_eval::eval
