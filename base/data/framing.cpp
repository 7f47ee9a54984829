#include "base/data/framing.h"

#include "base/tensor/shape.h"

#include <algorithm>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

constexpr int64_t kCelebAWidth = 178, kCelebAHeight = 218;
constexpr int64_t kFaceLeft = 25, kFaceTop = 57, kFaceSide = 128;

at::Tensor cut(const at::Tensor& image, int64_t top, int64_t left, int64_t side) {
  return image.narrow(1, top, side).narrow(2, left, side);
}

/// [C, S, S] to [C, side, side], side below S.
at::Tensor shrink(const at::Tensor& square, int64_t side) {
  const at::Tensor planes = square.contiguous();
  at::Tensor small = torch::empty({planes.size(0), side, side}, torch::kUInt8);
  for (int64_t c = 0; c < planes.size(0); ++c) {
    const auto from = static_cast<int>(planes.size(1)), to = static_cast<int>(side);
    const cv::Mat in(from, from, CV_8UC1, planes[c].data_ptr());
    cv::Mat out(to, to, CV_8UC1, small[c].data_ptr());
    cv::resize(in, out, out.size(), 0, 0, cv::INTER_AREA);
  }
  return small;
}

}  // namespace

FramedImage frame_image(const at::Tensor& image_u8, const Framing& framing) {
  tensor::expect(image_u8, at::kByte, {-1, -1, -1}, "image_u8");
  const int64_t height = image_u8.size(1), width = image_u8.size(2);
  at::Tensor image = image_u8;
  if (framing.crop == Crop::kCelebA) {
    if (width != kCelebAWidth || height != kCelebAHeight) {
      return {{},
              fmt::format("has {} x {} pixels, and crop=celeba is for the aligned {} x {}; use crop=center",
                          width, height, kCelebAWidth, kCelebAHeight)};
    }
    image = cut(image, kFaceTop, kFaceLeft, kFaceSide);
  } else if (framing.crop == Crop::kCenter) {
    const int64_t side = std::min(width, height);
    image = cut(image, (height - side) / 2, (width - side) / 2, side);
  }
  if (framing.side > 0) {
    if (image.size(1) != image.size(2)) {
      return {{}, fmt::format("has {} x {} pixels, no square; add crop=center", width, height)};
    }
    if (image.size(1) < framing.side) {
      return {
          {},
          fmt::format("has {} x {} pixels to use, and nothing is enlarged to side={}; choose a smaller side",
                      image.size(2), image.size(1), framing.side)};
    }
    if (image.size(1) > framing.side) {
      image = shrink(image, framing.side);
    }
  }
  return {image.contiguous(), {}};
}

std::string describe(const Framing& framing) {
  const auto crop = framing.crop == Crop::kCelebA   ? "cropped to the 128 x 128 around the face"
                    : framing.crop == Crop::kCenter ? "cropped to the square in the middle"
                                                    : "";
  const auto resize =
      framing.side > 0 ? fmt::format("resized to {0} x {0} by area", framing.side) : std::string();
  return fmt::format("{}{}{}", crop, *crop != '\0' && !resize.empty() ? ", " : "", resize);
}

}  // namespace ddpm_eval::data
