#pragma once

#include "base/data/image_source.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ddpm_eval::data {

struct NoiseShape {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;  ///< 1: the three channels of the RGB images are equal
};

/// "HxWxC" with sides of 1..4096 and 1 or 3 channels.
std::optional<NoiseShape> parse_noise_shape(std::string_view text);

/// Images of pure noise: standard normal in units of [-1, 1], clamped and rounded to 8 bits, as an untrained
/// sampler would hand out its x_T. The yardstick for the worst that a score can read. Image i is a function
/// of (seed, i) alone.
std::unique_ptr<ImageSource> make_noise_source(const std::string& name, const NoiseShape& shape,
                                               int64_t first, int64_t count, uint64_t seed);

}  // namespace ddpm_eval::data
