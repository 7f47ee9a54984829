#pragma once

#include "base/data/dataset.h"

#include <filesystem>
#include <string>

namespace ddpm_eval::data {

/// Images and labels in MNIST's IDX format (LeCun's description: magic 0x803 and 0x801, big-endian counts),
/// plain or gzip, told apart by their first bytes. Greyscale, ten classes. Throws DataError for a wrong
/// magic, counts that do not match the bytes or each other, a damaged gzip stream and a label above 9.
ImageDataset load_idx(const std::string& name, const std::filesystem::path& images_path,
                      const std::filesystem::path& labels_path);

/// "mnist" or "fashion-mnist": reads train-images-idx3-ubyte[.gz] and so on in `folder`, or, if that is
/// empty, the copy that find_idx_set() finds where core::data_candidates says (Debian's package
/// dataset-fashion-mnist among them). A count that is not the official one is noted. Throws DataError.
ImageDataset load_mnist_like(const std::string& name, Split split, const std::filesystem::path& folder = {});

}  // namespace ddpm_eval::data
