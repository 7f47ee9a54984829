#pragma once

#include "base/tensor/named_tensor.h"

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// Creates and registers a network's parameters. Random ones are drawn from streams keyed by their names, so
/// that a layer's start depends neither on the order of construction nor on the other layers.
class ParameterMaker {
 public:
  explicit ParameterMaker(uint64_t seed) : seed_(seed) {}

  /// Variance scaling, fan_avg, uniform: bound sqrt(6 scale / (fan_in + fan_out)). `scale` 1 is Glorot &
  /// Bengio 2010; the official DDPM code's "zero" layers have 1e-10. `shape`: [out, in] or [out, in, kh, kw].
  at::Tensor glorot(const std::string& name, at::IntArrayRef shape, double scale = 1);

  at::Tensor constant(const std::string& name, int64_t size, double value);

  tensor::NamedTensors take() { return std::move(parameters_); }

 private:
  at::Tensor add(const std::string& name, at::Tensor values);

  uint64_t seed_;
  tensor::NamedTensors parameters_;
};

}  // namespace ddpm_eval::ddpm
