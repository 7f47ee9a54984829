#pragma once

#include "base/data/fetch.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

// The files that the program knows by name: data sets and weights, where they are kept, where they come from
// and how a copy is judged.
namespace ddpm_eval::data {

enum class Shelf { kData, kWeights };
enum class ItemState { kPresent, kMissing, kDamaged };
enum class Depth { kSizes, kContent };  ///< a glance, or every byte

struct CatalogueItem {
  std::string name;   ///< "cifar10"
  std::string about;  ///< "CIFAR-10, binary version; 170 MB to fetch"
};

struct ItemStatus {
  std::string name;
  ItemState state = ItemState::kMissing;
  std::filesystem::path path;  ///< where it is, or would be put
  std::string note;            ///< what is wrong, or how it compares with the official bytes; may be empty
};

/// The items of a shelf in the order of listing.
std::vector<CatalogueItem> catalogue(Shelf shelf);

/// How an item's copy is. Throws UsageError for an unknown name, with the nearest known one.
ItemStatus inspect(Shelf shelf, const std::string& name, Depth depth);

struct FetchOptions {
  std::optional<std::string> mirror;  ///< takes the place of the folder part of every URL
  std::function<FetchProgress(const std::string& file)> progress;
  FetchRequest patience;  ///< its limits on time and attempts are used
};

/// Fetches what is missing or damaged and checks it: weights and IDX files (unpacked) by SHA-256, CIFAR-10 by
/// content. Nothing is fetched for an item that is already right. Throws UsageError for an unknown name, and
/// what fetch_file() throws.
ItemStatus fetch_item(Shelf shelf, const std::string& name, const FetchOptions& options);

}  // namespace ddpm_eval::data
