#include "base/core/error.h"
#include "base/data/safetensors.h"
#include "base/data/source_spec.h"
#include "base/tensor/runtime.h"
#include "base/training/loop.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/feature_nets.h"
#include "eval/output.h"
#include "metrics/small_net.h"

#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

struct FeaturesTrainOptions {
  std::string data = "fashion-mnist:train";
  std::string test = "fashion-mnist:test";
  std::filesystem::path out;
  int64_t steps = metrics::small_net_loop().steps;
  double learning_rate = metrics::small_net_loop().learning_rate;
  int64_t width = metrics::SmallNetOptions{}.width;
  metrics::SmallNetTraining training;
  std::string json;
};

/// Both sets must show the same kind of images; the network takes its shape from the first.
metrics::SmallNetOptions net_options(const data::ImageDataset& train, const data::ImageDataset& test,
                                     int64_t width) {
  for (const auto* set : {&train, &test}) {
    if (!set->labels.defined()) {
      throw core::DataError("{} has no labels, and a classifier needs them", set->name);
    }
  }
  const auto& images = train.images_u8;
  if (images.size(2) != images.size(3) || images.sizes().slice(1) != test.images_u8.sizes().slice(1)) {
    throw core::DataError("{} and {} must hold square images of one size and kind", train.name, test.name);
  }
  return {images.size(1), images.size(2), train.classes, width};
}

/// The command with every value that shaped the network, as the card keeps it.
std::string full_command(const FeaturesTrainOptions& options) {
  return fmt::format(
      "ddpm-eval features train --data {} --test {} --out {} --steps {} --batch-size {} --learning-rate {} "
      "--max-shift {} "
      "--width {} --seed {}",
      options.data, options.test, options.out.filename().string(), options.steps, options.training.batch_size,
      options.learning_rate, options.training.max_shift, options.width, options.training.seed);
}

void run_train(const FeaturesTrainOptions& options, const Session& session) {
  auto loop = metrics::small_net_loop(options.steps);
  loop.learning_rate = options.learning_rate;
  loop.validate("features");
  auto train = data::load_image_dataset(data::parse_source(options.data));
  const auto test = data::load_image_dataset(data::parse_source(options.test));
  const auto shape = net_options(train, test, options.width);
  metrics::SmallNetCard card{options.out.stem().string(),
                             train.name,
                             full_command(options),
                             options.training.seed,
                             options.steps,
                             0.0,
                             test.name};
  metrics::SmallNetTask task(shape, options.training, std::move(train));
  auto state = training::new_state(task, loop);
  const auto progress = console_progress("training " + card.name, "steps", session.quiet);
  training::LoopHooks hooks;
  hooks.on_step = [&](const training::TrainState& now, double) { progress(now.step, loop.steps); };
  const auto report = training::run_loop(task, loop, {}, state, hooks);

  auto file = metrics::small_net_file(shape, card, task.folded());
  const auto net = metrics::make_small_net(file, card.name, "");
  card.test_accuracy = metrics::accuracy(*net, test.images_u8, test.labels);
  file = metrics::small_net_file(shape, card, task.folded());
  data::write_safetensors(options.out, file.tensors, file.metadata);

  auto record = core::new_record("features");
  record["name"] = card.name;
  record["file"] = options.out.string();
  record["data"] = card.data;
  record["test_data"] = card.test_data;
  record["test_accuracy"] = card.test_accuracy;
  record["dim"] = net->info().dim;
  record["steps"] = card.steps;
  record["seed"] = card.seed;
  record["seconds"] = report.seconds;
  record["images_per_second"] = report.images_per_second;
  record["runtime"] = tensor::runtime_context();
  if (!write_json(options.json, record)) {
    fmt::print("{}: {:.2f} % on {}, {} features, {:.0f} s\n", options.out.string(), 100 * card.test_accuracy,
               card.test_data, net->info().dim, report.seconds);
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
      fmt::print("{:<22} {}\n", entry["name"].get<std::string>(), entry["card"].get<std::string>());
    }
  }
}

void add_train(CLI::App& features, Session& session) {
  auto* command =
      features.add_subcommand("train", "Train a small Inception-style classifier as a feature network");
  auto options = std::make_shared<FeaturesTrainOptions>();
  command->add_option("--data", options->data, "A labelled set of square images")->capture_default_str();
  command->add_option("--test", options->test, "Where its accuracy is measured")->capture_default_str();
  command->add_option("--out", options->out, "The .safetensors file to write; its stem is the network's name")
      ->required();
  command->add_option("--steps", options->steps, "Optimiser steps")->capture_default_str();
  command->add_option("--batch-size", options->training.batch_size, "Images a step")->capture_default_str();
  command->add_option("--learning-rate", options->learning_rate, "Adam's, before its decay")
      ->capture_default_str();
  command->add_option("--max-shift", options->training.max_shift, "Move images by up to so many pixels")
      ->capture_default_str();
  command->add_option("--width", options->width, "Channels, a multiple of 8; features: four times as many")
      ->capture_default_str();
  command->add_option("--seed", options->training.seed, "Of weights, order and augmentation")
      ->capture_default_str();
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
