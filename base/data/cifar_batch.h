#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

// The two layouts in which CIFAR-10 and CIFAR-100 (Krizhevsky 2009) are published.
namespace ddpm_eval::data {

/// Images of one file of a CIFAR set.
struct CifarBatch {
  at::Tensor images_u8;  ///< uint8 [n, 3, 32, 32], RGB
  at::Tensor labels;     ///< int64 [n] in [0, classes); of CIFAR-100 the fine ones
};

/// The binary version: records of one label byte (of CIFAR-100 two: coarse, fine) and 3 x 32 x 32 pixel
/// bytes. `origin` names the file in messages. Throws DataError for no whole number of records and for a
/// label of `classes` or more.
CifarBatch parse_cifar_binary(std::span<const char> bytes, const std::string& origin, int64_t classes);

/// The Python version: a pickled dict with `data`, a NumPy array uint8 [n, 3072], and a list `labels` (of
/// CIFAR-100 `fine_labels`). Nothing is executed (see base/data/pickle.h). Throws DataError as above and for
/// what is no such dict.
CifarBatch parse_cifar_pickle(std::span<const char> bytes, const std::string& origin, int64_t classes);

}  // namespace ddpm_eval::data
