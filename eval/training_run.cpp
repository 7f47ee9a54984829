#include "eval/training_run.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/tensor/process_group.h"
#include "base/tensor/runtime.h"
#include "base/training/config_difference.h"
#include "base/training/loop.h"
#include "ddpm/model_factory.h"
#include "eval/console.h"
#include "eval/health.h"
#include "eval/in_loop_score.h"
#include "eval/output.h"
#include "eval/run_files.h"
#include "eval/sample_grids.h"
#include "eval/tensorboard.h"
#include "eval/training_data.h"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

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

/// Processes that train together have one configuration.
void require_same_config(const std::string& mine) {
  const auto of_first = tensor::process_group().from_first(mine);
  const auto difference =
      training::config_difference(core::Json::parse(of_first), core::Json::parse(mine), {});
  tensor::process_group().fail_together(difference.has_value(), [&] {
    throw core::UsageError("{} is {} here and {} on the first process", difference->key, difference->now,
                           difference->stored);
  });
}

/// Where the first process begins, which alone has the folder, and alone keeps averages.
void take_from_first(training::TrainState& state) {
  auto& group = tensor::process_group();
  state.step = group.number_from_first(state.step);
  state.watch = training::LossWatch::from_json(group.from_first(state.watch.to_json()), "the first process");
  for (const auto& tensors : {state.parameters, state.buffers, state.adam.state()}) {
    for (const auto& [name, tensor] : tensors) {
      auto values = tensor.detach();
      group.copy_from_first(values);
    }
  }
}

}  // namespace

core::Json train_run(const ddpm::RunConfig& config, const fs::path& folder, Start start,
                     const Session& session, ImageSets* sets) {
  if (writes_output()) {
    has_run(folder, start);
  }
  if (config.sample.weights == ddpm::SampleWeights::kBest && config.score.every == 0) {
    throw core::UsageError(core::Key{"sample.weights"},
                           "'best' is the weights that scored best, and score.every = 0 scores none");
  }
  const auto config_json = core::config_to_json(config);
  require_same_config(config_json);
  const auto data = load_training_data(config, sets);
  auto row_shape = data.data.sizes().vec();
  row_shape.erase(row_shape.begin());
  require_memory({"train.batch_size"}, config.train.batch_size,
                 sizeof(float) * static_cast<double>(data.data[0].numel()));
  auto model = ddpm::make_model(config, row_shape);
  const auto task = ddpm::make_task(config, model, data.data);
  const auto spread = spread_of(model, data.data);
  if (const auto warning = ddpm::prior_mismatch(model.process, spread.std); !warning.empty()) {
    print_warning(warning);
  }

  const bool writes = writes_output();
  std::optional<core::FolderLock> lock;
  bool saved = false;
  if (writes) {
    core::make_folders(folder);
    lock.emplace(folder);
    saved = has_run(folder, start);
  }
  auto state = training::new_state(*task, config.train.loop);
  if (saved) {
    training::load_checkpoint(folder, config_json, config.same_run(), state);
    print_note(fmt::format("resumed at step {} of {}", state.step, config.train.loop.steps));
  } else if (start == Start::kResume) {
    print_note(fmt::format("{}: no checkpoint yet, starting at step 0", folder.string()));
  }
  take_from_first(state);
  if (!writes) {
    training::run_loop(*task, config.train.loop, {{}, config_json}, state);
    return shared_record({});
  }

  const auto display = console_display("training " + data.name, "steps", session.quiet);
  const TensorBoard tensorboard(config.train.tensorboard, state.step, folder / "tensorboard");
  std::unique_ptr<SampleGrids> grids;
  if (model.makes_images() && config.train.grid_every > 0) {
    grids = std::make_unique<SampleGrids>(config, model, folder);
  }
  const auto draw = [&](const training::TrainState& now) {
    if (grids && grids->owes(now)) {
      const tensor::AloneScope alone;
      tensorboard.grid(now.step, grids->write(now));
    }
  };
  std::unique_ptr<InLoopScores> scores;
  if (config.score.every > 0) {
    const tensor::AloneScope alone;
    scores = std::make_unique<InLoopScores>(config, model, folder, state, session, display.say);
  }
  const auto score = [&](const training::TrainState& now) {
    const tensor::AloneScope alone;
    if (const auto value = scores ? scores->after_save(now) : std::nullopt) {
      tensorboard.score(now.step, scores->metric(), *value);
    }
  };
  if (saved) {  // what an interrupt or a kill has left undone
    draw(state);
    score(state);
  }
  Health health(config, ddpm::loss_of_zero(config.objective, model.process, spread.mean_square));
  EveryFewSeconds due;
  training::LoopHooks hooks;
  hooks.reference = [&](int64_t step) { return health.reference(step); };
  hooks.on_log = [&](const training::LogLine& line) {
    tensorboard.line(line);
    const auto text = health.line(line);
    if (due() || line.step == config.train.loop.steps) {
      display.say(text);
    }
  };
  hooks.on_step = [&](const training::TrainState& now, double) {
    display.update(now.step, config.train.loop.steps);
    draw(now);
  };
  hooks.save_after = [&](int64_t step) { return scores && scores->due(step); };
  hooks.on_checkpoint = score;
  const auto report = training::run_loop(*task, config.train.loop, {folder, config_json}, state, hooks);
  if (auto finished = finished_record(folder / kRunRecordFile, state, report)) {
    return shared_record(*finished);
  }
  auto record = run_record(config, data, model, state, report);
  if (scores) {
    const tensor::AloneScope alone;
    if (auto best = scores->report(); !best.is_null()) {
      record["score"] = std::move(best);
    }
  }
  core::write_record(folder / kRunRecordFile, record);
  return shared_record(record);
}

}  // namespace ddpm_eval::eval
