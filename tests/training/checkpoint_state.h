#pragma once

#include "base/training/checkpoint.h"
#include "tests/training/toy_tasks.h"

#include <filesystem>
#include <string>

namespace ddpm_eval::testing {

inline constexpr const char* kCheckpointConfig = "{\"seed\":1,\"net\":{\"width\":8},\"train\":{\"steps\":7}}";

/// A few steps of the conv task, saved into `folder`.
inline training::TrainState trained(ConvTask& task, const std::filesystem::path& folder) {
  auto state = training::new_state(task, toy_config(7));
  training::run_loop(task, toy_config(7), {}, state);
  training::save_checkpoint(folder, state, kCheckpointConfig);
  return state;
}

inline void load(const std::filesystem::path& folder, training::TrainState& state,
                 const std::string& config = kCheckpointConfig) {
  training::load_checkpoint(folder, config, {.may_change = {"train.steps"}}, state);
}

}  // namespace ddpm_eval::testing
