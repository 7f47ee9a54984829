#include "base/data/image_files.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "base/data/image_codec.h"
#include "base/data/image_labels.h"
#include "base/data/prefetch.h"
#include "base/tensor/runtime.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;

constexpr std::array<std::string_view, 11> kExtensions{".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff",
                                                       ".bmp", ".pbm", ".pgm",  ".ppm",  ".pnm"};
constexpr int64_t kAheadPerThread = 4;
constexpr int64_t kMaxDecodedBytes = int64_t{1} << 29;  ///< decoded and not yet handed out

/// Decodes a file and frames its image.
DecodeOutcome load_file(const ImageFiles& files, int64_t index, const Framing& framing,
                        const Prefetch<DecodeOutcome>::Announce& announce) {
  try {
    auto outcome = decode_image(
        files.read(index), [&](const ImageHeader& header) { announce(3 * header.width * header.height); });
    if (outcome.problem.empty() && framing.changes_images()) {
      auto [image, problem] = frame_image(outcome.image_u8, framing);
      outcome.image_u8 = std::move(image);
      outcome.problem = std::move(problem);
    }
    return outcome;
  } catch (const DataError& error) {
    // The caller names the file once more.
    std::string reason = error.what();
    const std::string prefix = files.path(index) + ": ";
    return {{}, reason.starts_with(prefix) ? reason.substr(prefix.size()) : reason, {}};
  } catch (const core::ResourceError& error) {
    throw core::ResourceError("{}: {}; use fewer --threads or make it smaller", files.path(index),
                              error.what());
  }
}

/// What the images had in common or not, told as notes.
class Census {
 public:
  void add(const ImageHeader& header, const at::Tensor& image) {
    ++images_;
    sixteen_bit_ += header.sixteen_bit;
    greyscale_ += header.greyscale;
    alpha_ += header.alpha;
    lossy_ += header.lossy;
    cmyk_ += header.cmyk;
    sizes_.emplace(image.size(2), image.size(1));
  }

  std::vector<std::string> notes() const {
    std::vector<std::string> notes;
    const auto tell = [&](int64_t count, std::string_view what) {
      if (count > 0) {
        notes.push_back(fmt::format("{} of {} images {}", count, images_, what));
      }
    };
    tell(sixteen_bit_, "have 16 bits a sample; the high byte was used");
    tell(lossy_, "are lossy files (JPEG or lossy WebP), which shifts scores");
    tell(greyscale_, "are greyscale, replicated to RGB");
    tell(alpha_, "have transparency, which was dropped");
    tell(cmyk_, "are CMYK, converted to RGB without a colour profile");
    if (sizes_.size() > 1) {
      notes.push_back(fmt::format("images of {} sizes, from {} x {} to {} x {}", sizes_.size(),
                                  sizes_.begin()->first, sizes_.begin()->second, sizes_.rbegin()->first,
                                  sizes_.rbegin()->second));
    }
    return notes;
  }

 private:
  int64_t images_ = 0, sixteen_bit_ = 0, greyscale_ = 0, alpha_ = 0, lossy_ = 0, cmyk_ = 0;
  std::set<std::pair<int64_t, int64_t>> sizes_;
};

class FilesSource final : public ImageSource {
 public:
  FilesSource(std::unique_ptr<ImageFiles> files, std::vector<std::string> unreadable,
              const ImageFileOptions& options)
      : files_(std::move(files)), options_(options) {
    report_.unreadable = std::move(unreadable);
    if (!report_.unreadable.empty() && options_.on_bad_file == OnBadFile::kFail) {
      throw DataError("{}; mend or remove it", report_.unreadable.front());
    }
    count_ = resolve_subset(options.subset, files_->count(), files_->name());
    if (options.subset.draw) {
      drawn_ = drawn_items(*options.subset.draw, files_->count());
    }
    const int threads = options.threads > 0 ? options.threads : tensor::available_processors();
    decoded_ = std::make_unique<Prefetch<DecodeOutcome>>(
        count_, PrefetchLimits{threads, kAheadPerThread * threads, kMaxDecodedBytes},
        [this](int64_t i, const auto& announce) {
          return load_file(*files_, file_of(i), options_.framing, announce);
        });
  }

