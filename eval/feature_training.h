#pragma once

#include "base/core/config.h"
#include "base/core/record.h"
#include "base/training/loop_config.h"
#include "eval/command.h"
#include "eval/training_run.h"
#include "metrics/small_net.h"

#include <filesystem>
#include <string>

namespace ddpm_eval::eval {

/// All that shapes a small feature network.
struct FeatureTraining {
  struct Data {
    std::string train = "fashion-mnist:train";  ///< a labelled set of square images
    std::string test = "fashion-mnist:test";    ///< where the accuracy is measured

    void fields(core::ConfigVisitor& v);
  };

  Data data;
  metrics::SmallNetOptions net;  ///< all but the width follows from the data
  metrics::SmallNetTraining classifier;
  training::LoopConfig loop = metrics::small_net_loop();

  void fields(core::ConfigVisitor& v);
};

/// The folder beside the network's file that keeps its training: mine.safetensors has mine.run, with
/// checkpoint, log.jsonl and, once the network is written, its record run.json.
std::filesystem::path feature_run_folder(const std::filesystem::path& out);

/// The configuration of the training whose checkpoint is in feature_run_folder(). Throws DataError as
/// training::read_header() does.
core::ConfigTree stored_feature_config(const std::filesystem::path& out);

/// Trains the network, writes it to `out`, whose stem is its name, and returns the record. A training that is
/// complete is not repeated. Throws what training::run_loop() throws; before any training UsageError for a
/// name that is reserved or does not end in .safetensors, for bad settings and for a fresh start where a
/// training is, and ResourceError if `out` cannot be written.
core::Json train_features(FeatureTraining settings, const std::filesystem::path& out, Start start,
                          const Session& session);

}  // namespace ddpm_eval::eval
