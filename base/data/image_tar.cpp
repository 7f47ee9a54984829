#include "base/data/image_tar.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "base/data/image_labels.h"
#include "base/data/tar_reader.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::DataError;

constexpr size_t kMaxTarMembers = 1 << 22;
constexpr int kMaxLinks = 8;  ///< in a row, as loops of them have no end

/// One file in an archive.
struct TarMember {
  uint64_t position = 0;
  uint64_t size = 0;
  std::shared_ptr<const std::vector<char>> held{};  ///< its bytes, of a gzip archive
};

/// Where a member would be unpacked to.
std::string place_of(const std::string& name) {
  return fs::path(name).relative_path().lexically_normal().generic_string();
}

/// What an archive holds, by place. std::string compares by bytes.
class TarIndex {
 public:
  explicit TarIndex(const fs::path& path) : path_(path), reader_(path) {
    while (auto entry = reader_.next()) {
      add(*entry);
    }
    for (const auto& [place, target] : links_) {
      follow(place, target);
    }
    if (!reader_.has_end_mark()) {
      unreadable_.push_back(
          fmt::format("{}: does not end as tar archives do; images may be missing", path_.string()));
    }
  }

  const std::map<std::string, TarMember>& images() const { return images_; }
  const std::map<std::string, TarMember>& label_files() const { return label_files_; }
  std::vector<std::string> take_unreadable() { return std::move(unreadable_); }

 private:
  void add(const TarReader::Entry& entry) {
    const auto place = place_of(entry.name);
    const bool is_labels = fs::path(place).filename() == kLabelsFile;
    if (images_.size() + links_.size() + label_files_.size() + unreadable_.size() >= kMaxTarMembers) {
      throw DataError("{}: holds more than {} images; unpack it", path_.string(), kMaxTarMembers);
    }
    if (entry.name.empty()) {
      unreadable_.push_back(fmt::format("{}: the name of a member cannot be read", path_.string()));
      return;
    }
    const bool is_image = is_image_name(place) && !is_resource_fork(place);
    if (!(is_image || is_labels) || entry.kind == TarReader::Kind::kFolder) {
      return;
    }
    // What comes later replaces what was there, as it does when the archive is unpacked.
    auto& files = is_image ? images_ : label_files_;
    files.erase(place);
    links_.erase(place);
    switch (entry.kind) {
      case TarReader::Kind::kFile:
        files.emplace(place, TarMember{entry.position, entry.size, held(entry)});
        break;
      case TarReader::Kind::kHardLink:
        links_.emplace(place, place_of(entry.target));
        break;
      case TarReader::Kind::kSymbolicLink:
        links_.emplace(place,
                       entry.target.starts_with('/')
                           ? entry.target
                           : (fs::path(place).parent_path() / entry.target).lexically_normal().string());
        break;
      default:
        unreadable_.push_back(fmt::format("{}: {}: is no regular file", path_.string(), place));
    }
  }

  /// The bytes of the file that the reader is at, if it is not to be read again; one that is too large for an
  /// image stays where it is, to be refused when it is due.
  std::shared_ptr<const std::vector<char>> held(const TarReader::Entry& entry) {
    if (!reader_.is_gzip() || entry.size > kMaxArchivedBytes) {
      return nullptr;
    }
    held_bytes_ += entry.size;
    if (held_bytes_ > kMaxHeldBytes) {
      throw DataError(
          "{}: holds more than {} bytes of images, and gzip can be read from its front alone; make it a "
          "plain "
          ".tar with gunzip, of any size",
          path_.string(), kMaxHeldBytes);
    }
    auto bytes = std::make_shared<std::vector<char>>(entry.size);
    reader_.read(bytes->data(), bytes->size());
    return bytes;
  }

