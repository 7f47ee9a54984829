#pragma once

#include "eval/sampling.h"

namespace CLI {
class App;
}

namespace ddpm_eval::eval {

/// The options of every command that samples from a run: --run, --seed, --weights and a flag for each
/// key of [sample] that shapes the samples. `request` must live until the command has run.
void add_sampling_options(CLI::App& command, SamplingRequest& request);

/// The options that name weights of a run: --weights ema|last|best, and --last-weights for the second.
void add_weights_options(CLI::App& command, SamplingRequest& request);

}  // namespace ddpm_eval::eval
