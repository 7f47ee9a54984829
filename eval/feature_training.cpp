#include "eval/feature_training.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/safetensors.h"
#include "base/data/source_spec.h"
#include "base/tensor/runtime.h"
#include "base/training/loop.h"
#include "eval/console.h"
#include "eval/feature_nets.h"
#include "eval/run_files.h"
#include "eval/training_data.h"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

/// Unlike what require_ending() is for, a device will not do either: the training has a folder beside `out`.
void check_target(const fs::path& out) {
  if (out.extension() != ".safetensors") {
    throw core::UsageError(
        "--out {}: the name must end in .safetensors, by which --features knows such a file", out.string());
  }
  if (const auto name = out.stem().string(); is_reserved_net_name(name)) {
    throw core::UsageError("--out {}: '{}' is a network that the program has already; choose another name",
                           out.string(), name);
  }
}

/// What can be wrong without looking at the data.
void check_settings(const FeatureTraining& settings) {
  settings.loop.validate("loop");
  settings.classifier.validate();
  settings.net.validate();
}

data::ImageDataset load_labelled(const char* key, const std::string& source) {
  return core::about_key({key}, [&] {
    auto set = load_all_images({key}, data::parse_source(source));
    if (!set.labels.defined()) {
      throw core::DataError("{} has no labels, and a classifier needs them", set.name);
    }
    return set;
  });
}

/// Both sets must show the same kind of images; the network takes its shape from the first.
metrics::SmallNetOptions net_options(const data::ImageDataset& train, const data::ImageDataset& test,
                                     int64_t width) {
  const auto& images = train.images_u8;
  if (images.size(2) != images.size(3) || images.sizes().slice(1) != test.images_u8.sizes().slice(1)) {
    throw core::DataError("{} and {} must hold square images of one size and kind", train.name, test.name);
  }
  return {images.size(1), images.size(2), train.classes, width};
}

/// The command with every value that shaped the network, as the card keeps it.
std::string full_command(const FeatureTraining& settings, const fs::path& out) {
  return fmt::format(
      "ddpm-eval features train --data {} --test {} --out {} --steps {} --batch-size {} --learning-rate {} "
      "--max-shift {} --width {} --seed {}",
      settings.data.train, settings.data.test, out.filename().string(), settings.loop.steps,
      settings.classifier.batch_size, settings.loop.learning_rate, settings.classifier.max_shift,
      settings.net.width, settings.classifier.seed);
}

/// Keys that may differ when a training is resumed: those that do not change the steps already done.
std::vector<std::string> resumable_keys(const FeatureTraining& settings) {
  auto keys = settings.loop.resumable_keys("loop");
  keys.emplace_back("data.test");
  return keys;
}

/// As of a run: asked before the data is read, and again once the folder is locked.
bool has_training(const fs::path& folder, const fs::path& out, Start start) {
  const bool saved = training::has_checkpoint(folder);
  if (saved && start == Start::kFresh) {
    throw core::UsageError(
        "{}: holds the training of {} already; --resume goes on with it, or choose another "
        "--out",
        folder.string(), out.filename().string());
  }
  return saved;
}

core::Json side_json(const std::string& name, int64_t count) { return {{"source", name}, {"count", count}}; }

/// The record of a training that was complete before: it stays, unless it is damaged or of another step or
/// test set.
std::optional<core::Json> finished_features(const fs::path& path, const training::TrainState& state,
                                            const core::Json& test_data) {
  if (!fs::exists(path)) {
    return std::nullopt;
  }
  auto record = core::read_record(path);
  const bool sound = core::has_number(record, "test_accuracy") && core::has_integer(record, "dim") &&
                     core::has_number(record, "seconds") && core::has_integer(record, "step") &&
                     record["step"] == state.step && record.contains("test_data") &&
                     record["test_data"] == test_data;
  return sound ? std::optional(std::move(record)) : std::nullopt;
}

}  // namespace

