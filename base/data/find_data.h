#pragma once

#include "base/data/dataset.h"
#include "base/data/known_content.h"

#include <filesystem>
#include <optional>
#include <vector>

// Which of several copies of a data set is the one: what is read, listed and verified is found here, so that
// it is the same.
namespace ddpm_eval::data {

/// The folder to read `split` from: the first of `places` that holds the whole set, else the first that holds
/// all files of `split`, else the first that holds any file of the set.
std::optional<std::filesystem::path> find_idx_set(const std::vector<std::filesystem::path>& places,
                                                  const IdxSet& files, Split split = Split::kTrain);

/// The same for CIFAR-10; its files may be in a place itself or in `cifar-10-batches-bin` in it.
std::optional<std::filesystem::path> find_cifar10(const std::vector<std::filesystem::path>& places,
                                                  Split split = Split::kTrain);

}  // namespace ddpm_eval::data
