#pragma once

#include "base/training/checkpoint.h"
#include "base/training/loop_config.h"
#include "base/training/task.h"
#include "base/training/train_log.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace ddpm_eval::training {

/// Where a run keeps its files, and the effective configuration that its checkpoints carry.
struct RunFolder {
  std::filesystem::path path;      ///< empty: nothing is saved or logged
  std::string config_json = "{}";  ///< core::config_to_json() of all that shaped the run
};

/// Called between steps; gradients are off. An exception ends the training as it is, without a checkpoint,
/// but for an InterruptedError from on_step or on_checkpoint, which ends it as any interrupt does, the state
/// saved.
struct LoopHooks {
  /// After every step, with what it made: for progress and for sample grids.
  std::function<void(const TrainState&, double loss)> on_step;
  /// What the loss of a log line at this step is to be held against: added to the line's entries, so that it
  /// must be a function of the step.
  std::function<StepLog(int64_t step)> reference;
  /// After a line was written.
  std::function<void(const LogLine&)> on_log;
  /// Whether the state is to be saved after this step, whatever checkpoint_every says.
  std::function<bool(int64_t step)> save_after;
  /// After the state was saved.
  std::function<void(const TrainState&)> on_checkpoint;
};

struct LoopReport {
  int64_t steps_done = 0;        ///< in this call
  double seconds = 0;            ///< in this call, hooks and checkpoints included
  double total_seconds = 0;      ///< of the whole run, resumed parts added up as in the log
  double last_loss = 0;          ///< of the last step; 0 if there was none
  double images_per_second = 0;  ///< over the steps alone, without hooks, log and checkpoints
  bool stopped_by_time = false;  ///< time_limit_s ended the run before `steps`
};

/// Trains `task` from state.step to config.steps: loss, backward, clip, Adam, EMA. `state` comes from
/// new_state() and, to resume, load_checkpoint().
///
/// A line of `log.jsonl` is written after every log_every steps, a checkpoint after every checkpoint_every
/// and at the end. On the CPU, with the same number of threads, a run resumed from any checkpoint goes on bit
/// for bit, and its log is the unbroken one but for the timing fields at the end of each line.
///
/// Throws UsageError for a bad configuration, a batch that `accumulate` parts do not make up or a run that is
/// past config.steps; DivergedError at the first non-finite loss or gradient norm, or past the limit that
/// config.diverged_factor sets, before the update, leaving the last checkpoint alone and the details in
/// `divergence.json`, which any later start removes; InterruptedError when core::interrupt_requested(), at
/// the end of any step but the last, or when a hook was interrupted at any step, with the state saved;
/// ResourceError if a file cannot be written.
///
/// Of processes that work together (tensor::process_group()) each works on its share of every batch, and all
/// come to the same state, which a `run` of the first one alone saves: the others have none. What any of them
/// is asked to do, stop, all do after the same step. PeerError where one is gone, with the state saved.
LoopReport run_loop(TrainTask& task, const LoopConfig& config, const RunFolder& run, TrainState& state,
                    const LoopHooks& hooks = {});

}  // namespace ddpm_eval::training
