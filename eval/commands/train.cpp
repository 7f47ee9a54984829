#include "base/core/config.h"
#include "base/core/error.h"
#include "base/tensor/process_group.h"
#include "base/training/checkpoint.h"
#include "ddpm/model_factory.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/output.h"
#include "eval/run_files.h"
#include "eval/training_run.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

struct TrainOptions {
  std::string config;
  std::filesystem::path out;
  std::vector<std::string> settings;
  bool resume = false;
  std::string json;
};

/// The configuration file, or for a resumed run the one in its checkpoint; overrides laid over it.
core::ConfigTree open_config(const TrainOptions& options) {
  if (!options.config.empty()) {
    return core::ConfigTree::from_file(options.config);
  }
  std::string stored;  // in a folder that the first process alone needs to have
  if (writes_output()) {
    if (!options.resume || !training::has_checkpoint(options.out)) {
      throw core::UsageError("--config is needed, unless --resume goes on with a run that has a checkpoint");
    }
    stored = training::load_model_weights(options.out).config_json;
  }
  return core::ConfigTree::from_json(tensor::process_group().from_first(stored), options.out.string());
}

/// The best weights on samples that they were not chosen by.
void print_best(const core::Json& score) {
  const auto& value = score["value"];
  print_line(
      "best weights: step {}, {} {} (N = {}, seed {}, against {}); {:.5g} where they were chosen, by seed {}",
      score["step"].get<int64_t>(), score["metric"].get<std::string>(),
      value.is_null() ? "none" : fmt::format("{:.5g}", value.get<double>()), score["count"].get<int64_t>(),
      score["seed"].get<int64_t>(), score["real"].get<std::string>(),
      score["chosen_by"]["value"].get<double>(), score["chosen_by"]["seed"].get<int64_t>());
}

void run_train(const TrainOptions& options, const Session& session) {
  auto outputs = files_of_run("--out", options.out);
  outputs.insert(outputs.begin(), {"--json", options.json});
  require_distinct(outputs, {{"--config", options.config}});
  require_json_target(options.json);
  if (writes_output() && options.resume && training::has_checkpoint(options.out)) {
    training::require_resumable(options.out);
  }
  auto tree = open_config(options);
  for (const auto& setting : options.settings) {
    tree.set(setting);
  }
  const auto config = ddpm::read_run_config(tree);
  const auto record = core::named_as_given(tree, [&] {
    return train_run(config, options.out, options.resume ? Start::kResume : Start::kFresh, session);
  });
  if (!write_json(options.json, record)) {
    const auto work = record.contains("loss")
                          ? fmt::format(", loss {:.5g}, {:.1f} images/s", record["loss"].get<double>(),
                                        record["images_per_second"].get<double>())
                          : std::string();
    print_line("{}: step {}{}, {} parameters", options.out.string(), record["step"].get<int64_t>(), work,
               record["parameters"].get<int64_t>());
    if (record.contains("score")) {
      print_best(record["score"]);
    }
  }
}

}  // namespace

void add_train_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand("train", "Train a diffusion model");
  auto options = std::make_shared<TrainOptions>();
  command->add_option("--config", options->config, "A TOML file; see configs/");
  command->add_option("--out", options->out, "The run's folder: checkpoint, log, grids")->required();
  command->add_option("--set", options->settings, "Override a key: --set train.batch_size=64. Repeatable")
      ->allow_extra_args(false);
  command->add_flag("--resume", options->resume, "Go on from the checkpoint in --out, bit for bit");
  add_json_option(*command, options->json);
  command->callback([options, &session] {
    session.shared = true;
    session.action = [options, &session] { run_train(*options, session); };
  });
}

}  // namespace ddpm_eval::eval
