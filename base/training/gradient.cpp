#include "base/training/gradient.h"

#include "base/training/adam_kernel.h"
#include "base/training/blocks.h"
#include "base/training/gpu_update.h"

#include <cmath>

#include <ATen/Parallel.h>

namespace ddpm_eval::training {
namespace {

template <class Real>
double block_sum(const at::Tensor& grad, const detail::Block& block) {
  return detail::sum_of_squares(grad.data_ptr<Real>() + block.begin, block.end - block.begin);
}

/// One number back from the device for all gradients.
double norm_on_gpu(const tensor::NamedTensors& parameters) {
  std::vector<at::Tensor> grads;
  for (const auto& [name, parameter] : parameters) {
    if (const at::Tensor& grad = parameter.grad(); grad.defined()) {
      grads.push_back(gpu::suits(grad) ? grad : grad.to(torch::kFloat32).contiguous());
    }
  }
  return gpu::norm(grads);
}

}  // namespace

double gradient_norm(const tensor::NamedTensors& parameters) {
  const at::NoGradGuard no_grad;
  if (!parameters.empty() && parameters.front().tensor.is_cuda()) {
    return norm_on_gpu(parameters);
  }
  std::vector<at::Tensor> grads(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    grads[i] = parameters[i].tensor.grad();
    if (grads[i].defined() && !detail::is_plain(grads[i])) {
      grads[i] = grads[i].to(torch::kFloat64).cpu().contiguous();
    }
  }
  const auto blocks = detail::cut_into_blocks(parameters, [&](size_t i) { return grads[i].defined(); });
  std::vector<double> sums(blocks.size());
  at::parallel_for(0, static_cast<int64_t>(blocks.size()), detail::kBlockGrain,
                   [&](int64_t begin, int64_t end) {
                     for (auto b = static_cast<size_t>(begin); b < static_cast<size_t>(end); ++b) {
                       const at::Tensor& grad = grads[blocks[b].tensor];
                       sums[b] = grad.scalar_type() == torch::kFloat32 ? block_sum<float>(grad, blocks[b])
                                                                       : block_sum<double>(grad, blocks[b]);
                     }
                   });
  double total = 0;
  for (const double sum : sums) {
    total += sum;
  }
  return std::sqrt(total);
}

double clip_scale(double norm, double clip_norm) {
  return clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1.0;
}

void clear_gradients(const tensor::NamedTensors& parameters) {
  for (const auto& [name, parameter] : parameters) {
    at::Tensor(parameter).mutable_grad() = at::Tensor();
  }
}

}  // namespace ddpm_eval::training
