#include "metrics/preprocess.h"

#include "metrics/filter_resample.h"
#include "metrics/resample.h"

#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

at::Tensor resampled(Resampler resampler, const at::Tensor& images_u8, int64_t side) {
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
  }
  return {};
}

}  // namespace

at::Tensor preprocess(const Preset& preset, const at::Tensor& images_u8, int64_t side) {
  at::Tensor x = resampled(preset.resampler, images_u8, side);
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

}  // namespace ddpm_eval::metrics
