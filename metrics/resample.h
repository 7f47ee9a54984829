#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

// Bilinear resizing as the tools that score images do it. The rules differ from each other and from OpenCV's,
// and a score depends on them, so they are written out here. All take uint8 [n, 3, H, W] of any size, never
// antialias, blend in float32 without fused operations (the same bits on every processor and GPU) and return
// float32 [n, 3, out_h, out_w] in channels-last memory. No row of the batch depends on another; the identity
// when the size stays the same. Filters that antialias are in filter_resample.h.
namespace ddpm_eval::metrics {

/// TensorFlow 1's resize_bilinear with align_corners = false: output column o reads at x = o * (W / out_w),
/// t = x - floor(x), as left + (right - left) * t; rows likewise, after columns. Values stay on 0..255.
/// Convention of TTUR, torch-fidelity and NVIDIA's and OpenAI's evaluators (bit-exact with torch-fidelity's).
at::Tensor resample_tf1_bilinear(const at::Tensor& images_u8, int64_t out_h, int64_t out_w);

/// PyTorch's interpolate(mode="bilinear", align_corners=False) of v / 255: output column o reads at
/// x = max(0, (o + 0.5) * scale - 0.5), as (1 - t) * left + t * right, with scale = W / out_w in float32 and
/// x in float64. Values on [0, 1]. Convention of pytorch-fid (bit-exact with PyTorch 1.13 where its kernels
/// do not fuse multiply and add; within 1.2e-7 where they do).
at::Tensor resample_half_pixel_bilinear(const at::Tensor& images_u8, int64_t out_h, int64_t out_w);

/// The same of v itself, not yet divided: the last bits differ. Values on 0..255, or by their rounding
/// beyond. Convention of clean-fid's mode legacy_pytorch.
at::Tensor resample_half_pixel_of_bytes(const at::Tensor& images_u8, int64_t out_h, int64_t out_w);

}  // namespace ddpm_eval::metrics