void FeatureTraining::Data::fields(core::ConfigVisitor& v) {
  v.value("train", train);
  v.value("test", test);
}

void FeatureTraining::fields(core::ConfigVisitor& v) {
  v.section("data", data);
  v.section("net", net);
  v.section("classifier", classifier);
  v.section("loop", loop);
}

fs::path feature_run_folder(const fs::path& out) { return fs::path(out).replace_extension(".run"); }

core::ConfigTree stored_feature_config(const fs::path& out) {
  const auto folder = feature_run_folder(out);
  return core::ConfigTree::from_json(training::read_header(folder).config_json, folder.string());
}

core::Json train_features(FeatureTraining settings, const fs::path& out, Start start,
                          const Session& session) {
  check_target(out);
  check_settings(settings);
  const auto folder = feature_run_folder(out);
  has_training(folder, out, start);
  core::make_folders(out.parent_path());
  core::require_writable(out);
  auto train = load_labelled("data.train", settings.data.train);
  const auto test = load_labelled("data.test", settings.data.test);
  settings.net = net_options(train, test, settings.net.width);
  require_memory({"classifier.batch_size"}, settings.classifier.batch_size,
                 sizeof(float) * static_cast<double>(train.images_u8[0].numel()));
  metrics::SmallNetCard card{out.stem().string(),
                             train.name,
                             full_command(settings, out),
                             settings.classifier.seed,
                             settings.loop.steps,
                             0.0,
                             test.name};
  const int64_t train_count = train.images_u8.size(0);
  metrics::SmallNetTask task(settings.net, settings.classifier, std::move(train));
  core::make_folders(folder);
  const core::FolderLock lock(folder);
  const bool saved = has_training(folder, out, start);
  auto state = training::new_state(task, settings.loop);
  const auto config_json = core::config_to_json(settings);
  if (saved) {
    training::load_checkpoint(folder, config_json,
                              {resumable_keys(settings), core::config_to_json(FeatureTraining())}, state);
    print_note(fmt::format("resumed at step {} of {}", state.step, settings.loop.steps));
  } else if (start == Start::kResume) {
    print_note(fmt::format("{}: no checkpoint yet, starting at step 0", folder.string()));
  }
  const auto progress = console_progress("training " + card.name, "steps", session.quiet);
  training::LoopHooks hooks;
  hooks.on_step = [&](const training::TrainState& now, double) { progress(now.step, settings.loop.steps); };
  const auto report = training::run_loop(task, settings.loop, {folder, config_json}, state, hooks);
  const auto test_data = side_json(test.name, test.images_u8.size(0));
  if (report.steps_done == 0 && fs::exists(out)) {
    if (auto finished = finished_features(folder / kRunRecordFile, state, test_data)) {
      return std::move(*finished);
    }
  }

  const auto net =
      metrics::make_small_net(metrics::small_net_file(settings.net, card, task.folded()), card.name, "");
  card.test_accuracy = metrics::accuracy(*net, test.images_u8, test.labels);
  const auto file = metrics::small_net_file(settings.net, card, task.folded());
  data::write_safetensors(out, file.tensors, file.metadata);

  auto record = core::new_record("features");
  record["name"] = card.name;
  record["file"] = out.string();
  record["sha256"] = core::sha256_of_file(out);
  record["config"] = core::Json::parse(config_json);
  record["data"] = side_json(card.data, train_count);
  record["test_data"] = test_data;
  record["test_accuracy"] = card.test_accuracy;
  record["dim"] = net->info().dim;
  record["step"] = state.step;
  record["epochs"] = static_cast<double>(state.step * task.batch_size()) / static_cast<double>(train_count);
  record["seconds"] = report.total_seconds;
  if (report.steps_done > 0) {  // else an earlier process did the last step
    record["images_per_second"] = report.images_per_second;
  }
  record["runtime"] = tensor::runtime_context();
  core::write_record(folder / kRunRecordFile, record);
  return record;
}

}  // namespace ddpm_eval::eval
