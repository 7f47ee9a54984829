#include "ddpm/objective.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/shape.h"
#include "ddpm/sampler.h"

#include <numeric>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

constexpr int64_t kQuarters = 4;

const ObjectiveOptions& checked(const ObjectiveOptions& options, const at::Tensor& data) {
  if (options.batch_size < 1) {
    throw core::UsageError("train.batch_size: {} is not a positive number", options.batch_size);
  }
  const bool images = data.dim() == 4 && data.scalar_type() == torch::kUInt8;
  const bool points = data.dim() == 2 && data.scalar_type() == torch::kFloat32;
  DDPM_CHECK(images || points, "training data is {}", tensor::describe(data));
  if (options.flip && points) {
    throw core::UsageError("train.flip: points cannot be mirrored; set it to false");
  }
  if (data.size(0) == 0) {
    throw core::DataError("the training data is empty");
  }
  return options;
}

void log_quarters(const at::Tensor& losses, const at::Tensor& t, int64_t chain_steps,
                  training::StepLog& log) {
  const at::Tensor values = losses.detach().to(torch::kCPU, torch::kFloat64).contiguous();
  const auto* loss = values.data_ptr<double>();
  const auto* step = t.data_ptr<int64_t>();
  double sums[kQuarters] = {};
  int64_t counts[kQuarters] = {};
  for (int64_t i = 0; i < t.numel(); ++i) {
    const int64_t quarter = step[i] * kQuarters / chain_steps;
    sums[quarter] += loss[i];
    ++counts[quarter];
  }
  for (int64_t quarter = 0; quarter < kQuarters; ++quarter) {
    if (counts[quarter] > 0) {
      log[fmt::format("loss_q{}", quarter)] = sums[quarter] / static_cast<double>(counts[quarter]);
    }
  }
}

}  // namespace

DdpmTask::DdpmTask(const DiffusionNetwork& network, DiffusionProcess process, at::Tensor data,
                   const ObjectiveOptions& options, tensor::NamedTensors buffers)
    : network_(network),
      process_(std::move(process)),
      data_(std::move(data)),
      options_(checked(options, data_)),
      buffers_(std::move(buffers)),
      order_(options.seed, options.batch_size, data_.size(0)) {
  process_.require_eps_prediction();
}

DdpmTask::Batch DdpmTask::batch(int64_t step) {
  at::Tensor x_0 = data_.index_select(0, order_.indices(step));
  if (options_.flip) {
    x_0 = training::flip_horizontally(x_0,
                                      training::horizontal_flips(options_.seed, step, options_.batch_size));
  }
  if (x_0.scalar_type() == torch::kUInt8) {
    x_0 = to_pm1(x_0);
  }
  const auto slots = tensor::index_range(0, options_.batch_size);
  return {.x_0 = x_0,
          .t = tensor::integers({options_.seed, "train.t"}, slots, step, process_.steps()),
          .eps = tensor::normal_rows({options_.seed, "train.eps"}, slots, step, x_0.sizes().slice(1))};
}

at::Tensor DdpmTask::loss(int64_t step, training::StepLog& log) {
  const auto [x_0, t, eps] = batch(step);
  const auto device = network_.device();
  const auto x_t = process_.q_sample(x_0, t, eps).to(device);
  const auto target = training_target(options_.prediction, x_0, eps).to(device);
  const auto output = network_.forward(x_t, t.to(device), TrainingPass{options_.seed, step});
  std::vector<int64_t> dimensions(static_cast<size_t>(output.dim() - 1));
  std::iota(dimensions.begin(), dimensions.end(), int64_t{1});
  const auto losses = torch::mse_loss(output, target, at::Reduction::None).mean(dimensions);
  log_quarters(losses, t, process_.steps(), log);
  return losses.mean();
}

}  // namespace ddpm_eval::ddpm
