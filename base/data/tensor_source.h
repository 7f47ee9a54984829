#pragma once

#include "base/data/image_source.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::data {

/// A part of a set: `count` items from `first` on, without `count` all that follow; or with a seed `count`
/// items drawn at random, in their order in the set.
struct Subset {
  int64_t first = 0;  ///< 0 where items are drawn
  std::optional<int64_t> count{};
  std::optional<uint32_t> seed{};  ///< of numpy.random.RandomState, as EDM's `fid.py --num --seed` draws
};

/// How many items `subset` takes of `size`. Throws UsageError naming `name` if it reaches beyond the set or
/// is empty, and DataError if the set itself is.
int64_t resolve_subset(const Subset& subset, int64_t size, const std::string& name);

/// Which items of `size` a subset with a seed takes: [count], ascending. Throws as resolve_subset().
std::vector<int64_t> drawn_items(const Subset& subset, int64_t size, const std::string& name);

/// The rows of `rows` [n, ...] that `subset` takes; drawn ones are a copy. Throws as resolve_subset().
at::Tensor take_subset(const at::Tensor& rows, const Subset& subset, const std::string& name);

/// What is known beforehand of images in memory.
struct TensorFacts {
  std::vector<std::string> notes{};
  at::Tensor labels{};  ///< int64 [n] in [0, classes.count), or undefined
  Classes classes{};
};

/// Images that are in memory: uint8 [n, 1 or 3, H, W]. Greyscale is replicated to RGB batch by batch. Shares
/// the tensor's memory.
std::unique_ptr<ImageSource> make_tensor_source(std::string name, const at::Tensor& images_u8,
                                                const Subset& subset = {}, TensorFacts facts = {});

}  // namespace ddpm_eval::data
