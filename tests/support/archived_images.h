#pragma once

#include "base/data/image_codec.h"
#include "base/data/source_spec.h"
#include "tests/support/tensor_matchers.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <torch/types.h>

// What tests of zip and tar archives of images have in common.
namespace ddpm_eval::testing {

/// The bytes of a PNG file; uint8 [3, H, W].
inline std::string png_of(const at::Tensor& image) {
  const auto bytes = data::encode_png(image);
  return {bytes.begin(), bytes.end()};
}

/// Of 3 x 4 pixels.
inline std::string png_of_value(int value) { return png_of(torch::full({3, 3, 4}, value, torch::kUInt8)); }

/// The first pixel's red of all images that are left.
inline std::vector<int> first_pixels(data::ImageSource& source) {
  std::vector<int> values;
  for (at::Tensor batch; (batch = source.next(100)).defined();) {
    for (int64_t i = 0; i < batch.size(0); ++i) {
      values.push_back(batch[i][0][0][0].item<int>());
    }
  }
  return values;
}

/// That `path`, an archive of `images`, uint8 [4, 3, 6, 8] in its order, is a source that may be cut to a
/// part and framed.
inline void expect_source_of(const std::string& path, data::SourceKind kind, const at::Tensor& images) {
  EXPECT_EQ(data::parse_source(path).kind, kind);
  EXPECT_THAT(data::open_image_source(data::parse_source(path))->next(9), TensorEq(images));
  EXPECT_THAT(data::open_image_source(data::parse_source(path + "?first=1&num=2"))->next(9),
              TensorEq(images.narrow(0, 1, 2)));
  EXPECT_THAT(data::load_image_dataset(data::parse_source(path + "?crop=center&side=6")).images_u8,
              TensorEq(images.narrow(3, 1, 6)));
}

}  // namespace ddpm_eval::testing
