#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

// Group normalisation with the swish that follows it on the device, for whole batches in channels-last order,
// without LibTorch: what ddpm/norm_kernel.h does for one image. Sums are float32 in an order that depends on
// the problem alone, so equal inputs give equal bits. Where a few channels of an image fit the registers of a
// block, every number is read once and written once; otherwise x is read twice.
namespace ddpm_eval::ddpm::cuda {

/// [images][positions][channels] in float32 or bfloat16; all else is float32. channels / groups channels in a
/// row make a group.
struct NormProblem {
  int64_t images;
  int64_t positions;
  int64_t channels;
  int64_t groups;
  float eps;
  bool swish;
  bool bfloat16;
};

/// How many floats of `scratch` the functions below need.
int64_t norm_scratch_floats(const NormProblem& problem);

/// y = act(weight (x + shift - mean) rstd + bias), with mean and rstd = 1 / sqrt(variance + eps) per image
/// and group of x + shift, which are kept in `mean` and `rstd` [images][groups]. `shift` [images][channels]
/// may be null.
void norm_forward(const NormProblem& problem, const void* x, const float* weight, const float* bias,
                  const float* shift, void* y, float* mean, float* rstd, float* scratch, cudaStream_t stream);

/// The gradients from that of y: dx, those of weight and bias [channels] summed over images, and that of
/// shift [images][channels], which may be null.
void norm_backward(const NormProblem& problem, const void* x, const float* weight, const float* bias,
                   const float* shift, const float* mean, const float* rstd, const void* dy, void* dx,
                   float* dweight, float* dbias, float* dshift, float* scratch, cudaStream_t stream);

}  // namespace ddpm_eval::ddpm::cuda
