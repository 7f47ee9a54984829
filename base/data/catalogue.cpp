#include "base/data/catalogue.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/paths.h"
#include "base/core/text.h"
#include "base/data/find_data.h"

#include <memory>

#include <unistd.h>

namespace ddpm_eval::data {
namespace {

namespace fs = std::filesystem;

/// A thing with a name: judged in place, or fetched.
class Item {
 public:
  explicit Item(CatalogueItem card) : card_(std::move(card)) {}
  virtual ~Item() = default;
  const CatalogueItem& card() const { return card_; }

  /// Throws DataError if the copy is damaged.
  virtual ItemStatus inspect(Depth depth) const = 0;
  virtual void fetch(const FetchOptions& options) const = 0;

 protected:
  ItemStatus status(ItemState state, fs::path path, std::string note) const {
    return {card_.name, state, std::move(path), std::move(note)};
  }

 private:
  CatalogueItem card_;
};

FetchRequest request_for(const std::vector<std::string>& bases, const std::string& file, fs::path target,
                         const FetchOptions& options) {
  FetchRequest request = options.patience;
  request.urls.clear();
  for (std::string base : options.mirror ? std::vector{*options.mirror} : bases) {
    base += base.ends_with('/') ? "" : "/";
    request.urls.push_back(base + file);
  }
  request.target = std::move(target);
  return request;
}

FetchProgress progress_for(const FetchOptions& options, const std::string& file) {
  return options.progress ? options.progress(file) : FetchProgress{};
}

bool has_size(const fs::path& path, uint64_t size) {
  std::error_code error;
  return fs::is_regular_file(path, error) && fs::file_size(path, error) == size && !error;
}

/// A folder that goes with the object.
class ScratchFolder {
 public:
  explicit ScratchFolder(fs::path path) : path_(std::move(path)) {
    remove();
    core::make_folders(path_);
  }
  ~ScratchFolder() { remove(); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  void remove() const {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path path_;
};

void move_file(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) {
    throw core::ResourceError("{}: cannot be put in place: {}", to.string(), error.message());
  }
}

class Cifar10Item final : public Item {
 public:
  Cifar10Item() : Item({"cifar10", "CIFAR-10, binary version: 60,000 images of 32 x 32; 170 MB to fetch"}) {}

  ItemStatus inspect(Depth depth) const override {
    const auto places = core::data_candidates(kCifar10Folder);
    const auto folder = find_cifar10(places);
    if (!folder) {
      return status(ItemState::kMissing, places.front(), "");
    }
    for (const auto& member : cifar10_members()) {
      if (member.required && !has_size(*folder / member.name, member.max_bytes)) {
        return status(
            ItemState::kDamaged, *folder,
            fmt::format("{} is missing or has another size than {} bytes", member.name, member.max_bytes));
      }
    }
    return status(ItemState::kPresent, *folder, depth == Depth::kContent ? verify_cifar10(*folder) : "");
  }

  void fetch(const FetchOptions& options) const override {
    const auto folder = core::data_candidates(kCifar10Folder).front();
    const auto archive = folder.parent_path() / kArchive;
    const ScratchFolder scratch(folder.parent_path() /
                                fmt::format("{}.unpack-{}", kCifar10Folder, ::getpid()));
    const auto unpack = [&](const fs::path& file) {
      unpack_members(file, cifar10_members(), scratch.path());
      verify_cifar10(scratch.path());
    };
    const bool brought = holds(archive, unpack);
    if (!brought) {
      auto request = request_for({"https://www.cs.toronto.edu/~kriz"}, kArchive, archive, options);
      request.max_bytes = 400 << 20;
      request.check = unpack;
      fetch_file(request, progress_for(options, kArchive));
    }
    core::make_folders(folder);
    for (const auto& entry : fs::directory_iterator(scratch.path())) {
      move_file(entry.path(), folder / entry.path().filename());
    }
    if (!brought) {
      std::error_code ignored;
      fs::remove(archive, ignored);
    }
  }

 private:
  /// Whether the user has put the archive there.
  static bool holds(const fs::path& archive, const std::function<void(const fs::path&)>& unpack) {
    if (!fs::is_regular_file(archive)) {
      return false;
    }
    try {
      unpack(archive);
      return true;
    } catch (const core::DataError&) {
      return false;
    }
  }

  static constexpr const char* kArchive = "cifar-10-binary.tar.gz";
};

class IdxItem final : public Item {
 public:
  IdxItem(CatalogueItem card, const IdxSet& files, std::vector<std::string> bases)
      : Item(std::move(card)), files_(files), bases_(std::move(bases)) {}

  ItemStatus inspect(Depth depth) const override {
    const auto places = core::data_candidates(card().name);
    const auto folder = find_idx_set(places, files_);
    return folder ? inspect_folder(*folder, depth) : status(ItemState::kMissing, places.front(), "");
  }

