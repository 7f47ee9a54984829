#pragma once

#include "base/tensor/convolution.h"

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

// oneDNN's convolutions on plain memory. Private to base/tensor. Activations are dense and channels-last.
namespace ddpm_eval::tensor::onednn {

struct Problem {
  int64_t rows, in, height, width, out;
  Sides kernel;
  int64_t out_height, out_width;
  ConvolutionShape shape;
  at::ScalarType dtype;                    ///< of x, and what is multiplied: float32 or bfloat16
  at::ScalarType result;                   ///< of y
  bool adds = false;                       ///< y is added to instead of written
  Rectifier rectifier = Rectifier::kNone;  ///< of forward()

  bool operator==(const Problem&) const = default;
};

/// A weight in the layout that the forward pass of one problem wants.
struct PackedWeight {
  at::Tensor memory;
  std::shared_ptr<const void> layout;
};

/// Whether this build has oneDNN.
bool available();

/// Whether oneDNN uses AVX-512 on this processor.
bool has_avx512();

/// Whether oneDNN computes bfloat16 on this processor.
bool computes_bfloat16();

/// `weight` is float32 [out, in, k, l], contiguous. Shares the memory of `other` if the layouts agree.
PackedWeight pack(const Problem& problem, const at::Tensor& weight, const PackedWeight* other = nullptr);

void forward(const Problem& problem, const at::Tensor& x, const PackedWeight& weight, const at::Tensor& bias,
             at::Tensor& y);
void backward_data(const Problem& problem, const at::Tensor& dy, const at::Tensor& weight, at::Tensor& dx);
/// `dweight` and `dbias` are float32, contiguous.
void backward_weights(const Problem& problem, const at::Tensor& x, const at::Tensor& dy, at::Tensor& dweight,
                      at::Tensor& dbias);

}  // namespace ddpm_eval::tensor::onednn
