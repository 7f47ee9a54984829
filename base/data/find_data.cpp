#include "base/data/find_data.h"

#include <algorithm>
#include <functional>

namespace ddpm_eval::data {
namespace {

namespace fs = std::filesystem;

/// Whether a folder holds one file of a set.
using Holds = std::function<bool(const fs::path& folder)>;

std::optional<fs::path> find(const std::vector<fs::path>& places, const std::vector<Holds>& set,
                             const std::vector<Holds>& split) {
  const auto holds_all = [](const std::vector<Holds>& files) {
    return [&files](const fs::path& place) {
      return std::all_of(files.begin(), files.end(), [&](const Holds& holds) { return holds(place); });
    };
  };
  const auto holds_any = [&](const fs::path& place) {
    return std::any_of(set.begin(), set.end(), [&](const Holds& holds) { return holds(place); });
  };
  for (const Holds& suits : {Holds(holds_all(set)), Holds(holds_all(split)), Holds(holds_any)}) {
    if (const auto place = std::find_if(places.begin(), places.end(), suits); place != places.end()) {
      return *place;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<fs::path> find_idx_set(const std::vector<fs::path>& places, const IdxSet& files, Split split) {
  std::vector<Holds> all, wanted;
  for (const auto& file : files) {
    all.emplace_back([&file](const fs::path& folder) { return !find_idx(folder, file).empty(); });
    if (file.split == split) {
      wanted.push_back(all.back());
    }
  }
  return find(places, all, wanted);
}

std::optional<fs::path> find_cifar10(const std::vector<fs::path>& places, Split split) {
  std::vector<fs::path> folders;
  for (const auto& place : places) {
    folders.push_back(place);
    folders.push_back(place / kCifar10Folder);
  }
  std::vector<Holds> all, wanted;
  for (const auto part : {Split::kTrain, Split::kTest}) {
    for (const auto& name : cifar10_batches(part)) {
      all.emplace_back([&name](const fs::path& folder) {
        std::error_code error;
        return fs::is_regular_file(folder / name, error);
      });
      if (part == split) {
        wanted.push_back(all.back());
      }
    }
  }
  return find(folders, all, wanted);
}

}  // namespace ddpm_eval::data
