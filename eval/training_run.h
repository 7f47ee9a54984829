#pragma once

#include "base/core/record.h"
#include "ddpm/run_config.h"
#include "eval/command.h"

#include <filesystem>

namespace ddpm_eval::eval {

class ImageSets;

enum class Start { kFresh, kResume };

/// Trains what `config` says into `folder` (checkpoint.safetensors, log.jsonl, grids/, run.json; with section
/// [score] scores.jsonl and best.safetensors; with train.tensorboard tensorboard/) and returns
/// the record, without loss and speed if an earlier process did the last step. Throws what
/// training::run_loop() throws; UsageError for a fresh start in a folder that holds a run. Images come from
/// `sets` where that is given.
core::Json train_run(const ddpm::RunConfig& config, const std::filesystem::path& folder, Start start,
                     const Session& session, ImageSets* sets = nullptr);

}  // namespace ddpm_eval::eval
