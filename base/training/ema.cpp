#include "base/training/ema.h"

#include "base/core/error.h"
#include "base/training/adam_kernel.h"
#include "base/training/blocks.h"
#include "base/training/gpu_update.h"

#include <ATen/Parallel.h>

namespace ddpm_eval::training {
namespace {

tensor::NamedTensors copies(const tensor::NamedTensors& tensors) {
  tensor::NamedTensors shadows;
  for (const auto& [name, tensor] : tensors) {
    shadows.push_back({name, tensor.detach().clone()});
  }
  return shadows;
}

/// A weight and its average.
using Pair = gpu::AverageTensors;

template <class Real>
void average_part(const Pair& pair, const detail::Block& block, double weight) {
  detail::average_block(pair.average.data_ptr<Real>() + block.begin,
                        pair.value.data_ptr<Real>() + block.begin, block.end - block.begin,
                        static_cast<Real>(weight));
}

void move_towards(const tensor::NamedTensors& shadows, const tensor::NamedTensors& targets, double weight) {
  DDPM_CHECK(shadows.size() == targets.size(), "{} averages for {} tensors", shadows.size(), targets.size());
  std::vector<Pair> pairs(targets.size());
  std::vector<bool> plain(targets.size(), false);
  std::vector<Pair> on_gpu;
  for (size_t i = 0; i < targets.size(); ++i) {
    DDPM_CHECK(shadows[i].name == targets[i].name, "tensor '{}' where '{}' was", targets[i].name,
               shadows[i].name);
    const Pair& pair = pairs[i] = {shadows[i].tensor, targets[i].tensor};
    const bool in_one_order = detail::same_storage_order(pair.average, pair.value);
    plain[i] = in_one_order && detail::is_plain(pair.average);
    if (plain[i]) {
      continue;
    }
    if (in_one_order && gpu::suits(pair.average)) {
      on_gpu.push_back(pair);
    } else if (pair.average.is_floating_point()) {
      pair.average.lerp_(pair.value, weight);
    } else {
      pair.average.copy_(pair.value);
    }
  }
  gpu::average(on_gpu, static_cast<float>(weight));
  const auto blocks = detail::cut_into_blocks(targets, [&](size_t i) { return plain[i]; });
  at::parallel_for(0, static_cast<int64_t>(blocks.size()), detail::kBlockGrain,
                   [&](int64_t begin, int64_t end) {
                     for (auto b = static_cast<size_t>(begin); b < static_cast<size_t>(end); ++b) {
                       const Pair& pair = pairs[blocks[b].tensor];
                       if (pair.average.scalar_type() == torch::kFloat32) {
                         average_part<float>(pair, blocks[b], weight);
                       } else {
                         average_part<double>(pair, blocks[b], weight);
                       }
                     }
                   });
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
