#pragma once

#include "base/data/image_source.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::data {

/// A contiguous part of a set: `count` items from `first` on; without `count`, all that follow.
struct Subset {
  int64_t first = 0;
  std::optional<int64_t> count{};
};

/// How many items `subset` takes of `size`. Throws UsageError naming `name` if it reaches beyond the set or
/// is empty, and DataError if the set itself is.
int64_t resolve_subset(const Subset& subset, int64_t size, const std::string& name);

/// Images that are in memory: uint8 [n, 1 or 3, H, W]. Greyscale is replicated to RGB batch by batch. Shares
/// the tensor's memory. `notes` are what is known of the images beforehand.
std::unique_ptr<ImageSource> make_tensor_source(std::string name, const at::Tensor& images_u8,
                                                const Subset& subset = {},
                                                std::vector<std::string> notes = {});

}  // namespace ddpm_eval::data
