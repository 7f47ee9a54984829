#pragma once

#include "base/tensor/named_tensor.h"

#include <filesystem>
#include <span>
#include <string>

namespace ddpm_eval::data {

/// The tensors of a state dict that PyTorch's torch.save wrote, as the legacy stream (PyTorch < 1.6 and
/// `_use_new_zipfile_serialization=False`) or as the zip archive that followed it. Executes nothing: the
/// pickle is read by base/data/pickle.h, and any global outside a fixed list is refused.
///
/// The file must hold a dict from names to tensors (or parameters). A checkpoint that holds no tensor at its
/// top but such a dict under `state_dict`, or else under `model`, stands for that dict; its other entries are
/// ignored.
///
/// Order, dtypes, sizes and strides are those of the file: as with torch.load, tensors may be non-contiguous
/// views and may share one storage. They are on the CPU whatever device they were saved from, and need no
/// gradient. A tensor that is larger than its storage (an expanded one) is refused: so the tensors never take
/// more memory than the file. Throws DataError.
tensor::NamedTensors read_torch_file(const std::filesystem::path& path);

/// The same from memory; `origin` is named in errors.
tensor::NamedTensors read_torch_bytes(std::span<const char> bytes, const std::string& origin);

}  // namespace ddpm_eval::data
