#include "base/core/error.h"
#include "base/training/checkpoint.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/feature_nets.h"
#include "eval/feature_training.h"
#include "eval/output.h"

#include <filesystem>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

/// What the command line says; what it leaves out comes from the checkpoint of a resumed training, else from
/// the defaults.
struct FeaturesTrainOptions {
  std::filesystem::path out;
  std::optional<std::string> data;
  std::optional<std::string> test;
  std::optional<int64_t> steps;
  std::optional<int64_t> batch_size;
  std::optional<double> learning_rate;
  std::optional<int64_t> max_shift;
  std::optional<int64_t> width;
  std::optional<int64_t> seed;
  bool resume = false;
  std::string json;
};

FeatureTraining settings_of(const FeaturesTrainOptions& options) {
  if (options.seed.value_or(0) < 0) {
    throw core::UsageError("--seed {}: must be at least 0", *options.seed);
  }
  FeatureTraining settings;
  if (options.resume && training::has_checkpoint(feature_run_folder(options.out))) {
    settings = stored_feature_training(options.out);
  } else if (options.steps) {
    settings.loop = metrics::small_net_loop(*options.steps);
  }
  const auto take = [](const auto& option, auto& setting) { setting = option.value_or(setting); };
  take(options.data, settings.data.train);
  take(options.test, settings.data.test);
  take(options.steps, settings.loop.steps);
  take(options.batch_size, settings.classifier.batch_size);
  take(options.learning_rate, settings.loop.learning_rate);
  take(options.max_shift, settings.classifier.max_shift);
  take(options.width, settings.net.width);
  take(options.seed, settings.classifier.seed);
  return settings;
}

void run_train(const FeaturesTrainOptions& options, const Session& session) {
  std::vector<FlagFile> outputs = {{"--out", options.out}, {"--json", options.json}};
  for (const char* name : {training::kCheckpointFile, "checkpoint.json", "log.jsonl", "run.json"}) {
    outputs.push_back({"--out", feature_run_folder(options.out) / name});
  }
  require_distinct(outputs);
  require_json_target(options.json);
  const auto start = options.resume ? Start::kResume : Start::kFresh;
  const auto record = train_features(settings_of(options), options.out, start, session);
  if (!write_json(options.json, record)) {
    print_line("{}: {:.2f} % on {}, {} features, {:.0f} s", options.out.string(),
               100 * record["test_accuracy"].get<double>(), record["test_data"]["source"].get<std::string>(),
               record["dim"].get<int64_t>(), record["seconds"].get<double>());
  }
}

void run_list(const std::string& json) {
  auto record = core::new_record("features-list");
  record["features"] = core::Json::array();
  record["features"].push_back(
      {{"name", "inception"}, {"card", "the FID Inception of 2015, from `weights fetch`"}});
  for (const auto& net : built_in_nets()) {
    record["features"].push_back({{"name", net.name}, {"card", net.card}});
  }
  if (!write_json(json, record)) {
    for (const auto& entry : record["features"]) {
      print_line("{:<22} {}", entry["name"].get<std::string>(), entry["card"].get<std::string>());
    }
  }
}

void add_train(CLI::App& features, Session& session) {
  auto* command =
      features.add_subcommand("train", "Train a small Inception-style classifier as a feature network");
  auto options = std::make_shared<FeaturesTrainOptions>();
  const FeatureTraining defaults;
  const auto add = [&](const char* name, auto& option, const auto& standard, const char* help) {
    command->add_option(name, option, help)->default_str(fmt::format("{}", standard));
  };
  command->add_option("--out", options->out, "The .safetensors file to write; its stem is the network's name")
      ->required();
  add("--data", options->data, defaults.data.train, "A labelled set of square images");
  add("--test", options->test, defaults.data.test, "Where its accuracy is measured");
  add("--steps", options->steps, defaults.loop.steps, "Optimiser steps");
  add("--batch-size", options->batch_size, defaults.classifier.batch_size, "Images a step");
  add("--learning-rate", options->learning_rate, defaults.loop.learning_rate, "Adam's, before its decay");
  add("--max-shift", options->max_shift, defaults.classifier.max_shift,
      "Move images by up to so many pixels");
  add("--width", options->width, defaults.net.width,
      "Channels, a multiple of 8; features: four times as many");
  add("--seed", options->seed, defaults.classifier.seed, "Of weights, order and augmentation");
  command->add_flag("--resume", options->resume, "Go on from the checkpoint beside --out, bit for bit");
  add_json_option(*command, options->json);
  command->callback(
      [options, &session] { session.action = [options, &session] { run_train(*options, session); }; });
}

void add_list(CLI::App& features, Session& session) {
  auto* command = features.add_subcommand("list", "The feature networks that --features knows");
  auto json = std::make_shared<std::string>();
  add_json_option(*command, *json);
  command->callback([json, &session] { session.action = [json] { run_list(*json); }; });
}

}  // namespace

void add_features_command(CLI::App& program, Session& session) {
  auto* features = program.add_subcommand("features", "Train or list small feature networks");
  features->require_subcommand(1);
  add_train(*features, session);
  add_list(*features, session);
}

}  // namespace ddpm_eval::eval
