#include "tests/support/synthetic_inception.h"

#include "metrics/inception.h"
#include "tests/support/hashes.h"

#include <cmath>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::testing {
namespace {

/// On [-1, 1), a multiple of 2^-23.
double signed_unit(uint64_t seed, uint64_t index) {
  return static_cast<double>(splitmix64(seed, index) >> 40) * 0x1p-23 - 1.0;
}

struct Range {
  double centre;
  double radius;
};

Range range_of(const metrics::TensorSpec& spec) {
  if (spec.name.ends_with(".conv.weight")) {
    const double fan_in = static_cast<double>(spec.shape[1] * spec.shape[2] * spec.shape[3]);
    return {0.0, std::sqrt(6.0 / fan_in)};
  }
  if (spec.name.ends_with(".bn.weight")) {
    return {1.0, 0.25};
  }
  if (spec.name.ends_with(".bn.running_var")) {
    return {1.0, 0.5};
  }
  return {0.0, 0.25};
}

}  // namespace

tensor::NamedTensors synthetic_inception_weights() {
  tensor::NamedTensors weights;
  for (const auto& spec : metrics::expected_inception_tensors()) {
    at::Tensor values = at::zeros(spec.shape, spec.dtype);
    if (spec.dtype == at::kFloat) {
      const Range range = range_of(spec);
      const uint64_t seed = fnv1a(spec.name);
      float* out = values.data_ptr<float>();
      for (int64_t i = 0; i < values.numel(); ++i) {
        const double unit = signed_unit(seed, static_cast<uint64_t>(i));
        out[i] = static_cast<float>(range.centre + range.radius * unit);
      }
    }
    weights.push_back({spec.name, values});
  }
  return weights;
}

at::Tensor synthetic_image(const std::string& set, int64_t index, int64_t height, int64_t width,
                           int64_t noise) {
  constexpr int64_t kGrid = 5;
  at::Tensor image = at::empty({1, 3, height, width}, at::kByte);
  uint8_t* out = image.data_ptr<uint8_t>();
  for (int channel = 0; channel < 3; ++channel) {
    const uint64_t seed = fnv1a(fmt::format("image/{}/{}/{}", set, index, channel));
    const auto grid = [&](int64_t row, int64_t column) {
      return static_cast<int64_t>(splitmix64(seed, static_cast<uint64_t>(row * kGrid + column)) >> 56);
    };
    for (int64_t y = 0; y < height; ++y) {
      const int64_t fine_y = y * 1024 / height;
      for (int64_t x = 0; x < width; ++x) {
        const int64_t fine_x = x * 1024 / width;
        const int64_t row = fine_y >> 8;
        const int64_t column = fine_x >> 8;
        const int64_t right = fine_x & 255;
        const int64_t down = fine_y & 255;
        const int64_t top = grid(row, column) * (256 - right) + grid(row, column + 1) * right;
        const int64_t bottom = grid(row + 1, column) * (256 - right) + grid(row + 1, column + 1) * right;
        const int64_t smooth = (top * (256 - down) + bottom * down) >> 16;
        const uint64_t draw = splitmix64(seed, static_cast<uint64_t>(kGrid * kGrid + y * width + x)) >> 32;
        const auto grain = static_cast<int64_t>(draw % static_cast<uint64_t>(2 * noise + 1)) - noise;
        *out++ = static_cast<uint8_t>(std::clamp<int64_t>(smooth + grain, 0, 255));
      }
    }
  }
  return image;
}

at::Tensor synthetic_images(const std::string& set, int64_t count, int64_t height, int64_t width,
                            int64_t noise) {
  std::vector<at::Tensor> images;
  for (int64_t index = 0; index < count; ++index) {
    images.push_back(synthetic_image(set, index, height, width, noise));
  }
  return at::cat(images);
}

}  // namespace ddpm_eval::testing
