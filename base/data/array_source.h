#pragma once

#include "base/data/image_source.h"
#include "base/data/tensor_source.h"

#include <filesystem>
#include <memory>

namespace ddpm_eval::data {

/// Images in one array: uint8 [N, H, W, 3], [N, H, W, 1] or [N, H, W] in C order, from a `.npy` file or the
/// key `arr_0` of an `.npz`. Read as a stream: memory does not depend on N. Throws DataError for other dtypes
/// and layouts, and from next() for a damaged file.
std::unique_ptr<ImageSource> open_array_source(const std::filesystem::path& path, const Subset& subset = {});

}  // namespace ddpm_eval::data
