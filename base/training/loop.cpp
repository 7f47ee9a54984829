#include "base/training/loop.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/training/gradient.h"

#include <chrono>
#include <cmath>

namespace ddpm_eval::training {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double rate(int64_t images, double seconds) {
  return seconds > 0 ? static_cast<double>(images) / seconds : 0;
}

class Loop {
 public:
  Loop(TrainTask& task, const LoopConfig& config, const RunFolder& run, TrainState& state,
       const LoopHooks& hooks)
      : task_(task), config_(config), run_(run), state_(state), hooks_(hooks) {
    if (saves()) {
      core::make_folders(run_.path);
      core::remove_abandoned_files(run_.path);
      log_.emplace(run_.path / "log.jsonl", state_.step);
    }
  }

  LoopReport train() {
    while (state_.step < config_.steps && !report_.stopped_by_time) {
      const auto begin = Clock::now();
      report_.last_loss = one_step();
      const double spent = seconds_since(begin);
      step_seconds_ += spent;
      window_seconds_ += spent;
      ++report_.steps_done;
      between_steps();
    }
    report_.seconds = seconds_since(start_);
    report_.total_seconds = seconds_before() + report_.seconds;
    report_.images_per_second = rate(report_.steps_done * task_.batch_size(), step_seconds_);
    return report_;
  }

 private:
  bool saves() const { return !run_.path.empty(); }
  double seconds_before() const { return log_ ? log_->seconds_before() : 0; }

  /// Loss, gradients, update. Returns the loss.
  double one_step() {
    StepLog entries;
    const double learning_rate = learning_rate_at(config_, state_.step);
    clear_gradients(state_.parameters);
    const double loss = backward(entries);
    const double norm = std::isfinite(loss) ? gradient_norm(state_.parameters) : NAN;
    if (!std::isfinite(loss) || !std::isfinite(norm)) {
      diverged(loss, norm, learning_rate);
    }
    const double scale = clip_scale(norm, config_.clip_norm);
    state_.adam.update(state_.parameters, state_.step, learning_rate, scale);
    state_.ema.update(state_.parameters, state_.buffers, state_.step);
    clear_gradients(state_.parameters);

    for (const auto& [name, value] : entries) {
      state_.window.add(name, value);
    }
    state_.window.add("loss", loss);
    state_.window.add("grad_norm", norm);
    state_.window.add("clipped", scale < 1 ? 1 : 0);
    ++state_.step;
    return loss;
  }

  /// The loss, with its gradients in the parameters if it is finite.
  double backward(StepLog& entries) {
    const at::AutoGradMode with_gradients(true);
    const at::Tensor loss = task_.loss(state_.step, entries);
    DDPM_CHECK(loss.numel() == 1 && loss.requires_grad(), "the loss must be one number with a graph");
    const double value = loss.item<double>();
    if (std::isfinite(value)) {
      loss.backward();
    }
    return value;
  }

  [[noreturn]] void diverged(double loss, double norm, double learning_rate) {
    const int64_t step = state_.step + 1;
    std::string left = "nothing was saved";
    if (saves()) {
      log_->append_divergence(step, loss, norm, learning_rate);
      left = has_checkpoint(run_.path)
                 ? fmt::format("the last good state is in {}", run_.path.string())
                 : fmt::format("no checkpoint had been written to {}", run_.path.string());
    }
    throw core::DivergedError(
        "training diverged at step {}: {} is {} (learning rate {:.3g}); try a lower learning_rate, a longer "
        "warmup_steps or a smaller clip_norm; {}",
        step, std::isfinite(loss) ? "the gradient norm" : "the loss", std::isfinite(loss) ? norm : loss,
        learning_rate, left);
  }

  /// Log, checkpoint, hooks and the reasons to stop.
  void between_steps() {
    if (config_.log_every > 0 && state_.step % config_.log_every == 0) {
      write_line();
    }
    const bool hook_interrupted = call_on_step();
    const bool last = state_.step == config_.steps;
    // An interrupt at the last step leaves nothing to stop, unless the hook has left something to be done.
    const bool interrupted = hook_interrupted || (core::interrupt_requested() && !last);
    report_.stopped_by_time =
        !last && config_.time_limit_s > 0 && seconds_since(start_) >= config_.time_limit_s;
    const bool due = config_.checkpoint_every > 0 && state_.step % config_.checkpoint_every == 0;
    if (saves() && (due || last || interrupted || report_.stopped_by_time)) {
      save_checkpoint(run_.path, state_, run_.config_json);
      if (hooks_.on_checkpoint) {
        hooks_.on_checkpoint(state_);
      }
    }
    if (interrupted) {
      const std::string where =
          saves() ? fmt::format("the state is saved in {}; go on with --resume", run_.path.string())
                  : std::string("nothing was saved");
      throw core::InterruptedError("interrupted after step {} of {}; {}", state_.step, config_.steps, where);
    }
  }

  /// Whether the hook was interrupted, in the middle of a sample grid for instance: the state is sound then.
  bool call_on_step() {
    try {
      if (hooks_.on_step) {
        hooks_.on_step(state_, report_.last_loss);
      }
    } catch (const core::InterruptedError&) {
      return true;
    }
    return false;
  }

  void write_line() {
    const LogLine line{
        .step = state_.step,
        .loss = state_.window.mean("loss"),
        .entries = state_.window.task_means(),
        .grad_norm = state_.window.mean("grad_norm"),
        .clipped_share = state_.window.mean("clipped"),
        .learning_rate = learning_rate_at(config_, state_.step - 1),
        .images_per_second = rate((report_.steps_done - window_begin_) * task_.batch_size(), window_seconds_),
        .seconds = seconds_before() + seconds_since(start_)};
    state_.window.clear();
    window_begin_ = report_.steps_done;
    window_seconds_ = 0;
    if (log_) {
      log_->append(line);
    }
    if (hooks_.on_log) {
      hooks_.on_log(line);
    }
  }

  TrainTask& task_;
  const LoopConfig& config_;
  const RunFolder& run_;
  TrainState& state_;
  const LoopHooks& hooks_;
  std::optional<TrainLog> log_;
  LoopReport report_;
  Clock::time_point start_ = Clock::now();
  double step_seconds_ = 0;
  double window_seconds_ = 0;  ///< of the steps since the last line
  int64_t window_begin_ = 0;   ///< report_.steps_done at the last line
};

}  // namespace

LoopReport run_loop(TrainTask& task, const LoopConfig& config, const RunFolder& run, TrainState& state,
                    const LoopHooks& hooks) {
  config.validate();
  if (state.step > config.steps) {
    throw core::UsageError(
        "the run has done {} steps, more than steps = {}; raise it or train into another folder", state.step,
        config.steps);
  }
  const at::NoGradGuard no_grad;
  return Loop(task, config, run, state, hooks).train();
}

}  // namespace ddpm_eval::training
