#pragma once

#include "base/core/config.h"
#include "base/training/checkpoint.h"
#include "base/training/loop_config.h"
#include "ddpm/gated_mlp.h"
#include "ddpm/mlp.h"
#include "ddpm/objective_config.h"
#include "ddpm/sampler.h"
#include "ddpm/schedule.h"
#include "ddpm/unet.h"

#include <cstdint>
#include <string>
#include <vector>

// The layout of configs/*.toml: one struct per section. A run's checkpoint keeps it whole.
namespace ddpm_eval::ddpm {

struct DataConfig {
  std::string source = "cifar10:train";  ///< a data set, or a set of points: swiss-roll, 8-gaussians, moons
  int64_t points = 100'000;              ///< how many points are drawn, where the source is made up
  bool standardise =
      true;  ///< points to mean 0 and standard deviation 1 per coordinate; samples are put back

  void fields(core::ConfigVisitor& v);
};

enum class NetworkKind { kUNet, kMlp, kGatedMlp };

/// "unet", as configurations and messages call it.
std::string network_word(NetworkKind kind);

struct ModelConfig {
  NetworkKind kind = NetworkKind::kUNet;
  UNetConfig unet;           ///< for images
  MlpConfig mlp;             ///< for points
  GatedMlpConfig gated_mlp;  ///< for points

  bool is_for_points() const { return kind != NetworkKind::kUNet; }

  void fields(core::ConfigVisitor& v);
};

/// Section [train]: what the data is trained on, and the loop's own keys beside it.
struct TrainConfig {
  int64_t seed = 0;  ///< of the initial weights, the data order, flips, t, eps and dropout
  int64_t batch_size = 128;
  tensor::Precision precision = tensor::Precision::kFloat32;  ///< of the network's passes
  bool flip = true;                                           ///< mirror images at random
  int64_t grid_every = 0;     ///< steps between sample grids from a fixed x_T. 0: none
  int64_t grid_samples = 64;  ///< samples in such a grid
  bool tensorboard = false;   ///< event files beside the log
  training::LoopConfig loop;

  void fields(core::ConfigVisitor& v);
};

/// Section [score]: how the run is scored while it is trained. What the words mean is the business of the
/// program, which does the scoring.
struct ScoreConfig {
  int64_t every = 0;            ///< steps between scores of the averaged weights. 0: none
  std::string metric = "auto";  ///< what is lowest at the best weights; auto: frechet_distance of images,
                                ///< sliced_wasserstein_distance of points
  int64_t num = 0;              ///< samples to a score; must be set
  std::string real;             ///< the reference, a source or a statistics .npz; must be set
  std::string features;         ///< of a Frechet distance. Empty: the default of `real`
  std::string preset;           ///< of a Frechet distance. Empty: a statistics file's own, else the default
  int64_t seed = 0;             ///< of the samples that the best weights are chosen by
  int64_t report_seed = 1;      ///< of those that the best weights are reported on; another one

  void fields(core::ConfigVisitor& v);
  void validate(bool points, int64_t steps) const;
};

struct RunConfig {
  DataConfig data;
  ModelConfig model;
  ScheduleConfig process;
  ObjectiveConfig objective;
  TrainConfig train;
  SampleOptions sample;  ///< the defaults of `sample`, of grids and of scores
  ScoreConfig score;

  void fields(core::ConfigVisitor& v);

  /// Throws UsageError naming the key for whatever can be told without the data.
  void validate() const;

  /// Keys that may differ when a run is resumed: none of them changes the steps already done.
  std::vector<std::string> resumable_keys() const;

  /// What the checkpoints of one run have in common.
  training::SameRun same_run() const { return {resumable_keys(), core::config_to_json(RunConfig())}; }
};

/// From a file with overrides, validated. Throws UsageError or DataError.
RunConfig read_run_config(core::ConfigTree& tree);

}  // namespace ddpm_eval::ddpm
