#include "ddpm/parameter_maker.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/runtime.h"
#include "base/tensor/shape.h"

#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::ddpm {

ParameterMaker::ParameterMaker(const tensor::NamedTensors& saved, std::string origin)
    : from_(From::kCheckpoint), origin_(std::move(origin)) {
  for (const auto& [name, values] : saved) {
    unused_.emplace(name, values);
  }
}

ParameterMaker ParameterMaker::layout() {
  ParameterMaker maker(0);
  maker.from_ = From::kNothing;
  return maker;
}

at::Tensor ParameterMaker::glorot(const std::string& name, at::IntArrayRef shape, double scale) {
  int64_t receptive = 1;
  for (size_t i = 2; i < shape.size(); ++i) {
    receptive *= shape[i];
  }
  const auto fans = static_cast<double>((shape[0] + shape[1]) * receptive);
  const double bound = std::sqrt(6 * scale / fans);
  return uniform(name, shape, -bound, bound);
}

at::Tensor ParameterMaker::uniform(const std::string& name, at::IntArrayRef shape, double low, double high) {
  if (from_ != From::kSeed) {
    return from_ == From::kCheckpoint ? saved(name, shape) : expanded(name, shape);
  }
  const std::string purpose = "init:" + name;
  const auto unit =
      tensor::uniform_rows({seed_, purpose}, tensor::index_range(0, shape[0]), /*step=*/0, shape.slice(1));
  return add(name, unit * (high - low) + low);
}

at::Tensor ParameterMaker::constant(const std::string& name, int64_t size, double value) {
  if (from_ != From::kSeed) {
    return from_ == From::kCheckpoint ? saved(name, {size}) : expanded(name, {size});
  }
  return add(name, torch::full({size}, value, torch::kFloat32));
}

tensor::NamedTensors ParameterMaker::take() {
  if (!unused_.empty()) {
    throw core::DataError("{}: tensor '{}' is not part of this network", origin_, unused_.begin()->first);
  }
  return std::move(parameters_);
}

at::Tensor ParameterMaker::saved(const std::string& name, at::IntArrayRef shape) {
  const auto found = unused_.find(name);
  if (found == unused_.end()) {
    throw core::DataError("{}: tensor '{}' is missing", origin_, name);
  }
  const at::Tensor values = found->second;
  if (values.sizes() != shape || values.scalar_type() != torch::kFloat32) {
    throw core::DataError("{}: tensor '{}' is {} where float32 {} is needed", origin_, name,
                          tensor::describe(values), tensor::describe(shape));
  }
  unused_.erase(found);
  return add(name, values.detach().contiguous());
}

at::Tensor ParameterMaker::expanded(const std::string& name, at::IntArrayRef shape) {
  return add(name, torch::zeros({1}, torch::kFloat32).expand(shape));
}

at::Tensor ParameterMaker::add(const std::string& name, at::Tensor values) {
  if (from_ != From::kNothing) {
    values = values.to(tensor::compute_device());
  }
  values.requires_grad_(true);
  parameters_.push_back({name, values});
  return values;
}

}  // namespace ddpm_eval::ddpm
