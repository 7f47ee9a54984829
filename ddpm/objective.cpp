#include "ddpm/objective.h"

#include "base/core/error.h"
#include "base/tensor/derivative.h"
#include "base/tensor/noise.h"
#include "base/tensor/process_group.h"
#include "base/tensor/send.h"
#include "base/tensor/shape.h"
#include "ddpm/sampler.h"
#include "ddpm/table_values.h"

#include <algorithm>
#include <cmath>

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

constexpr int64_t kQuarters = 4;

const ObjectiveOptions& checked(const ObjectiveOptions& options, const at::Tensor& data) {
  if (options.batch_size < 1) {
    throw core::UsageError(core::Key{"train.batch_size"}, "{} is not a positive number", options.batch_size);
  }
  const bool images = data.dim() == 4 && data.scalar_type() == torch::kUInt8;
  const bool points = data.dim() == 2 && data.scalar_type() == torch::kFloat32;
  DDPM_CHECK(images || points, "training data is {}", tensor::describe(data));
  if (options.flip && points) {
    throw core::UsageError(core::Key{"train.flip"}, "points cannot be mirrored; set it to false");
  }
  if (data.size(0) == 0) {
    throw core::DataError("the training data is empty");
  }
  return options;
}

/// The mean of (a - b)^2 over all dimensions but the first; one step of the graph instead of four.
struct MeanSquares : torch::autograd::Function<MeanSquares> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& a,
                            const at::Tensor& b) {
    const at::Tensor difference = a - b;
    context->save_for_backward({difference});
    return (difference * difference).flatten(1).mean(1);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    tensor::refuse_second_derivative("a mean of squares");
    const at::Tensor difference = context->get_saved_variables()[0];
    std::vector<int64_t> column(static_cast<size_t>(difference.dim()), 1);
    column[0] = difference.size(0);
    const double dimensions = static_cast<double>(difference[0].numel());
    return {difference * (gradients[0] * (2 / dimensions)).view(column), at::Tensor()};
  }
};

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

/// The weight of the squared error at each t.
std::vector<double> square_weights(const ObjectiveConfig& objective, const DiffusionProcess& process) {
  const auto& tables = process.tables();
  std::vector<double> weights;
  if (objective.weighting == Weighting::kNone) {
    weights.assign(tables.alpha_bar.size(), 1.0);
    return weights;
  }
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
  return weights;
}

/// E of the squared training target per dimension at t, where x_0 has mean square `data` and eps is normal.
double mean_square_target(Prediction prediction, const ProcessTables& tables, size_t t, double data) {
  const double signal = tables.alpha_bar[t];
  const double noise = tables.one_minus_alpha_bar[t];
  switch (prediction) {
    case Prediction::kX0:
      return data;
    case Prediction::kV:
      return signal + noise * data;
    case Prediction::kMuTilde: {
      const double of_x_0 = tables.posterior_x_0[t] + tables.posterior_x_t[t] * std::sqrt(signal);
      return of_x_0 * of_x_0 * data + tables.posterior_x_t[t] * tables.posterior_x_t[t] * noise;
    }
    default:
      return 1;
  }
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
  at::Tensor losses = MeanSquares::apply(mean_output, target);
  if (objective.weighting == Weighting::kMinSnr) {
    losses = losses * values_at(square_weights(objective, process), t, losses).flatten();
  }
  if (objective.loss == Loss::kHybrid) {
    const auto held = torch::cat({mean_output.detach(), variance_output}, 1);
    losses = losses + bound(held) * (objective.hybrid_weight * steps);
  }
  return losses;
}

std::optional<double> loss_of_zero(const ObjectiveConfig& objective, const DiffusionProcess& process,
                                   double data_mean_square) {
  if (objective.loss != Loss::kSimple) {
    return std::nullopt;
  }
  const auto weights = square_weights(objective, process);
  double total = 0;
  for (size_t t = 0; t < weights.size(); ++t) {
    total += weights[t] *
             mean_square_target(objective.parameterisation.prediction, process.tables(), t, data_mean_square);
  }
  return total / static_cast<double>(weights.size());
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
  data_ = data_.to(network_.device());  // once: batches are put together where they are used
}

