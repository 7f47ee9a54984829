#pragma once

#include "base/core/file_io.h"
#include "base/tensor/noise.h"
#include "base/training/batches.h"
#include "base/training/loop.h"

#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <torch/types.h>

namespace ddpm_eval::testing {

/// Finds the slope and offset of y = 2 x_0 - 3 x_1 + 0.5 from fresh points at every step.
class LinearTask : public training::TrainTask {
 public:
  LinearTask() {
    weight_ = torch::zeros({2}, torch::kFloat32).requires_grad_(true);
    bias_ = torch::zeros({1}, torch::kFloat32).requires_grad_(true);
  }

  tensor::NamedTensors parameters() override { return {{"weight", weight_}, {"bias", bias_}}; }
  tensor::NamedTensors buffers() override { return {}; }
  int64_t batch_size() const override { return 16; }

  at::Tensor loss(int64_t step, training::StepLog& log) override {
    const auto x = tensor::normal_rows({7, "points"}, tensor::index_range(0, 16), step, {2});
    const auto target = 2 * x.select(1, 0) - 3 * x.select(1, 1) + 0.5;
    const auto residual = torch::mv(x, weight_) + bias_ - target;
    if (step % 2 == 0) {
      log["even"] = static_cast<double>(step);
    }
    at::Tensor loss = residual.square().mean();
    return bend ? bend(step, loss) : loss;
  }

  /// Replaces the loss, to make it fail.
  std::function<at::Tensor(int64_t step, const at::Tensor& loss)> bend;

 private:
  at::Tensor weight_;
  at::Tensor bias_;
};

/// A network of one hidden layer in float64 whose batches can be split.
class SplitTask : public training::TrainTask {
 public:
  SplitTask() {
    for (const int64_t i : {0, 1}) {
      const auto row = tensor::normal_rows({9, "weights"}, std::vector<int64_t>{i}, 0, {4, 4});
      weights_.push_back(row.squeeze(0).to(torch::kFloat64).requires_grad_(true));
    }
  }

  tensor::NamedTensors parameters() override { return {{"first", weights_[0]}, {"second", weights_[1]}}; }
  tensor::NamedTensors buffers() override { return {}; }
  int64_t batch_size() const override { return 12; }
  bool can_be_split() const override { return true; }

  at::Tensor loss(int64_t step, training::StepLog& log) override {
    auto all = part_of_loss(step, {0, batch_size()});
    end_of_parts(step, {0, batch_size()}, log);
    return all;
  }

  at::Tensor part_of_loss(int64_t step, training::Rows rows) override {
    parts.emplace_back(rows.begin, rows.end);
    const auto x = tensor::normal_rows({9, "x"}, tensor::index_range(rows.begin, rows.end), step, {4})
                       .to(torch::kFloat64);
    const auto y = torch::mm(torch::silu(torch::mm(x, weights_[0])), weights_[1]);
    const auto sum = (y - x).square().mean(1).sum();
    sum_ += sum.item<double>();
    return sum / static_cast<double>(batch_size());
  }

  void end_of_parts(int64_t, training::Rows, training::StepLog& log) override {
    log["mean"] = std::exchange(sum_, 0) / static_cast<double>(batch_size());
  }

  std::vector<std::pair<int64_t, int64_t>> parts;  ///< the rows asked for

 private:
  std::vector<at::Tensor> weights_;
  double sum_ = 0;
};

/// A convolution with channels-last weights and batch norm's running statistics, denoising tiny images with
/// data order, flips and noise keyed by the step: everything that a resume has to get right.
class ConvTask : public training::TrainTask {
 public:
  ConvTask() : order_(11, batch_size(), kImages) {
    images_ = tensor::normal_rows({3, "images"}, tensor::index_range(0, kImages), 0, {3, 8, 8});
    in_ = make({8, 3, 3, 3}, 0).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_(true);
    gain_ = torch::ones({8}).requires_grad_(true);
    shift_ = torch::zeros({8}).requires_grad_(true);
    out_ = make({3, 8, 3, 3}, 1).requires_grad_(true);
    mean_ = torch::zeros({8});
    variance_ = torch::ones({8});
    seen_ = torch::zeros({}, torch::kInt64);
  }

  tensor::NamedTensors parameters() override {
    return {{"in.weight", in_}, {"norm.weight", gain_}, {"norm.bias", shift_}, {"out.weight", out_}};
  }
  tensor::NamedTensors buffers() override {
    return {{"norm.running_mean", mean_}, {"norm.running_var", variance_}, {"norm.batches", seen_}};
  }
  int64_t batch_size() const override { return 6; }

  at::Tensor loss(int64_t step, training::StepLog& log) override {
    const auto batch = images_.index_select(0, order_.indices(step));
    const auto clean = training::flip_horizontally(batch, training::horizontal_flips(11, step, batch_size()));
    const auto noise =
        tensor::normal_rows({11, "noise"}, tensor::index_range(0, batch_size()), step, {3, 8, 8});
    const auto hidden =
        torch::conv2d((clean + noise).contiguous(at::MemoryFormat::ChannelsLast), in_, {}, 1, 1);
    const auto normal =
        torch::batch_norm(hidden, gain_, shift_, mean_, variance_, /*training=*/true, 0.1, 1e-5,
                          /*cudnn_enabled=*/false);
    seen_ += 1;
    const auto guess = torch::conv2d(torch::silu(normal), out_, {}, 1, 1);
    log["noise"] = noise.square().mean().item<double>();
    return (guess - noise).square().mean();
  }

 private:
  static constexpr int64_t kImages = 20;
  static at::Tensor make(at::IntArrayRef shape, int64_t index) {
    return tensor::normal_rows({5, "weights"}, std::vector<int64_t>{index}, 0, shape).squeeze(0) * 0.2;
  }

  training::BatchOrder order_;
  at::Tensor images_, in_, gain_, shift_, out_, mean_, variance_, seen_;
};

/// Every feature of the loop on, in few steps.
inline training::LoopConfig toy_config(int64_t steps) {
  training::LoopConfig config;
  config.steps = steps;
  config.learning_rate = 1e-2;
  config.warmup_steps = 4;
  config.clip_norm = 0.8;
  config.ema_decay = 0.99;
  config.ema_ramp = true;
  config.log_every = 3;
  config.checkpoint_every = 5;
  return config;
}

/// Trains `task` into `folder`, from its checkpoint if there is one.
inline training::LoopReport train(training::TrainTask& task, const training::LoopConfig& config,
                                  const std::filesystem::path& folder,
                                  const training::LoopHooks& hooks = {}) {
  auto state = training::new_state(task, config);
  const training::RunFolder run{folder, core::config_to_json(config)};
  if (training::has_checkpoint(folder)) {
    training::load_checkpoint(folder, run.config_json, {.may_change = config.resumable_keys()}, state);
  }
  return training::run_loop(task, config, run, state, hooks);
}

inline std::string checkpoint_bytes(const std::filesystem::path& folder) {
  return core::read_text(folder / "checkpoint.safetensors");
}

/// log.jsonl with the two timing fields, last in each line, cut off.
inline std::string log_without_timings(const std::filesystem::path& folder) {
  std::string kept;
  const std::string text = core::read_text(folder / "log.jsonl");
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    const std::string line = text.substr(begin, end - begin);
    kept += line.substr(0, line.find(",\"images_per_second\"")) + "\n";
    begin = end + 1;
  }
  return kept;
}

}  // namespace ddpm_eval::testing
