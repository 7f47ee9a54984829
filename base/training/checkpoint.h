#pragma once

#include "base/tensor/named_tensor.h"
#include "base/training/adam.h"
#include "base/training/ema.h"
#include "base/training/loop_config.h"
#include "base/training/loss_watch.h"
#include "base/training/task.h"
#include "base/training/train_log.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// A checkpoint is one file, `checkpoint.safetensors`, replaced as a whole: a process killed at any moment
// leaves the old state or the new one. `checkpoint.json` beside it is a copy of the metadata for human
// readers; nothing reads it back.
namespace ddpm_eval::training {

/// All that a resumed run needs. Data order and noise are functions of `step` and need no state.
struct TrainState {
  tensor::NamedTensors parameters;  ///< the task's own tensors
  tensor::NamedTensors buffers;     ///< the task's own tensors
  Adam adam;
  Ema ema;
  int64_t step = 0;  ///< optimiser steps done
  LogWindow window;  ///< what the next log line has summed up so far
  LossWatch watch;   ///< empty unless LoopConfig::diverged_factor is set
};

/// The state before the first step, bound to the task's tensors. Throws LogicError unless these are leaves
/// that require gradients, with distinct names.
TrainState new_state(TrainTask& task, const LoopConfig& config);

/// The file's name in the run's folder.
inline constexpr const char* kCheckpointFile = "checkpoint.safetensors";

/// A copy of its metadata for human readers, beside it.
inline constexpr const char* kReadableFile = "checkpoint.json";

/// A copy of the checkpoint whose weights scored best, if anybody scored them.
inline constexpr const char* kBestFile = "best.safetensors";

/// The version of the file's layout. Readers refuse a newer one.
inline constexpr int64_t kCheckpointVersion = 1;

/// Whether there is anything of that name: what cannot be read is told when it is loaded, not taken for
/// nothing.
bool has_checkpoint(const std::filesystem::path& folder);

/// Writes `folder`/checkpoint.safetensors (tensors `model.<name>`, `buffer.<name>`, `ema.<name>`,
/// `ema_buffer.<name>`, `adam.exp_avg.<name>`, `adam.exp_avg_sq.<name>`; metadata `format`, `format_version`,
/// `step`, `config`, `config_sha256`, `log_window`, `loss_watch` if there is one, `content_sha256` of all
/// tensors and these), then checkpoint.json.
/// Equal states give equal bytes. `config_json` is the effective configuration (core::config_to_json). Throws
/// ResourceError; the checkpoint before stays whole then.
void save_checkpoint(const std::filesystem::path& folder, const TrainState& state,
                     const std::string& config_json);

/// In what two configurations of one run may differ.
struct SameRun {
  std::vector<std::string> may_change{};  ///< keys, as "train.steps"
  /// config_to_json() of the defaults: what a key counts as in a file that was written before there was one.
  std::string defaults_json = "{}";
};

/// Restores `state`, made by new_state() for the same network, from `folder`. `config_json` must be of the
/// same run as the stored configuration. Throws DataError for a file that is missing, damaged, of a newer
/// version or of another network, for weights that are not finite, and UsageError for an imported run and
/// naming the first key that differs and both values. Nothing is changed unless all is well.
void load_checkpoint(const std::filesystem::path& folder, const std::string& config_json, const SameRun& same,
                     TrainState& state);

/// Weights that another program trained, which go into a run's folder without an optimiser's state.
struct ImportedWeights {
  tensor::NamedTensors averaged;  ///< what is sampled
  tensor::NamedTensors last;      ///< those of the last step, or none
  tensor::NamedTensors buffers;
  int64_t step = 0;  ///< optimiser steps done; 0 if not known
  std::string config_json;
  std::string imported_from;  ///< JSON: what they were made from
};

/// Writes a checkpoint as save_checkpoint() does, with `imported_from` as `origin` in its metadata, under the
/// same digest. Equal weights give equal bytes. Throws ResourceError.
void save_imported(const std::filesystem::path& folder, const ImportedWeights& weights);

/// Throws UsageError if the checkpoint in `folder` was imported, and so cannot be gone on with; DataError if
/// it cannot be read. Reads only its header.
void require_resumable(const std::filesystem::path& folder);

/// The weights of a run, for sampling.
struct SavedWeights {
  tensor::NamedTensors parameters;
  tensor::NamedTensors buffers;
  int64_t step = 0;             ///< optimiser steps done
  std::string config_json;      ///< what the run was trained with
  std::string sha256;           ///< of the file that these very weights were read from
  std::string imported_from{};  ///< as in ImportedWeights; empty for weights trained here
};

/// Makes the folder's checkpoint its best one. Throws ResourceError; the best before stays whole then.
void keep_as_best(const std::filesystem::path& folder);

/// What a checkpoint says of itself.
struct CheckpointHeader {
  int64_t step = 0;
  std::string config_json;
  std::string imported_from;  ///< as in SavedWeights
};

/// Reads no tensors, and so does not check them. Throws DataError as load_checkpoint().
CheckpointHeader read_header(const std::filesystem::path& folder);

/// The averaged weights, or those of the last step. Throws DataError as load_checkpoint(), and for the last
/// step of an imported run that has the averages alone.
SavedWeights load_ema_weights(const std::filesystem::path& folder);
SavedWeights load_model_weights(const std::filesystem::path& folder);

/// The averaged weights of kBestFile. Throws DataError, too, where it is not of `run`: its configuration is
/// another, or it comes from other files, or from a later step.
SavedWeights load_best_weights(const std::filesystem::path& folder, const CheckpointHeader& run,
                               const SameRun& same);

}  // namespace ddpm_eval::training
