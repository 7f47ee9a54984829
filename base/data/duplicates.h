#pragma once

#include "base/data/image_source.h"

#include <memory>

namespace ddpm_eval::data {

/// As many images are compared with one another: 8 bytes each are kept.
inline constexpr int64_t kMaxCompared = 1 << 24;

/// The same source, whose report says in a note, once it is drained, how many images are pixel for pixel the
/// same as an earlier one, if any are. They are compared by 64 bits of their sizes and pixels: that two of a
/// million different ones are taken for the same has a chance of 3e-8.
std::unique_ptr<ImageSource> count_duplicates(std::unique_ptr<ImageSource> source);

}  // namespace ddpm_eval::data
