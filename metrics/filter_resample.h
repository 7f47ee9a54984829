#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

// Resizing by filters that widen with the reduction, so that no pixel of a large image is passed over. Both
// take uint8 [n, 3, H, W] of any size and return float32 [n, 3, out_h, out_w] on 0..255 in channels-last
// memory. Output o is a weighted sum of the inputs within reach of (o + 0.5) * in / out, the weights
// normalised to 1: columns first, rounded to float32, then rows. No fused operations and one order of every
// sum: the same bits on every processor. No row of the batch depends on another; the identity when the size
// stays the same.
namespace ddpm_eval::metrics {

/// Pillow's Image.resize(..., BICUBIC) of each colour in mode F (libImaging/Resample.c): the cubic of
/// Keys 1981 with a = -0.5, weights and sums in float64. What overshoots is clipped to 0..255, as clean-fid
/// does. Bit-exact with Pillow 9.4 on x86-64.
at::Tensor resample_pillow_bicubic(const at::Tensor& images_u8, int64_t out_h, int64_t out_w);

/// The same of Pillow's 8-bit images, as torchvision's transforms and dgm-eval's DINOv2 resize: weights of 22
/// binary digits, and bytes after the columns and again after the rows. Whole numbers on 0..255. Bit-exact
/// with Pillow.
at::Tensor resample_pillow_bicubic_of_bytes(const at::Tensor& images_u8, int64_t out_h, int64_t out_w);

/// PyTorch's interpolate(mode="bilinear", align_corners=False, antialias=True): a triangle, weights and sums
/// in float32. Convention of torchmetrics since 1.8 (bit-exact with PyTorch 1.13 where its kernels do not
/// fuse multiply and add; within 1e-4 of a grey level where they do). At H <= out_h and W <= out_w this is
/// half-pixel bilinear without antialiasing.
at::Tensor resample_antialiased_bilinear(const at::Tensor& images_u8, int64_t out_h, int64_t out_w);

namespace detail {

/// The same rules by LibTorch's operators, on the device of the images: what a GPU runs. The same
/// bits, in a layout of no promise.
at::Tensor pillow_bicubic_by_operators(const at::Tensor& images_u8, int64_t out_h, int64_t out_w);
at::Tensor antialiased_bilinear_by_operators(const at::Tensor& images_u8, int64_t out_h, int64_t out_w);

}  // namespace detail

}  // namespace ddpm_eval::metrics