  void fetch(const FetchOptions& options) const override {
    const auto folder = core::data_candidates(card().name).front();
    for (const auto& file : files_) {
      if (is_right(folder, file)) {
        continue;
      }
      const std::string name = std::string(file.name) + ".gz";
      auto request = request_for(bases_, name, folder / name, options);
      request.max_bytes = 100 << 20;
      request.check = [&](const fs::path& path) { verify_idx(path, file); };
      fetch_file(request, progress_for(options, name));
      std::error_code ignored;
      fs::remove(folder / file.name, ignored);  // a damaged plain copy would be found first
    }
  }

 private:
  ItemStatus inspect_folder(const fs::path& folder, Depth depth) const {
    bool official = true;
    for (const auto& file : files_) {
      const auto path = find_idx(folder, file);
      if (path.empty()) {
        return status(ItemState::kDamaged, folder, fmt::format("{}[.gz] is missing", file.name));
      }
      official = depth == Depth::kContent && verify_idx(path, file) && official;
    }
    const char* note = official ? "the official bytes" : "complete, but not the official bytes";
    return status(ItemState::kPresent, folder, depth == Depth::kContent ? note : "");
  }

  static bool is_right(const fs::path& folder, const IdxFile& file) {
    const auto path = find_idx(folder, file);
    try {
      return !path.empty() && (verify_idx(path, file), true);
    } catch (const core::DataError&) {
      return false;
    }
  }

  const IdxSet& files_;
  std::vector<std::string> bases_;
};

class WeightsItem final : public Item {
 public:
  WeightsItem(CatalogueItem card, std::string file, std::vector<std::string> urls, uint64_t size,
              std::string sha256)
      : Item(std::move(card)),
        file_(std::move(file)),
        urls_(std::move(urls)),
        size_(size),
        sha256_(std::move(sha256)) {}

  ItemStatus inspect(Depth depth) const override {
    const auto path = core::weights_path(file_);
    if (!fs::exists(path)) {
      return status(ItemState::kMissing, path, "");
    }
    if (!has_size(path, size_)) {
      return status(ItemState::kDamaged, path, fmt::format("it does not have {} bytes", size_));
    }
    if (depth == Depth::kSizes) {
      return status(ItemState::kPresent, path, "");
    }
    const auto digest = core::sha256_of_file(path);
    return digest == sha256_ ? status(ItemState::kPresent, path, "SHA-256 " + sha256_)
                             : status(ItemState::kDamaged, path, fmt::format("its SHA-256 is {}", digest));
  }

  void fetch(const FetchOptions& options) const override {
    auto request = request_for({}, file_, core::weights_path(file_), options);
    if (!options.mirror) {
      request.urls = urls_;  // the same bytes have another name elsewhere
    }
    request.size = size_;
    request.sha256 = sha256_;
    fetch_file(request, progress_for(options, file_));
  }

 private:
  std::string file_;
  std::vector<std::string> urls_;
  uint64_t size_;
  std::string sha256_;
};

using Items = std::vector<std::unique_ptr<Item>>;

const Items& items(Shelf shelf) {
  static const Items data = [] {
    Items all;
    all.push_back(std::make_unique<Cifar10Item>());
    all.push_back(std::make_unique<IdxItem>(
        CatalogueItem{"fashion-mnist", "Fashion-MNIST: 70,000 images of 28 x 28; 31 MB to fetch"},
        fashion_mnist_files(),
        std::vector<std::string>{
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"}));
    all.push_back(std::make_unique<IdxItem>(
        CatalogueItem{"mnist", "MNIST: 70,000 images of 28 x 28; 12 MB to fetch"}, mnist_files(),
        std::vector<std::string>{"https://ossci-datasets.s3.amazonaws.com/mnist",
                                 "https://storage.googleapis.com/cvdf-datasets/mnist"}));
    return all;
  }();
  static const Items weights = [] {
    Items all;
    all.push_back(std::make_unique<WeightsItem>(
        CatalogueItem{"inception-fid",
                      "the FID Inception-v3 of 2015-12-05, as pytorch-fid converted it; 96 MB to fetch"},
        "pt_inception-2015-12-05-6726825d.pth",
        std::vector<std::string>{"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
                                 "pt_inception-2015-12-05-6726825d.pth",
                                 "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
                                 "weights-inception-2015-12-05-6726825d.pth"},
        95'628'359, "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"));
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

ItemStatus inspect_item(const Item& item, Depth depth) {
  try {
    return item.inspect(depth);
  } catch (const core::DataError& error) {
    auto status = item.inspect(Depth::kSizes);
    status.state = ItemState::kDamaged;
    status.note = error.what();
    return status;
  }
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
  const Item& item = find_item(shelf, name);
  if (auto status = inspect_item(item, Depth::kContent); status.state == ItemState::kPresent) {
    return status;
  }
  item.fetch(options);
  return inspect_item(item, Depth::kContent);
}

}  // namespace ddpm_eval::data
