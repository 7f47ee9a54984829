#pragma once

#include "base/tensor/named_tensor.h"

#include <cstdint>
#include <string>
#include <unordered_map>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// Creates and registers a network's parameters: drawn anew, taken from a checkpoint, or laid out only.
class ParameterMaker {
 public:
  /// Random ones are drawn from streams keyed by their names, so that a layer's start depends neither on the
  /// order of construction nor on the other layers.
  explicit ParameterMaker(uint64_t seed) : seed_(seed) {}

  /// Every parameter is the tensor of its name in `saved`, whose storage it shares, so that a network takes
  /// no more memory than its file has bytes. Throws DataError naming `origin` for a tensor that is missing,
  /// of another shape or not float32.
  ParameterMaker(const tensor::NamedTensors& saved, std::string origin);

  /// Names and shapes alone: every parameter is a single zero, expanded to its shape. For lists of what a
  /// network needs, not for passes through it.
  static ParameterMaker layout();

  /// Variance scaling, fan_avg, uniform: bound sqrt(6 scale / (fan_in + fan_out)). `scale` 1 is Glorot &
  /// Bengio 2010; the official DDPM code's "zero" layers have 1e-10. `shape`: [out, in] or [out, in, kh, kw].
  at::Tensor glorot(const std::string& name, at::IntArrayRef shape, double scale = 1);

  /// Uniform on [low, high).
  at::Tensor uniform(const std::string& name, at::IntArrayRef shape, double low, double high);

  at::Tensor constant(const std::string& name, int64_t size, double value);

  /// The parameters made. Throws DataError if a checkpoint has others besides.
  tensor::NamedTensors take();

 private:
  enum class From { kSeed, kCheckpoint, kNothing };

  at::Tensor add(const std::string& name, at::Tensor values);
  at::Tensor saved(const std::string& name, at::IntArrayRef shape);
  at::Tensor expanded(const std::string& name, at::IntArrayRef shape);

  uint64_t seed_ = 0;
  tensor::NamedTensors parameters_;
  From from_ = From::kSeed;
  std::string origin_;
  std::unordered_map<std::string, at::Tensor> unused_;  ///< of the checkpoint's
};

}  // namespace ddpm_eval::ddpm
