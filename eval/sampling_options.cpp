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
  std::vector<KeyFlag> flags;
  for (const char* name : {"sampler", "steps", "spacing", "eta", "hat_sigma", "variance", "clip",
                           "dynamic_threshold", "rederive", "rounding", "precision"}) {
    const auto key = std::string("sample.") + name;
    std::string flag = std::string("--") + name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    flags.push_back({flag, key, "Overrides " + key + " of the run"});
  }
  add_key_flags(command, flags, request.settings);
  add_weights_options(command, request);
}

void add_weights_options(CLI::App& command, SamplingRequest& request) {
  add_key_flags(command,
                {{"--weights", "sample.weights",
                  "ema: the average over the training; last: of the last step; best: the average that scored "
                  "best while it was trained. Default: sample.weights of the run"}},
                request.settings);
  command
      .add_flag_callback(
          "--last-weights",
          [&request] {
            request.settings.push_back({"sample.weights=last", "--last-weights"});
          },
          "The same as --weights last")
      ->excludes(command.get_option("--weights"));
}

}  // namespace ddpm_eval::eval
