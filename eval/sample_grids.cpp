#include "eval/sample_grids.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/tensor/noise.h"
#include "eval/sampling.h"

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace fs = std::filesystem;

SampleGrids::SampleGrids(const ddpm::RunConfig& config, const ddpm::Model& model, fs::path folder)
    : config_(config), preview_(ddpm::make_model(config, model.row_shape)), folder_(std::move(folder)) {}

bool SampleGrids::owes(const training::TrainState& state) const {
  return state.step > 0 && state.step % config_.train.grid_every == 0 && !fs::exists(target(state.step));
}

fs::path SampleGrids::write(const training::TrainState& state) {
  const bool last = config_.sample.weights == ddpm::SampleWeights::kLast;
  tensor::copy_exactly(last ? state.parameters : state.ema.parameters(), preview_.network->parameters(),
                       "the weights of the grid");
  const auto stop_if_asked = [](int64_t, int64_t) {
    if (core::interrupt_requested()) {
      throw core::InterruptedError("interrupted while drawing a sample grid; go on with --resume");
    }
  };
  const auto images = ddpm::sample_data(preview_, config_.sample,
                                        tensor::index_range(0, config_.train.grid_samples), stop_if_asked);
  core::make_folders(target(state.step).parent_path());
  write_grid(target(state.step), images);
  return target(state.step);
}

fs::path SampleGrids::target(int64_t step) const {
  return folder_ / "grids" / fmt::format("step-{:07}.png", step);
}

}  // namespace ddpm_eval::eval
