#include "base/data/catalogue_items.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/paths.h"
#include "base/data/find_data.h"

#include <unistd.h>

namespace ddpm_eval::data {
namespace {

namespace fs = std::filesystem;

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
  using Item::Item;

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
    const bool brought = fs::exists(archive);
    if (brought) {
      unpack_brought(archive, unpack);
    } else {
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
  /// An archive that the user has put there is used, or refused; it is not ours to replace.
  static void unpack_brought(const fs::path& archive, const std::function<void(const fs::path&)>& unpack) {
    try {
      unpack(archive);
    } catch (const core::DataError& error) {
      throw core::DataError("{}: lies there and is not the official archive ({}); move or remove it",
                            archive.string(), error.what());
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
      request.check = [&](const fs::path& path) { expect_official(path, file); };
      fetch_file(request, progress_for(options, name));
      std::error_code ignored;
      fs::remove(folder / file.name, ignored);  // a damaged plain copy would be found first
    }
  }

 private:
  ItemStatus inspect_folder(const fs::path& folder, Depth depth) const {
    std::vector<std::string> others;
    for (const auto& file : files_) {
      const auto path = find_idx(folder, file);
      if (path.empty()) {
        return status(ItemState::kDamaged, folder, fmt::format("{}[.gz] is missing", file.name));
      }
      if (depth == Depth::kContent && verify_idx(path, file) != file.sha256) {
        others.push_back(path.filename().string());
      }
    }
    if (depth == Depth::kSizes) {
      return status(ItemState::kPresent, folder, "");
    }
    return status(ItemState::kPresent, folder,
                  others.empty()
                      ? "the official bytes"
                      : fmt::format("complete, but not the official bytes: {}", fmt::join(others, ", ")));
  }

  static void expect_official(const fs::path& path, const IdxFile& file) {
    if (const auto digest = verify_idx(path, file); digest != file.sha256) {
      throw core::DataError("unpacked, its SHA-256 is {}, where the official {} has {}", digest, file.name,
                            file.sha256);
    }
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
  WeightsItem(CatalogueItem card, WeightsFile file) : Item(std::move(card)), file_(std::move(file)) {}

  ItemStatus inspect(Depth depth) const override {
    const auto path = core::weights_path(file_.name);
    if (!fs::exists(path)) {
      return status(ItemState::kMissing, path, "");
    }
    if (!has_size(path, file_.bytes)) {
      return status(ItemState::kDamaged, path, fmt::format("it does not have {} bytes", file_.bytes));
    }
    if (depth == Depth::kSizes) {
      return status(ItemState::kPresent, path, "");
    }
    const auto digest = core::sha256_of_file(path);
    return digest == file_.sha256
               ? status(ItemState::kPresent, path, "SHA-256 " + file_.sha256)
               : status(ItemState::kDamaged, path, fmt::format("its SHA-256 is {}", digest));
  }

  void fetch(const FetchOptions& options) const override {
    auto request = request_for({}, file_.name, core::weights_path(file_.name), options);
    if (!options.mirror) {
      request.urls = file_.urls;  // the same bytes have another name elsewhere
    }
    request.size = file_.bytes;
    request.sha256 = file_.sha256;
    fetch_file(request, progress_for(options, file_.name));
  }

 private:
  WeightsFile file_;
};

}  // namespace

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

ItemStatus fetch_item(const Item& item, const FetchOptions& options) {
  if (auto status = inspect_item(item, Depth::kContent); status.state == ItemState::kPresent) {
    return status;
  }
  item.fetch(options);
  return inspect_item(item, Depth::kContent);
}

std::unique_ptr<Item> make_cifar10_item(CatalogueItem card) {
  return std::make_unique<Cifar10Item>(std::move(card));
}

std::unique_ptr<Item> make_idx_item(CatalogueItem card, const IdxSet& files, std::vector<std::string> bases) {
  return std::make_unique<IdxItem>(std::move(card), files, std::move(bases));
}

std::unique_ptr<Item> make_weights_item(CatalogueItem card, WeightsFile file) {
  return std::make_unique<WeightsItem>(std::move(card), std::move(file));
}

}  // namespace ddpm_eval::data