  void follow(const std::string& place, std::string target) {
    for (int links = 0; links < kMaxLinks; ++links) {
      if (const auto image = images_.find(target); image != images_.end()) {
        images_.emplace(place, image->second);
        return;
      }
      const auto next = links_.find(target);
      if (next == links_.end()) {
        break;
      }
      target = next->second;
    }
    unreadable_.push_back(fmt::format("{}: {}: is a link to '{}', which is no image in the archive",
                                      path_.string(), place, core::excerpt(target)));
  }

  fs::path path_;
  TarReader reader_;
  std::map<std::string, TarMember> images_;
  std::map<std::string, TarMember> label_files_;
  std::map<std::string, std::string> links_;  ///< places of images to where they lead
  std::vector<std::string> unreadable_;
  uint64_t held_bytes_ = 0;
};

class TarredImages final : public ImageFiles {
 public:
  TarredImages(const fs::path& path, const TarIndex& index)
      : path_(path), images_(index.images().begin(), index.images().end()) {
    if (images_.empty()) {
      throw DataError("{}: no image files in it; looked for {}", path_.string(), kImageExtensions);
    }
    find_labels(index.label_files());
  }

  std::string name() const override { return path_.string(); }
  int64_t count() const override { return static_cast<int64_t>(images_.size()); }
  std::string path(int64_t index) const override { return path_.string() + ": " + image(index).first; }
  fs::path place(int64_t index) const override {
    return fs::path(image(index).first).lexically_relative(top_);
  }

  std::optional<std::string> labels_text() const override {
    if (!labels_) {
      return std::nullopt;
    }
    const auto origin = path_.string() + ": " + kLabelsFile;
    require_labels_size(origin, labels_->size);
    const auto bytes = bytes_of(*labels_, origin);
    return std::string(bytes.begin(), bytes.end());
  }

  std::vector<char> read(int64_t index) const override {
    const auto& [place, member] = image(index);
    require_archived_size(path(index), member.size);
    return bytes_of(member, path(index));
  }

 private:
  const std::pair<std::string, TarMember>& image(int64_t index) const {
    return images_[static_cast<size_t>(index)];
  }

  std::vector<char> bytes_of(const TarMember& member, const std::string& origin) const {
    if (member.held) {
      return *member.held;
    }
    TarReader reader(path_, member.position);
    const auto entry = reader.next();
    if (!entry || entry->kind != TarReader::Kind::kFile || entry->size != member.size) {
      throw DataError("{}: the archive has changed while it was read", origin);
    }
    std::vector<char> bytes(member.size);
    reader.read(bytes.data(), bytes.size());
    return bytes;
  }

  /// The labels lie beside the images: at the top, or in the one folder that holds all of them, as
  /// `tar -cf faces.tar faces` packs it.
  void find_labels(const std::map<std::string, TarMember>& files) {
    top_ = ".";
    auto found = files.find(kLabelsFile);
    const auto first = *fs::path(images_.front().first).begin();
    const auto last = *fs::path(images_.back().first).begin();
    if (found == files.end() && first == last && first.string() != images_.front().first) {
      // What is sorted between two files of a folder lies in it, too.
      found = files.find((first / kLabelsFile).string());
      if (found != files.end()) {
        top_ = first;
      }
    }
    if (found != files.end()) {
      labels_ = found->second;
    }
  }

  fs::path path_;
  std::vector<std::pair<std::string, TarMember>> images_;  ///< by place
  fs::path top_;
  std::optional<TarMember> labels_;
};

}  // namespace

bool is_tar_name(const fs::path& path) {
  const auto name = core::ascii_lower(path.filename().string());
  return name.ends_with(".tar") || name.ends_with(".tar.gz") || name.ends_with(".tgz");
}

std::unique_ptr<ImageSource> open_image_tar(const fs::path& path, const ImageFileOptions& options) {
  TarIndex index(path);
  auto files = std::make_unique<TarredImages>(path, index);
  return open_image_files(std::move(files), index.take_unreadable(), options);
}

}  // namespace ddpm_eval::data
