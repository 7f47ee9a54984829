#pragma once

#include "base/data/dataset.h"

#include <filesystem>

namespace ddpm_eval::data {

/// Whether `folder`, or the folder `cifar-10-batches-bin` in it, holds CIFAR-10's binary files.
bool is_cifar10_folder(const std::filesystem::path& folder);

/// CIFAR-10 in its official binary layout (Krizhevsky 2009): data_batch_1.bin to data_batch_5.bin or
/// test_batch.bin, records of one label and 3 x 32 x 32 bytes. For an empty `folder` it is the copy
/// that find_cifar10() finds where core::data_candidates says. Batches of any whole number of records are
/// read, with a note if it is not the official one. Throws DataError for a missing or cut batch and for a
/// label above 9.
ImageDataset load_cifar10(const std::filesystem::path& folder, Split split);

}  // namespace ddpm_eval::data
