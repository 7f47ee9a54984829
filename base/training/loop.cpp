#include "base/training/loop.h"

#include "base/core/error.h"
#include "base/core/file_copy.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/tensor/process_group.h"
#include "base/training/backward.h"
#include "base/training/gradient.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include <torch/types.h>

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
      core::remove_file(run_.path / kDivergenceFile);  // of an earlier start
      log_.emplace(run_.path / kLogFile, state_.step);
      if (has_checkpoint(run_.path)) {
        saved_step_ = state_.step;
      }
    }
  }

  LoopReport train() {
    while (state_.step < config_.steps && !report_.stopped_by_time) {
      const auto begin = Clock::now();
      report_.last_loss = step_or_save();
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
    if (const auto reason = divergence(loss, norm); !reason.empty()) {
      if (reason == "loss" && last_.number > 0) {
        require_finite_weights();
      }
      diverged(reason, {state_.step + 1, loss, norm, learning_rate});
    }
    const double scale = clip_scale(norm, config_.clip_norm);
    state_.adam.update(state_.parameters, state_.step, learning_rate, scale);
    if (group_.is_first()) {  // which alone saves and shows them
      state_.ema.update(state_.parameters, state_.buffers, state_.step);
    }
    clear_gradients(state_.parameters);

    for (const auto& [name, value] : entries) {
      state_.window.add(name, value);
    }
    state_.window.add("loss", loss);
    state_.window.add("grad_norm", norm);
    state_.window.add("clipped", scale < 1 ? 1 : 0);
    ++state_.step;
    last_ = {state_.step, loss, norm, learning_rate};
    return loss;
  }

  /// As one_step(). Where another process ends it, nothing of the step is done yet, and what was done before
  /// it is saved.
  double step_or_save() {
    try {
      return one_step();
    } catch (const tensor::PeerError& error) {
      const bool saved = saved_step_ == state_.step;
      if (!saves() || state_.step == 0 || (!saved && !weights_are_finite())) {
        throw;
      }
      if (!saved) {
        clear_gradients(state_.parameters);
        save_checkpoint(run_.path, state_, run_.config_json);
      }
      throw tensor::PeerError(error.code(),
                              fmt::format("{}; the state after step {} of {} is saved in {}; go on "
                                          "with --resume",
                                          error.what(), state_.step, config_.steps, run_.path.string()));
    }
  }

  /// The loss, with its gradients in the parameters if it is finite.
  double backward(StepLog& entries) {
    const at::AutoGradMode with_gradients(true);
    if (config_.accumulate > 1 || group_.size() > 1) {
      return backward_in_parts(entries);
    }
    const at::Tensor loss = task_.loss(state_.step, entries);
    const double value = value_of(loss);
    if (std::isfinite(value)) {
      loss.backward();
    }
    return value;
  }

  /// This process' share of the batch, in as many parts as make no part larger than those of one process.
  double backward_in_parts(StepLog& entries) {
    const int64_t batch = task_.batch_size();
    const Rows own{batch * group_.rank() / group_.size(), batch * (group_.rank() + 1) / group_.size()};
    const int64_t parts = std::max<int64_t>(1, (own.count() * config_.accumulate + batch - 1) / batch);
    double value = 0;
    at::Tensor last;
    for (int64_t part = 0; part < parts && std::isfinite(value); ++part) {
      last = own.count() > 0
                 ? task_.part_of_loss(state_.step, {own.begin + own.count() * part / parts,
                                                    own.begin + own.count() * (part + 1) / parts})
                 : task_.part_of_loss(state_.step, {0, 1}) * 0;  // where there are more processes than rows
      value += value_of(last);
      if (part + 1 < parts && std::isfinite(value)) {
        last.backward();
      }
    }
    const double total = agree_on(value);
    if (std::isfinite(total)) {
      backward_over_processes(last, state_.parameters, group_);
      task_.end_of_parts(state_.step, own, entries);
    }
    return total;
  }

  static double value_of(const at::Tensor& loss) {
    DDPM_CHECK(loss.numel() == 1 && loss.requires_grad(), "the loss must be one number with a graph");
    return loss.item<double>();
  }

  /// The sum over all processes, who also hear whether any of them is to stop after this step.
  double agree_on(double value) {
    if (group_.size() == 1) {
      return value;
    }
    const auto mine = torch::tensor(
        {value, core::interrupt_requested() ? 1.0 : 0.0, time_is_up() ? 1.0 : 0.0}, torch::kFloat64);
    double total = 0;
    interrupt_agreed_ = time_up_agreed_ = false;
    for (const auto& part : group_.all_gather(mine)) {
      const auto* values = part.data_ptr<double>();
      total += values[0];
      interrupt_agreed_ = interrupt_agreed_ || values[1] != 0;
      time_up_agreed_ = time_up_agreed_ || values[2] != 0;
    }
    return total;
  }

  bool is_interrupted_now() const {
    return group_.size() == 1 ? core::interrupt_requested() : interrupt_agreed_;
  }
  bool time_is_up() const {
    return config_.time_limit_s > 0 && seconds_since(start_) >= config_.time_limit_s;
  }

  /// Why the step must not be taken, as Divergence::reason has it; empty if it may.
  std::string divergence(double loss, double norm) {
    if (!std::isfinite(loss)) {
      return "loss";
    }
    if (!std::isfinite(norm)) {
      return "gradient";
    }
    return state_.watch.diverges(loss, {config_.diverged_factor, config_.diverged_steps}) ? "limit" : "";
  }

  /// A step, 1-based, and what it saw.
  struct Step {
    int64_t number = 0;
    double loss = 0;
    double grad_norm = 0;
    double learning_rate = 0;
  };

  /// A step may leave weights of which only the next loss would tell. They replace no good state, and the
  /// step is told alike whether a checkpoint was due after it or not.
  void require_finite_weights() {
    if (!weights_are_finite()) {
      diverged("weights", last_);
    }
  }

  bool weights_are_finite() const {
    return std::ranges::all_of(state_.parameters, [](const auto& parameter) {
      return parameter.tensor.isfinite().all().template item<bool>();
    });
  }

  [[noreturn]] void diverged(const std::string& reason, const Step& at) {
    const auto& [step, loss, norm, learning_rate] = at;
    std::string left = "nothing was saved";
    if (saves()) {
      Divergence record{.step = step,
                        .first_step = reason == "limit" ? step - state_.watch.steps_above() + 1 : step,
                        .reason = reason,
                        .loss = loss,
                        .grad_norm = norm,
                        .learning_rate = learning_rate,
                        .loss_before = {},
                        .checkpoint = saved_step_};
      if (report_.steps_done > 0 && reason != "weights") {
        record.loss_before = report_.last_loss;
      }
      log_->append(record);
      write_divergence(run_.path, record);
      left = saved_step_
                 ? fmt::format("the last good state, of step {}, is in {}", *saved_step_, run_.path.string())
                 : fmt::format("no checkpoint had been written to {}", run_.path.string());
    }
    const auto what =
        reason == "limit"
            ? fmt::format(
                  "the loss of {:.4g} is above {} times its running median of {:.4g} "
                  "for {} steps",
                  loss, config_.diverged_factor, state_.watch.median(), state_.watch.steps_above())
        : reason == "weights" ? std::string("it left weights that are not finite")
        : reason == "loss"    ? fmt::format("the loss is {}", loss)
                              : fmt::format("the gradient norm is {}", norm);
    throw core::DivergedError(
        "training diverged at step {}: {} (learning rate {:.3g}); try a lower learning_rate, a longer "
        "warmup_steps or a smaller clip_norm; {}",
        step, what, learning_rate, left);
  }

  /// Log, checkpoint, hooks and the reasons to stop.
  void between_steps() {
    if (config_.log_every > 0 && state_.step % config_.log_every == 0) {
      write_line();
    }
    const bool hook_interrupted = is_interrupted([&] {
      if (hooks_.on_step) {
        hooks_.on_step(state_, report_.last_loss);
      }
    });
    const bool last = state_.step == config_.steps;
    // An interrupt at the last step leaves nothing to stop, unless the hook has left something to be done.
    const bool interrupted = hook_interrupted || (is_interrupted_now() && !last);
    report_.stopped_by_time = !last && (group_.size() == 1 ? time_is_up() : time_up_agreed_);
    const bool due = (config_.checkpoint_every > 0 && state_.step % config_.checkpoint_every == 0) ||
                     (hooks_.save_after && hooks_.save_after(state_.step));
    bool save_interrupted = false;
    if (saves() && (due || last || interrupted || report_.stopped_by_time)) {
      require_finite_weights();
      save_checkpoint(run_.path, state_, run_.config_json);
      saved_step_ = state_.step;
      save_interrupted = is_interrupted([&] {
        if (hooks_.on_checkpoint) {
          hooks_.on_checkpoint(state_);
        }
      });
    }
    if (is_interrupted_now() && !last) {
      group_.any(false);  // nobody leaves before the state is saved
    }
    if (interrupted || save_interrupted) {
      const std::string where =
          saves() ? fmt::format("the state is saved in {}; go on with --resume", run_.path.string())
                  : std::string("nothing was saved");
      throw core::InterruptedError("interrupted after step {} of {}; {}", state_.step, config_.steps, where);
    }
  }

  /// Whether the hook was interrupted, in the middle of a sample grid for instance: the state is sound then.
  template <class Call>
  static bool is_interrupted(const Call& call) {
    try {
      call();
    } catch (const core::InterruptedError&) {
      return true;
    }
    return false;
  }

  /// The rest of the run at the speed of this process so far, or what its time limit leaves.
  double seconds_left() const {
    const double spent = seconds_since(start_);
    const double steps_left = static_cast<double>(config_.steps - state_.step);
    const double left = spent / static_cast<double>(report_.steps_done) * steps_left;
    return config_.time_limit_s > 0 ? std::clamp(config_.time_limit_s - spent, 0.0, left) : left;
  }

  void write_line() {
    LogLine line{
        .step = state_.step,
        .loss = state_.window.mean("loss"),
        .entries = state_.window.task_means(),
        .grad_norm = state_.window.mean("grad_norm"),
        .clipped_share = state_.window.mean("clipped"),
        .learning_rate = learning_rate_at(config_, state_.step - 1),
        .images_per_second = rate((report_.steps_done - window_begin_) * task_.batch_size(), window_seconds_),
        .seconds = seconds_before() + seconds_since(start_),
        .seconds_left = seconds_left()};
    if (hooks_.reference) {
      line.entries.merge(hooks_.reference(state_.step));
    }
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

  tensor::ProcessGroup& group_ = tensor::process_group();
  TrainTask& task_;
  const LoopConfig& config_;
  const RunFolder& run_;
  TrainState& state_;
  const LoopHooks& hooks_;
  std::optional<TrainLog> log_;
  bool interrupt_agreed_ = false;
  bool time_up_agreed_ = false;
  LoopReport report_;
  Clock::time_point start_ = Clock::now();
  double step_seconds_ = 0;
  double window_seconds_ = 0;          ///< of the steps since the last line
  int64_t window_begin_ = 0;           ///< report_.steps_done at the last line
  Step last_{};                        ///< that this process did
  std::optional<int64_t> saved_step_;  ///< of the checkpoint on the disk
};

}  // namespace

LoopReport run_loop(TrainTask& task, const LoopConfig& config, const RunFolder& run, TrainState& state,
                    const LoopHooks& hooks) {
  config.validate();
  config.require_divides(task.batch_size());
  if (config.accumulate > 1 && !task.can_be_split()) {
    throw core::UsageError(
        "accumulate is {}: the rows of this task's batches depend on one another; set it to 1",
        config.accumulate);
  }
  DDPM_CHECK(tensor::process_group().size() == 1 || task.can_be_split(), "a task that cannot be shared");
  if (state.step > config.steps) {
    throw core::UsageError(
        "the run has done {} steps, more than steps = {}; raise it or train into another folder", state.step,
        config.steps);
  }
  const at::NoGradGuard no_grad;
  return Loop(task, config, run, state, hooks).train();
}

}  // namespace ddpm_eval::training