tensor::NamedTensors DdpmTask::buffers() {
  auto all = buffers_;
  for (auto& buffer : t_sampler_.buffers()) {
    all.push_back(std::move(buffer));
  }
  return all;
}

DdpmTask::Plan DdpmTask::plan(int64_t step) {
  Plan plan{.step = step,
            .indices = order_.indices(step),
            .flips = {},
            .draw = t_sampler_.draw(step, options_.batch_size),
            .losses = torch::zeros({options_.batch_size}, torch::kFloat64),
            .done = {}};
  if (options_.flip) {
    plan.flips = training::horizontal_flips(options_.seed, step, options_.batch_size);
  }
  return plan;
}

DdpmTask::Batch DdpmTask::rows_of(const Plan& plan, training::Rows rows) const {
  const auto device = data_.device();
  const auto part = [&](const at::Tensor& whole) { return whole.narrow(0, rows.begin, rows.count()); };
  at::Tensor x_0 = data_.index_select(0, tensor::send(part(plan.indices), device));
  if (plan.flips.defined()) {
    x_0 = training::flip_horizontally(x_0, tensor::send(part(plan.flips), device));
  }
  if (x_0.scalar_type() == torch::kUInt8) {
    x_0 = to_pm1(x_0);
  }
  const auto slots = tensor::index_range(rows.begin, rows.end);
  return {.x_0 = x_0,
          .t = part(plan.draw.t),
          .eps = tensor::normal_rows({options_.seed, "train.eps"}, slots, plan.step, x_0.sizes().slice(1),
                                     device),
          .weight = part(plan.draw.weight)};
}

DdpmTask::Batch DdpmTask::batch(int64_t step) { return rows_of(plan(step), {0, options_.batch_size}); }

at::Tensor DdpmTask::loss(int64_t step, training::StepLog& log) {
  const training::Rows all{0, options_.batch_size};
  const auto loss = part_of_loss(step, all);
  end_of_parts(step, all, log);
  return loss;
}

at::Tensor DdpmTask::part_of_loss(int64_t step, training::Rows rows) {
  DDPM_CHECK(0 <= rows.begin && rows.begin < rows.end && rows.end <= options_.batch_size,
             "rows {} to {} of {}", rows.begin, rows.end, options_.batch_size);
  if (plan_.step != step || rows.begin != plan_.done.end) {
    plan_ = plan(step);
    plan_.done = {rows.begin, rows.begin};
  }
  const auto [x_0, t, eps, weight] = rows_of(plan_, rows);
  const auto x_t = process_.q_sample(x_0, t, eps);
  const auto output = network_.forward(x_t, tensor::send(t, data_.device()),
                                       TrainingPass{options_.seed, step, rows.begin, options_.precision});
  const auto losses = example_losses(options_.objective, process_, decoder_, x_0, x_t, t, eps, output);
  plan_.losses.narrow(0, rows.begin, rows.count()).copy_(losses.detach());
  plan_.done.end = rows.end;
  const auto share = weight / static_cast<double>(options_.batch_size);
  return torch::dot(losses, tensor::send(share.to(losses.scalar_type()), losses.device()));
}

void DdpmTask::end_of_parts(int64_t step, training::Rows own, training::StepLog& log) {
  DDPM_CHECK(
      own.count() == 0 || (plan_.step == step && plan_.done.begin == own.begin && plan_.done.end == own.end),
      "rows {} to {} of step {}, after {} to {} of step {}", own.begin, own.end, step, plan_.done.begin,
      plan_.done.end, plan_.step);
  if (plan_.step != step) {
    plan_ = plan(step);
  }
  const auto mine = own.count() > 0 ? plan_.losses.narrow(0, own.begin, own.count()) : at::Tensor();
  const auto losses = tensor::process_group().gather_rows(mine);
  DDPM_CHECK(losses.size(0) == options_.batch_size, "losses of {} rows of {}", losses.size(0),
             options_.batch_size);
  log_quarters(losses, plan_.draw.t, process_.steps(), log);
  t_sampler_.record(plan_.draw.t, losses);
  plan_ = Plan();  // its step is done
}

}  // namespace ddpm_eval::ddpm
