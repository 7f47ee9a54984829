#include "base/data/image_zip.h"

#include "base/core/error.h"
#include "base/data/image_labels.h"
#include "base/data/zip_archive.h"

#include <algorithm>
#include <mutex>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::DataError;

class ZippedImages final : public ImageFiles {
 public:
  explicit ZippedImages(const fs::path& path) : name_(path.string()), zip_(path, ".zip archive") {
    const auto& names = zip_.names();
    for (uint64_t i = 0; i < names.size(); ++i) {
      if (is_image_name(names[i]) && !is_resource_fork(names[i])) {
        members_.push_back(i);
      }
    }
    if (members_.empty()) {
      throw DataError("{}: no image files in it; looked for {}", name_, kImageExtensions);
    }
    std::sort(members_.begin(), members_.end(), [&](uint64_t a, uint64_t b) { return names[a] < names[b]; });
    const auto twice =
        std::ranges::adjacent_find(members_, {}, [&](uint64_t i) -> const std::string& { return names[i]; });
    if (twice != members_.end()) {
      throw DataError("{}: '{}' is in it twice; which of the two counts is not known", name_, names[*twice]);
    }
  }

  std::string name() const override { return name_; }
  int64_t count() const override { return static_cast<int64_t>(members_.size()); }
  std::string path(int64_t index) const override { return name_ + ": " + zip_.names()[member(index)]; }

  fs::path place(int64_t index) const override { return zip_.names()[member(index)]; }

  std::optional<std::string> labels_text() const override {
    const std::lock_guard lock(mutex_);
    const auto labels = zip_.find(kLabelsFile);
    if (!labels) {
      return std::nullopt;
    }
    const auto stream = zip_.open(*labels);
    require_labels_size(stream->origin(), stream->remaining());
    std::string text(stream->remaining(), '\0');
    stream->read(text.data(), text.size());
    return text;
  }

  std::vector<char> read(int64_t index) const override {
    const std::lock_guard lock(mutex_);
    const auto stream = zip_.open(member(index));
    require_archived_size(path(index), stream->remaining());
    std::vector<char> bytes(stream->remaining());
    stream->read(bytes.data(), bytes.size());
    return bytes;
  }

 private:
  uint64_t member(int64_t index) const { return members_[static_cast<size_t>(index)]; }

  std::string name_;
  ZipArchive zip_;
  std::vector<uint64_t> members_;  ///< indices of the images
  mutable std::mutex mutex_;       ///< of zip_, which several decoding threads read from
};

}  // namespace

std::unique_ptr<ImageSource> open_image_zip(const fs::path& path, const ImageFileOptions& options) {
  return open_image_files(std::make_unique<ZippedImages>(path), {}, options);
}

}  // namespace ddpm_eval::data
