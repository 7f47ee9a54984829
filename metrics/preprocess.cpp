#include "metrics/preprocess.h"

#include "base/tensor/gpu_memory.h"
#include "base/tensor/runtime.h"
#include "base/tensor/send.h"
#include "metrics/filter_resample.h"
#include "metrics/resample.h"

#include <torch/types.h>

namespace ddpm_eval::metrics {

at::Tensor resample(Resampler resampler, const at::Tensor& images_u8, int64_t side) {
  switch (resampler) {
    case Resampler::kTf1Bilinear:
      return resample_tf1_bilinear(images_u8, side, side);
    case Resampler::kHalfPixelBilinear:
      return resample_half_pixel_bilinear(images_u8, side, side);
    case Resampler::kHalfPixelOfBytes:
      return resample_half_pixel_of_bytes(images_u8, side, side);
    case Resampler::kAntialiasedBilinear:
      return resample_antialiased_bilinear(images_u8, side, side);
    case Resampler::kPillowBicubic:
      return resample_pillow_bicubic(images_u8, side, side);
    case Resampler::kPillowBicubicOfBytes:
      return resample_pillow_bicubic_of_bytes(images_u8, side, side);
  }
  return {};
}

at::Tensor preprocess(const Preset& preset, const at::Tensor& images_u8, int64_t side) {
  at::Tensor x = resample(preset.resampler, images_u8, side);
  switch (preset.scaling) {
    case Scaling::kCentredBytes:
      return x.sub_(128).mul_(1.0 / 128);
    case Scaling::kSignedUnit:
      return x.mul_(2).sub_(1);
    case Scaling::kSignedBytes:
      return x.clamp_(0, 255).div_(255).mul_(2).sub_(1);
  }
  return x;
}

at::Tensor preprocess_on_device(const Preset& preset, const at::Tensor& images_u8, int64_t side) {
  const auto sent = tensor::send(images_u8, tensor::compute_device());
  const auto rows = tensor::halved_when_full({sent}, [&](const std::vector<at::Tensor>& inputs) {
    return std::vector<at::Tensor>{preprocess(preset, inputs.front(), side)};
  });
  return rows.front();
}

}  // namespace ddpm_eval::metrics
