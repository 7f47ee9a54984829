#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

// What part of a picture is used, and at what size: how photographs of many shapes become training data.
namespace ddpm_eval::data {

enum class Crop {
  kNone,
  kCenter,  ///< the largest square in the middle
  kCelebA,  ///< of the aligned 178 x 218 files: columns 25..152 and rows 57..184, the 128 x 128 around the
            ///< face (centre 89, 121) of the DDIM code and most papers on CelebA 64
};

struct Framing {
  Crop crop = Crop::kNone;
  int64_t side = 0;  ///< of the square that is made; 0: as large as it comes

  bool changes_images() const { return crop != Crop::kNone || side > 0; }
};

struct FramedImage {
  at::Tensor image_u8;  ///< uint8 [C, H', W']; undefined if there is a problem
  std::string problem;  ///< empty, or one line on why the image does not suit
};

/// Crops uint8 [C, H, W], then shrinks it by averaging over areas (OpenCV's INTER_AREA): no aliasing, no
/// overshoot. Nothing is enlarged, and with a side but without a crop nothing but squares is taken: both are
/// problems. Thread-safe. Where an odd number of pixels goes, one more is cut off on the right or at the
/// bottom.
FramedImage frame_image(const at::Tensor& image_u8, const Framing& framing);

/// "cropped to the square in the middle, resized to 64 x 64 by area"; empty if nothing is changed.
std::string describe(const Framing& framing);

}  // namespace ddpm_eval::data
