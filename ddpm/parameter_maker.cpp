#include "ddpm/parameter_maker.h"

#include "base/tensor/noise.h"
#include "ddpm/network.h"

#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::ddpm {

int64_t count_elements(const tensor::NamedTensors& tensors) {
  int64_t count = 0;
  for (const auto& named : tensors) {
    count += named.tensor.numel();
  }
  return count;
}

at::Tensor ParameterMaker::glorot(const std::string& name, at::IntArrayRef shape, double scale) {
  int64_t receptive = 1;
  for (size_t i = 2; i < shape.size(); ++i) {
    receptive *= shape[i];
  }
  const auto fans = static_cast<double>((shape[0] + shape[1]) * receptive);
  const double bound = std::sqrt(6 * scale / fans);
  const std::string purpose = "init:" + name;
  const auto uniform =
      tensor::uniform_rows({seed_, purpose}, tensor::index_range(0, shape[0]), /*step=*/0, shape.slice(1));
  return add(name, uniform * (2 * bound) - bound);
}

at::Tensor ParameterMaker::constant(const std::string& name, int64_t size, double value) {
  return add(name, torch::full({size}, value, torch::kFloat32));
}

at::Tensor ParameterMaker::add(const std::string& name, at::Tensor values) {
  values.requires_grad_(true);
  parameters_.push_back({name, values});
  return values;
}

}  // namespace ddpm_eval::ddpm