  std::string name() const override { return files_->name(); }
  std::optional<int64_t> size() const override { return count_; }
  const SourceReport& report() const override { return report_; }
  Classes classes() const override { return of_files().classes; }

  at::Tensor labels() const override {
    const auto& all = of_files();
    if (all.classes.count == 0) {
      return {};
    }
    std::vector<int64_t> labels;
    labels.reserve(static_cast<size_t>(report_.yielded));
    for (int64_t i = 0; i < report_.yielded; ++i) {
      labels.push_back(all.labels[static_cast<size_t>(read_[static_cast<size_t>(i)])]);
    }
    return torch::tensor(labels, torch::kInt64);
  }

  at::Tensor next(int64_t max_images) override {
    DDPM_CHECK(max_images >= 1, "max_images is {}", max_images);
    std::vector<at::Tensor> run;
    while (static_cast<int64_t>(run.size()) < max_images) {
      at::Tensor image = pending_.defined() ? std::exchange(pending_, {}) : next_readable();
      if (!image.defined()) {
        break;
      }
      if (!run.empty() && image.sizes() != run.front().sizes()) {
        pending_ = std::move(image);
        break;
      }
      run.push_back(std::move(image));
    }
    report_.notes = census_.notes();
    if (options_.framing.changes_images()) {
      report_.notes.push_back(describe(options_.framing));
    }
    report_.yielded += static_cast<int64_t>(run.size());
    if (run.empty() && report_.yielded == 0) {
      throw DataError("{}: not one of its {} image files can be read; the first: {}", files_->name(), count_,
                      report_.unreadable.front());
    }
    return run.empty() ? at::Tensor() : torch::stack(run);
  }

 private:
  /// The index among all files of the i-th that is read.
  int64_t file_of(int64_t i) const {
    const int64_t at = options_.subset.first + i;
    return drawn_.empty() ? at : drawn_[static_cast<size_t>(at)];
  }

  /// Worked out when they are asked for: most scores need no labels.
  const FileLabels& of_files() const {
    if (!labels_) {
      labels_ = label_files(*files_);
    }
    return *labels_;
  }

  /// The next image that can be read, or an undefined tensor.
  at::Tensor next_readable() {
    while (!decoded_->drained()) {
      const int64_t index = file_of(position_++);
      DecodeOutcome outcome = decoded_->next();
      if (outcome.problem.empty()) {
        census_.add(outcome.header, outcome.image_u8);
        read_.push_back(index);
        report_.lossy += outcome.header.lossy;
        return outcome.image_u8;
      }
      std::string line = files_->path(index) + ": " + outcome.problem;
      if (options_.on_bad_file == OnBadFile::kFail) {
        throw DataError("{}; mend or remove the file", line);
      }
      report_.unreadable.push_back(std::move(line));
    }
    return {};
  }

  std::unique_ptr<ImageFiles> files_;
  ImageFileOptions options_;
  SourceReport report_;
  int64_t count_ = 0;
  std::vector<int64_t> drawn_;  ///< indices of files, where they are drawn at random
  Census census_;
  at::Tensor pending_;
  std::vector<int64_t> read_;  ///< indices of the files whose images came, the pending one's last
  mutable std::optional<FileLabels> labels_;
  int64_t position_ = 0;                              ///< of the next file that is due, among those read
  std::unique_ptr<Prefetch<DecodeOutcome>> decoded_;  // last: its threads use files_
};

}  // namespace

bool is_image_name(const std::filesystem::path& path) {
  return std::ranges::find(kExtensions, core::ascii_lower(path.extension().string())) != kExtensions.end();
}

bool is_resource_fork(const std::filesystem::path& name) {
  const auto folder = name.parent_path();
  return std::ranges::find(folder, kResourceForks) != folder.end();
}

void require_archived_size(const std::string& path, uint64_t bytes) {
  if (bytes > kMaxArchivedBytes) {
    throw DataError("{}: {} bytes unpacked, where {} are the most of an image in an archive; unpack it", path,
                    bytes, kMaxArchivedBytes);
  }
}

std::unique_ptr<ImageSource> open_image_files(std::unique_ptr<ImageFiles> files,
                                              std::vector<std::string> unreadable,
                                              const ImageFileOptions& options) {
  return std::make_unique<FilesSource>(std::move(files), std::move(unreadable), options);
}

}  // namespace ddpm_eval::data
