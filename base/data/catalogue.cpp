#include "base/data/catalogue.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "base/data/catalogue_items.h"

namespace ddpm_eval::data {
namespace {

using Items = std::vector<std::unique_ptr<Item>>;

const Items& items(Shelf shelf) {
  static const Items data = [] {
    Items all;
    all.push_back(make_cifar10_item(
        {"cifar10", "CIFAR-10, binary version: 60,000 images of 32 x 32; 170 MB to fetch"}));
    all.push_back(make_idx_item(
        {"fashion-mnist", "Fashion-MNIST: 70,000 images of 28 x 28; 31 MB to fetch"}, fashion_mnist_files(),
        {"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
         "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"}));
    all.push_back(make_idx_item({"mnist", "MNIST: 70,000 images of 28 x 28; 12 MB to fetch"}, mnist_files(),
                                {"https://ossci-datasets.s3.amazonaws.com/mnist",
                                 "https://storage.googleapis.com/cvdf-datasets/mnist"}));
    return all;
  }();
  static const Items weights = [] {
    Items all;
    all.push_back(make_weights_item(
        {"inception-fid", "the FID Inception-v3 of 2015-12-05, as pytorch-fid converted it; 96 MB to fetch"},
        {"pt_inception-2015-12-05-6726825d.pth",
         {"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
          "pt_inception-2015-12-05-6726825d.pth",
          "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
          "weights-inception-2015-12-05-6726825d.pth"},
         95'628'359,
         "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"}));
    return all;
  }();
  return shelf == Shelf::kData ? data : weights;
}

const Item& find_item(Shelf shelf, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& item : items(shelf)) {
    if (item->card().name == name) {
      return *item;
    }
    names.push_back(item->card().name);
  }
  throw core::UsageError("'{}' is not known here; there is {}{}", name, fmt::join(names, ", "),
                         core::did_you_mean(name, names));
}

}  // namespace

std::vector<CatalogueItem> catalogue(Shelf shelf) {
  std::vector<CatalogueItem> cards;
  for (const auto& item : items(shelf)) {
    cards.push_back(item->card());
  }
  return cards;
}

ItemStatus inspect(Shelf shelf, const std::string& name, Depth depth) {
  return inspect_item(find_item(shelf, name), depth);
}

ItemStatus fetch_item(Shelf shelf, const std::string& name, const FetchOptions& options) {
  return fetch_item(find_item(shelf, name), options);
}

}  // namespace ddpm_eval::data
