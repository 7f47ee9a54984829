#include "eval/training_run.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/tensor/noise.h"
#include "base/tensor/runtime.h"
#include "base/training/loop.h"
#include "ddpm/model_factory.h"
#include "eval/console.h"
#include "eval/sampling.h"
#include "eval/training_data.h"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

/// A grid of samples from the weights that [sample] names, always from the same x_T, so that grids show
/// progress alone.
class GridWriter {
 public:
  GridWriter(const ddpm::RunConfig& config, const ddpm::Model& model, fs::path folder)
      : config_(config), preview_(ddpm::make_model(config, model.row_shape)), folder_(std::move(folder)) {}

  /// Whether this state's grid is due and not there: an interrupt while drawing leaves it to the resumed run.
  bool owes(const training::TrainState& state) const {
    return state.step > 0 && state.step % config_.train.grid_every == 0 && !fs::exists(target(state.step));
  }

  void write(const training::TrainState& state) {
    const bool ema = config_.sample.weights == ddpm::SampleWeights::kEma;
    tensor::copy_exactly(ema ? state.ema.parameters() : state.parameters, preview_.network->parameters(),
                         "the weights of the grid");
    const auto stop_if_asked = [](int64_t, int64_t) {
      if (core::interrupt_requested()) {
        throw core::InterruptedError("interrupted while drawing a sample grid; go on with --resume");
      }
    };
    const auto images = ddpm::sample_data(preview_, config_.sample,
                                          tensor::index_range(0, config_.train.grid_samples), stop_if_asked);
    core::make_folders(folder_ / "grids");
    write_grid(target(state.step), images);
  }

 private:
  fs::path target(int64_t step) const { return folder_ / "grids" / fmt::format("step-{:07}.png", step); }

  ddpm::RunConfig config_;
  ddpm::Model preview_;
  fs::path folder_;
};

core::Json run_record(const ddpm::RunConfig& config, const TrainingData& data, const ddpm::Model& model,
                      const training::TrainState& state, const training::LoopReport& report) {
  auto record = core::new_record("training");
  record["config"] = core::Json::parse(core::config_to_json(config));
  record["data"] = {{"source", data.name}, {"count", data.data.size(0)}};
  record["parameters"] = ddpm::count_elements(model.network->parameters());
  record["step"] = state.step;
  if (report.steps_done > 0) {  // else an earlier process did the last step
    record["loss"] = report.last_loss;
    record["images_per_second"] = report.images_per_second;
  }
  record["stopped_by_time"] = report.stopped_by_time;
  record["seconds"] = report.total_seconds;
  record["runtime"] = tensor::runtime_context();
  return record;
}

/// A fresh start must not go over a run. Asked before the data is read, and again once the folder is locked:
/// another process may have trained there meanwhile.
bool has_run(const fs::path& folder, Start start) {
  const bool saved = training::has_checkpoint(folder);
  if (saved && start == Start::kFresh) {
    throw core::UsageError("{}: holds a run already; --resume goes on with it, or choose another --out",
                           folder.string());
  }
  return saved;
}

/// Whether a record from the disk has what the command shows of it.
bool is_training_record(const core::Json& record) {
  const bool has_work = core::has_number(record, "loss") && core::has_number(record, "images_per_second");
  return core::has_integer(record, "parameters") && core::has_integer(record, "step") &&
         (has_work || !record.contains("loss"));
}

/// The record of the run if it was complete before: it stays, unless it is damaged.
std::optional<core::Json> finished_record(const fs::path& path, const training::TrainState& state,
                                          const training::LoopReport& report) {
  if (report.steps_done > 0 || !fs::exists(path)) {
    return std::nullopt;
  }
  auto record = core::read_record(path);
  const bool sound = is_training_record(record) && record["step"] == state.step;
  return sound ? std::optional(std::move(record)) : std::nullopt;
}

}  // namespace

core::Json train_run(const ddpm::RunConfig& config, const fs::path& folder, Start start,
                     const Session& session) {
  has_run(folder, start);
  const auto data = load_training_data(config);
  auto row_shape = data.data.sizes().vec();
  row_shape.erase(row_shape.begin());
  require_memory("train.batch_size", config.train.batch_size, data.data[0].numel());
  auto model = ddpm::make_model(config, row_shape);
  const auto task = ddpm::make_task(config, model, data.data);
  if (const auto warning = ddpm::prior_mismatch(model.process, x_0_std(model, data.data)); !warning.empty()) {
    print_warning(warning);
  }

  core::make_folders(folder);
  const core::FolderLock lock(folder);
  const bool saved = has_run(folder, start);
  const auto config_json = core::config_to_json(config);
  auto state = training::new_state(*task, config.train.loop);
  if (saved) {
    training::load_checkpoint(folder, config_json, config.resumable_keys(), state);
    print_note(fmt::format("resumed at step {} of {}", state.step, config.train.loop.steps));
  } else if (start == Start::kResume) {
    print_note(fmt::format("{}: no checkpoint yet, starting at step 0", folder.string()));
  }

  std::unique_ptr<GridWriter> grids;
  if (model.makes_images() && config.train.grid_every > 0) {
    grids = std::make_unique<GridWriter>(config, model, folder);
    if (grids->owes(state)) {
      grids->write(state);
    }
  }
  const auto progress = console_progress("training " + data.name, "steps", session.quiet);
  training::LoopHooks hooks;
  hooks.on_step = [&](const training::TrainState& now, double) {
    progress(now.step, config.train.loop.steps);
    if (grids && now.step % config.train.grid_every == 0) {
      grids->write(now);
    }
  };
  const auto report = training::run_loop(*task, config.train.loop, {folder, config_json}, state, hooks);
  if (auto finished = finished_record(folder / "run.json", state, report)) {
    return std::move(*finished);
  }
  auto record = run_record(config, data, model, state, report);
  core::write_record(folder / "run.json", record);
  return record;
}

}  // namespace ddpm_eval::eval
