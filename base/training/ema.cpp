#include "base/training/ema.h"

#include "base/core/error.h"

namespace ddpm_eval::training {
namespace {

tensor::NamedTensors copies(const tensor::NamedTensors& tensors) {
  tensor::NamedTensors shadows;
  for (const auto& [name, tensor] : tensors) {
    shadows.push_back({name, tensor.detach().clone()});
  }
  return shadows;
}

void move_towards(const tensor::NamedTensors& shadows, const tensor::NamedTensors& targets, double weight) {
  DDPM_CHECK(shadows.size() == targets.size(), "{} averages for {} tensors", shadows.size(), targets.size());
  for (size_t i = 0; i < targets.size(); ++i) {
    DDPM_CHECK(shadows[i].name == targets[i].name, "tensor '{}' where '{}' was", targets[i].name,
               shadows[i].name);
    at::Tensor shadow = shadows[i].tensor;
    if (shadow.is_floating_point()) {
      shadow.lerp_(targets[i].tensor.detach(), weight);
    } else {
      shadow.copy_(targets[i].tensor);
    }
  }
}

}  // namespace

double ema_decay(const EmaOptions& options, int64_t n) {
  const auto count = static_cast<double>(n);
  return options.ramp ? std::min(options.decay, (1 + count) / (10 + count)) : options.decay;
}

Ema::Ema(const tensor::NamedTensors& parameters, const tensor::NamedTensors& buffers,
         const EmaOptions& options)
    : options_(options), parameters_(copies(parameters)), buffers_(copies(buffers)) {}

void Ema::update(const tensor::NamedTensors& parameters, const tensor::NamedTensors& buffers, int64_t n) {
  const at::NoGradGuard no_grad;
  const double weight = 1 - ema_decay(options_, n);
  move_towards(parameters_, parameters, weight);
  move_towards(buffers_, buffers, weight);
}

}  // namespace ddpm_eval::training
