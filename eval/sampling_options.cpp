#include "eval/sampling_options.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace ddpm_eval::eval {

void add_sampling_options(CLI::App& command, SamplingRequest& request) {
  command.add_option("--run", request.run, "The training folder")->required();
  command.add_option("--seed", request.seed, "Sample i depends on the seed and i alone")
      ->capture_default_str();
  // What shapes the samples is a flag as well; the run's own [sample] section has the defaults.
  for (const char* key : {"sampler", "steps", "spacing", "eta", "hat_sigma", "variance", "clip",
                          "dynamic_threshold", "rederive", "rounding", "precision"}) {
    std::string flag = std::string("--") + key;
    std::replace(flag.begin(), flag.end(), '_', '-');
    command.add_option_function<std::string>(
        flag,
        [&request, key, flag](const std::string& value) {
          request.settings.push_back({fmt::format("{}={}", key, value), fmt::format("{} {}", flag, value)});
        },
        std::string("Overrides sample.") + key + " of the run");
  }
  add_weights_options(command, request);
}

void add_weights_options(CLI::App& command, SamplingRequest& request) {
  const auto set = [&request](const std::string& word, const std::string& origin) {
    request.settings.push_back({"weights=" + word, origin});
  };
  auto* word = command.add_option_function<std::string>(
      "--weights", [set](const std::string& value) { set(value, "--weights " + value); },
      "ema: the average over the training; last: of the last step; best: the average that scored best while "
      "it was trained. Default: sample.weights of the run");
  command
      .add_flag_callback(
          "--last-weights", [set] { set("last", "--last-weights"); }, "The same as --weights last")
      ->excludes(word);
}

}  // namespace ddpm_eval::eval
