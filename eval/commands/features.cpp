#include "base/core/config.h"
#include "base/training/checkpoint.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/feature_nets.h"
#include "eval/feature_training.h"
#include "eval/output.h"
#include "eval/run_files.h"
#include "eval/setting.h"

#include <filesystem>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

struct FeaturesTrainOptions {
  std::filesystem::path out;
  std::vector<Setting> settings;
  bool resume = false;
  std::string json;
};

/// What the command line says, over the configuration of a training that is gone on with.
core::ConfigTree config_of(const FeaturesTrainOptions& options, bool goes_on) {
  auto tree = goes_on ? stored_feature_config(options.out) : core::ConfigTree();
  lay_over(tree, options.settings);
  return tree;
}

FeatureTraining read_settings(core::ConfigTree& tree, bool goes_on) {
  FeatureTraining settings;
  core::read_config(tree, settings);
  if (!goes_on) {  // the loop's defaults depend on how long it is
    settings.loop = metrics::small_net_loop(settings.loop.steps);
    core::read_config(tree, settings);
  }
  return settings;
}

void run_train(const FeaturesTrainOptions& options, const Session& session) {
  if (session.device != "cpu") {
    throw core::UsageError("--device {}: features are trained on the CPU", session.device);
  }
  auto outputs = files_of_run("--out", feature_run_folder(options.out));
  outputs.insert(outputs.begin(), {{"--out", options.out}, {"--json", options.json}});
  require_distinct(outputs);
  require_json_target(options.json);
  const auto start = options.resume ? Start::kResume : Start::kFresh;
  const bool goes_on = options.resume && training::has_checkpoint(feature_run_folder(options.out));
  auto tree = config_of(options, goes_on);
  const auto settings = read_settings(tree, goes_on);
  const auto record =
      core::named_as_given(tree, [&] { return train_features(settings, options.out, start, session); });
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
      {{"name", "inception"},
       {"card",
        "the FID Inception of 2015, from `weights fetch`; lower layers are inception:64, inception:192, "
        "inception:768 and inception:spatial"}});
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
  command->add_option("--out", options->out, "The .safetensors file to write; its stem is the network's name")
      ->required();
  const auto text = [](const auto& value) { return fmt::format("{}", value); };
  add_key_flags(
      *command,
      {{"--data", "data.train", "A labelled set of square images", defaults.data.train, /*text=*/true},
       {"--test", "data.test", "Where its accuracy is measured", defaults.data.test, /*text=*/true},
       {"--steps", "loop.steps", "Optimiser steps", text(defaults.loop.steps)},
       {"--batch-size", "classifier.batch_size", "Images a step", text(defaults.classifier.batch_size)},
       {"--learning-rate", "loop.learning_rate", "Adam's, before its decay",
        text(defaults.loop.learning_rate)},
       {"--max-shift", "classifier.max_shift", "Move images by up to so many pixels",
        text(defaults.classifier.max_shift)},
       {"--width", "net.width", "Channels, a multiple of 8; features: four times as many",
        text(defaults.net.width)},
       {"--seed", "classifier.seed", "Of weights, order and augmentation", text(defaults.classifier.seed)}},
      options->settings);
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
