#include "base/training/adam.h"

#include "base/core/error.h"
#include "base/training/adam_kernel.h"
#include "base/training/blocks.h"
#include "base/training/gpu_update.h"

#include <cmath>

#include <ATen/Parallel.h>

namespace ddpm_eval::training {
namespace {

template <class Real>
detail::AdamCoefficients<Real> coefficients(const AdamOptions& options, int64_t step, double learning_rate,
                                            double grad_scale) {
  const auto t = static_cast<double>(step + 1);
  return {
      .beta1 = static_cast<Real>(options.beta1),
      .one_minus_beta1 = static_cast<Real>(1 - options.beta1),
      .beta2 = static_cast<Real>(options.beta2),
      .one_minus_beta2 = static_cast<Real>(1 - options.beta2),
      .grad_scale = static_cast<Real>(grad_scale),
      .step_size = static_cast<Real>(learning_rate / (1 - std::pow(options.beta1, t))),
      .inverse_root_bc2 = static_cast<Real>(1 / std::sqrt(1 - std::pow(options.beta2, t))),
      .eps = static_cast<Real>(options.eps),
      .keep = static_cast<Real>(1 - learning_rate * options.weight_decay),
  };
}

/// One parameter with what goes with it.
using Slot = gpu::AdamTensors;

/// Whether the four can be walked side by side as arrays.
bool in_one_order(const Slot& slot) {
  return detail::same_storage_order(slot.parameter, slot.grad) &&
         detail::same_storage_order(slot.parameter, slot.exp_avg) &&
         detail::same_storage_order(slot.parameter, slot.exp_avg_sq);
}

template <class Real>
void update_block(const Slot& slot, const detail::Block& block, const detail::AdamCoefficients<Real>& c) {
  detail::adam_block(slot.parameter.data_ptr<Real>() + block.begin, slot.grad.data_ptr<Real>() + block.begin,
                     slot.exp_avg.data_ptr<Real>() + block.begin,
                     slot.exp_avg_sq.data_ptr<Real>() + block.begin, block.end - block.begin, c);
}

/// The same arithmetic by LibTorch's operators, for other devices, dtypes and tensors with gaps.
void update_by_operators(const std::vector<Slot>& slots, const detail::AdamCoefficients<double>& c) {
  std::vector<at::Tensor> parameters, exp_avgs, exp_avg_sqs, grads;
  for (const auto& slot : slots) {
    parameters.push_back(slot.parameter);
    grads.push_back(slot.grad);
    exp_avgs.push_back(slot.exp_avg);
    exp_avg_sqs.push_back(slot.exp_avg_sq);
  }
  if (c.grad_scale != 1) {
    grads = torch::_foreach_mul(grads, c.grad_scale);
  }
  torch::_foreach_mul_(exp_avgs, c.beta1);
  torch::_foreach_add_(exp_avgs, grads, c.one_minus_beta1);
  torch::_foreach_mul_(exp_avg_sqs, c.beta2);
  torch::_foreach_addcmul_(exp_avg_sqs, grads, grads, c.one_minus_beta2);
  auto denominators = torch::_foreach_sqrt(exp_avg_sqs);
  torch::_foreach_mul_(denominators, c.inverse_root_bc2);
  torch::_foreach_add_(denominators, c.eps);
  if (c.keep != 1) {
    torch::_foreach_mul_(parameters, c.keep);
  }
  torch::_foreach_addcdiv_(parameters, exp_avgs, denominators, -c.step_size);
}

}  // namespace

Adam::Adam(const tensor::NamedTensors& parameters, const AdamOptions& options) : options_(options) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, parameter] : parameters) {
    exp_avg_.push_back({name, torch::zeros_like(parameter)});
    exp_avg_sq_.push_back({name, torch::zeros_like(parameter)});
  }
}

void Adam::update(const tensor::NamedTensors& parameters, int64_t step, double learning_rate,
                  double grad_scale) {
  DDPM_CHECK(parameters.size() == exp_avg_.size(), "{} parameters, but moments for {}", parameters.size(),
             exp_avg_.size());
  const at::NoGradGuard no_grad;
  const auto wide = coefficients<double>(options_, step, learning_rate, grad_scale);
  const auto narrow = coefficients<float>(options_, step, learning_rate, grad_scale);
  std::vector<Slot> slots(parameters.size());
  std::vector<bool> plain(parameters.size(), false);
  std::vector<Slot> on_gpu, others;
  for (size_t i = 0; i < parameters.size(); ++i) {
    DDPM_CHECK(parameters[i].name == exp_avg_[i].name, "parameter '{}' where '{}' was", parameters[i].name,
               exp_avg_[i].name);
    slots[i] = {parameters[i].tensor, parameters[i].tensor.grad(), exp_avg_[i].tensor, exp_avg_sq_[i].tensor};
    if (!slots[i].grad.defined()) {
      continue;
    }
    const bool in_order = in_one_order(slots[i]);
    plain[i] = in_order && detail::is_plain(slots[i].parameter);
    if (!plain[i]) {
      (in_order && gpu::suits(slots[i].parameter) ? on_gpu : others).push_back(slots[i]);
    }
  }
  gpu::adam(on_gpu, narrow);
  if (!others.empty()) {
    update_by_operators(others, wide);
  }
  const auto blocks = detail::cut_into_blocks(parameters, [&](size_t i) { return plain[i]; });
  at::parallel_for(0, static_cast<int64_t>(blocks.size()), detail::kBlockGrain,
                   [&](int64_t begin, int64_t end) {
                     for (auto b = static_cast<size_t>(begin); b < static_cast<size_t>(end); ++b) {
                       const Slot& slot = slots[blocks[b].tensor];
                       if (slot.parameter.scalar_type() == torch::kFloat32) {
                         update_block<float>(slot, blocks[b], narrow);
                       } else {
                         update_block<double>(slot, blocks[b], wide);
                       }
                     }
                   });
}

tensor::NamedTensors Adam::state() const {
  tensor::NamedTensors all;
  for (const auto& [name, moment] : exp_avg_) {
    all.push_back({"exp_avg." + name, moment});
  }
  for (const auto& [name, moment] : exp_avg_sq_) {
    all.push_back({"exp_avg_sq." + name, moment});
  }
  return all;
}

}  // namespace ddpm_eval::training
