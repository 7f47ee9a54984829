#pragma once

#include "base/data/catalogue.h"
#include "base/data/known_content.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// The kinds of things on the catalogue's shelves; which there are is in catalogue.cpp.
namespace ddpm_eval::data {

/// A thing with a name: judged in place, or fetched.
class Item {
 public:
  explicit Item(CatalogueItem card) : card_(std::move(card)) {}
  virtual ~Item() = default;
  const CatalogueItem& card() const { return card_; }

  /// Throws DataError if the copy is damaged.
  virtual ItemStatus inspect(Depth depth) const = 0;

  /// Installs what is missing or damaged. Throws what fetch_file() throws.
  virtual void fetch(const FetchOptions& options) const = 0;

 protected:
  ItemStatus status(ItemState state, std::filesystem::path path, std::string note) const {
    return {card_.name, state, std::move(path), std::move(note)};
  }

 private:
  CatalogueItem card_;
};

/// How its copy is; damage is a state.
ItemStatus inspect_item(const Item& item, Depth depth);

/// Fetches it unless it is present. Throws what fetch_file() throws.
ItemStatus fetch_item(const Item& item, const FetchOptions& options);

/// CIFAR-10, fetched as an archive and judged by what is in it.
std::unique_ptr<Item> make_cifar10_item(CatalogueItem card);

/// An MNIST-style set, which must outlive the item; `bases` are folders that hold its files as .gz. A copy in
/// place is judged by header, counts and labels; what is fetched must be the official bytes once unpacked.
std::unique_ptr<Item> make_idx_item(CatalogueItem card, const IdxSet& files, std::vector<std::string> bases);

/// A file of network weights, judged by its size and SHA-256.
struct WeightsFile {
  std::string name;
  std::vector<std::string> urls;
  uint64_t bytes = 0;
  std::string sha256;
};
std::unique_ptr<Item> make_weights_item(CatalogueItem card, WeightsFile file);

}  // namespace ddpm_eval::data
