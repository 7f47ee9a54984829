#pragma once

#include "base/data/pickle.h"
#include "base/tensor/named_tensor.h"

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

// Private to torch_file.cpp: what both of torch.save's containers have in common.
namespace ddpm_eval::data {

/// "module name" of every global that a state dict needs.
std::span<const std::string_view> torch_globals();

/// One storage as a persistent id names it.
struct StorageId {
  std::string key;
  at::ScalarType dtype = at::kFloat;
  int64_t count = 0;  ///< elements, at least 0
};

/// The storages that `pickle` refers to, by key. Throws DataError if two references disagree, and for
/// anything but a plain storage of a known type.
std::unordered_map<std::string, StorageId> storage_ids(const Pickle& pickle, const std::string& origin);

/// Storages by key, each a contiguous 1-D tensor.
using Storages = std::unordered_map<std::string, at::Tensor>;

/// A storage with the elements `bytes`, whose length must be that of `id`. Throws DataError.
at::Tensor make_storage(const StorageId& id, std::span<const char> bytes, const std::string& origin);

/// The state dict in `pickle` as read_torch_file() documents it. Every storage in the pickle must be there.
/// Throws DataError.
tensor::NamedTensors collect_state(const Pickle& pickle, const Storages& storages, const std::string& origin);

}  // namespace ddpm_eval::data
