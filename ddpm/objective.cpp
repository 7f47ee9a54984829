#include "ddpm/objective.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/shape.h"
#include "ddpm/sampler.h"
#include "ddpm/table_values.h"

#include <algorithm>

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

/// `losses`: float64 [n] on the CPU.
void log_quarters(const at::Tensor& losses, const at::Tensor& t, int64_t chain_steps,
                  training::StepLog& log) {
  const auto* loss = losses.data_ptr<double>();
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

/// The weight of each example's squared error, shaped [n].
at::Tensor min_snr_weights(const ObjectiveConfig& objective, const DiffusionProcess& process,
                           const at::Tensor& t, const at::Tensor& like) {
  const auto& tables = process.tables();
  std::vector<double> weights;
  for (size_t i = 0; i < tables.alpha_bar.size(); ++i) {
    const double snr = tables.alpha_bar[i] / tables.one_minus_alpha_bar[i];
    const double limited = std::min(snr, objective.snr_gamma);
    switch (objective.parameterisation.prediction) {
      case Prediction::kEps:
        weights.push_back(limited / snr);
        break;
      case Prediction::kV:
        weights.push_back(limited / (snr + 1));
        break;
      default:
        weights.push_back(limited);
    }
  }
  return values_at(weights, t, like).flatten();
}

}  // namespace

at::Tensor example_losses(const ObjectiveConfig& objective, const DiffusionProcess& process, Decoder decoder,
                          const at::Tensor& x_0, const at::Tensor& x_t, const at::Tensor& t,
                          const at::Tensor& eps, const at::Tensor& output) {
  const auto& parameterisation = objective.parameterisation;
  const auto bound = [&](const at::Tensor& from) {
    return bound_terms(process, decoder, x_0, x_t, t,
                       reverse_step(parameterisation, process, x_t, t, from, /*clip=*/false));
  };
  const auto steps = static_cast<double>(process.steps());
  if (objective.loss == Loss::kBound || objective.loss == Loss::kBoundSum) {
    return objective.loss == Loss::kBound ? bound(output) : bound(output) * steps;
  }
  const auto [mean_output, variance_output] = split_output(parameterisation, output);
  const auto target = training_target(parameterisation.prediction, process, x_0, x_t, t, eps);
  auto losses = (mean_output - target).pow(2).flatten(1).mean(1);
  if (objective.weighting == Weighting::kMinSnr) {
    losses = losses * min_snr_weights(objective, process, t, losses);
  }
  if (objective.loss == Loss::kHybrid) {
    const auto held = torch::cat({mean_output.detach(), variance_output}, 1);
    losses = losses + bound(held) * (objective.hybrid_weight * steps);
  }
  return losses;
}

DdpmTask::DdpmTask(const DiffusionNetwork& network, DiffusionProcess process, at::Tensor data,
                   const ObjectiveOptions& options, tensor::NamedTensors buffers)
    : network_(network),
      process_(std::move(process)),
      data_(std::move(data)),
      options_(checked(options, data_)),
      decoder_(data_.dim() == 4 ? Decoder::kDiscretised : Decoder::kContinuous),
      buffers_(std::move(buffers)),
      order_(options.seed, options.batch_size, data_.size(0)),
      t_sampler_(options.objective.t_sampling, process_.steps(), options.seed) {
  options_.objective.validate(process_);
}

tensor::NamedTensors DdpmTask::buffers() {
  auto all = buffers_;
  for (auto& buffer : t_sampler_.buffers()) {
    all.push_back(std::move(buffer));
  }
  return all;
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
  auto draw = t_sampler_.draw(step, options_.batch_size);
  const auto slots = tensor::index_range(0, options_.batch_size);
  return {.x_0 = x_0,
          .t = std::move(draw.t),
          .eps = tensor::normal_rows({options_.seed, "train.eps"}, slots, step, x_0.sizes().slice(1)),
          .weight = std::move(draw.weight)};
}

at::Tensor DdpmTask::loss(int64_t step, training::StepLog& log) {
  const auto device = network_.device();
  const auto [x_0, t, eps, weight] = batch(step);
  const auto x_t = process_.q_sample(x_0, t, eps);
  const auto output =
      network_.forward(x_t.to(device), t.to(device), TrainingPass{options_.seed, step, options_.precision});
  const auto losses = example_losses(options_.objective, process_, decoder_, x_0.to(device), x_t.to(device),
                                     t, eps.to(device), output);
  const auto seen = losses.detach().to(torch::kCPU, torch::kFloat64).contiguous();
  log_quarters(seen, t, process_.steps(), log);
  t_sampler_.record(t, seen);
  return (losses * weight.to(losses.device(), losses.scalar_type())).mean();
}

}  // namespace ddpm_eval::ddpm
