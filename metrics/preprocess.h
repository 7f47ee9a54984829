#pragma once

#include "metrics/preset.h"

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

/// uint8 RGB [n, 3, H, W] of any size to float32 [n, 3, side, side] by that rule, on 0..255 but for
/// kHalfPixelBilinear, which is on [0, 1].
at::Tensor resample(Resampler resampler, const at::Tensor& images_u8, int64_t side);

/// What the tool of `preset` gives its network: uint8 RGB [n, 3, H, W] of any size to float32
/// [n, 3, side, side] in channels-last memory, resized and scaled, on the device of the images. No row
/// depends on another.
at::Tensor preprocess(const Preset& preset, const at::Tensor& images_u8, int64_t side);

/// The same of images in the CPU's memory, on tensor::compute_device(), without waiting for a GPU; in halves
/// where its memory does not suffice (tensor::halved_when_full).
at::Tensor preprocess_on_device(const Preset& preset, const at::Tensor& images_u8, int64_t side);

}  // namespace ddpm_eval::metrics
