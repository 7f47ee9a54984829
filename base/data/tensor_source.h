#pragma once

#include "base/data/image_source.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::data {

/// Items of a set drawn at random, in their order in it: those that EDM's `fid.py --num COUNT --seed SEED`
/// takes of as many, by numpy.random.RandomState.
struct Draw {
  int64_t count = 0;
  uint32_t seed = 0;
};

/// A part of a set, or of those drawn from it: `count` items from `first` on; without `count`, all that
/// follow.
struct Subset {
  int64_t first = 0;
  std::optional<int64_t> count{};
  std::optional<Draw> draw{};
};

/// How many items `subset` takes of `size`. Throws UsageError naming `name` if it reaches beyond the set or
/// is empty, and DataError if the set itself is.
int64_t resolve_subset(const Subset& subset, int64_t size, const std::string& name);

/// Which of `size` items are drawn: [draw.count], ascending. 0 <= draw.count <= size < 2^32.
std::vector<int64_t> drawn_items(const Draw& draw, int64_t size);

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
