#include "base/data/image_folder.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/image_codec.h"
#include "base/data/prefetch.h"
#include "base/tensor/runtime.h"

#include <array>
#include <set>

#include <sys/stat.h>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::DataError;

constexpr std::array<std::string_view, 11> kExtensions{".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff",
                                                       ".bmp", ".pbm", ".pgm",  ".ppm",  ".pnm"};
constexpr auto kExtensionList = "png, jpg, jpeg, webp, tif, tiff, bmp, pbm, pgm, ppm, pnm";
constexpr uint64_t kMaxImageFileBytes = uint64_t{1} << 30;
constexpr int64_t kAheadPerThread = 4;
constexpr int64_t kMaxDecodedBytes = int64_t{1} << 29;  ///< decoded and not yet handed out

/// Pipes, sockets and devices: opening one may wait forever. A file that is missing is told when it is read.
bool is_special(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  return fs::exists(status) && !fs::is_regular_file(status);
}

/// Collects image files and what cannot be read. `visited` holds device and inode of every folder, against
/// loops of links.
void collect(const fs::path& folder, std::set<std::pair<dev_t, ino_t>>& visited, std::vector<fs::path>& files,
             std::vector<std::string>& unreadable) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0 || !visited.emplace(status.st_dev, status.st_ino).second) {
    return;
  }
  // Sorted, so that of a folder with two names the same one is taken everywhere.
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    entries.push_back(it->path());
  }
  if (error) {
    unreadable.push_back(fmt::format("{}: cannot be read: {}", folder.string(), error.message()));
  }
  std::sort(entries.begin(), entries.end(),
            [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  for (const auto& entry : entries) {
    if (fs::is_directory(entry, error)) {
      collect(entry, visited, files, unreadable);
    } else if (is_image_name(entry)) {
      files.push_back(entry);
    } else if (error && error != std::errc::no_such_file_or_directory &&
               error != std::errc::too_many_symbolic_link_levels) {  // which may be a folder
      unreadable.push_back(fmt::format("{}: cannot be read: {}", entry.string(), error.message()));
    }
  }
}

/// Decodes a file and frames its image.
DecodeOutcome load_file(const fs::path& path, const Framing& framing,
                        const Prefetch<DecodeOutcome>::Announce& announce) {
  if (is_special(path)) {
    return {{}, "is no regular file", {}};
  }
  try {
    auto outcome = decode_image(core::read_file(path, kMaxImageFileBytes), [&](const ImageHeader& header) {
      announce(3 * header.width * header.height);
    });
    if (outcome.problem.empty() && framing.changes_images()) {
      auto [image, problem] = frame_image(outcome.image_u8, framing);
      outcome.image_u8 = std::move(image);
      outcome.problem = std::move(problem);
    }
    return outcome;
  } catch (const DataError& error) {
    // The caller names the file once more.
    std::string reason = error.what();
    const std::string prefix = path.string() + ": ";
    return {{}, reason.starts_with(prefix) ? reason.substr(prefix.size()) : reason, {}};
  } catch (const core::ResourceError& error) {
    throw core::ResourceError("{}: {}; use fewer --threads or make it smaller", path.string(), error.what());
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

class FolderSource final : public ImageSource {
 public:
  FolderSource(const fs::path& folder, const ImageFolderOptions& options)
      : name_(folder.string()), options_(options), files_(list_images(folder, report_.unreadable)) {
    if (!report_.unreadable.empty() && options_.on_bad_file == OnBadFile::kFail) {
      throw DataError("{}; mend or remove it", report_.unreadable.front());
    }
    const int64_t count = resolve_subset(options.subset, static_cast<int64_t>(files_.size()), name_);
    const auto begin = files_.begin() + options.subset.first;
    files_ = std::vector<fs::path>(begin, begin + count);
    const int threads = options.threads > 0 ? options.threads : tensor::available_processors();
    decoded_ = std::make_unique<Prefetch<DecodeOutcome>>(
        count, PrefetchLimits{threads, kAheadPerThread * threads, kMaxDecodedBytes},
        [this](int64_t i, const auto& announce) {
          return load_file(files_[static_cast<size_t>(i)], options_.framing, announce);
        });
  }

  std::string name() const override { return name_; }
  std::optional<int64_t> size() const override { return static_cast<int64_t>(files_.size()); }
  const SourceReport& report() const override { return report_; }

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
      throw DataError("{}: not one of its {} image files can be read; the first: {}", name_, files_.size(),
                      report_.unreadable.front());
    }
    return run.empty() ? at::Tensor() : torch::stack(run);
  }

 private:
  /// The next image that can be read, or an undefined tensor.
  at::Tensor next_readable() {
    while (!decoded_->drained()) {
      const auto& path = files_[static_cast<size_t>(position_++)];
      DecodeOutcome outcome = decoded_->next();
      if (outcome.problem.empty()) {
        census_.add(outcome.header, outcome.image_u8);
        return outcome.image_u8;
      }
      std::string line = path.string() + ": " + outcome.problem;
      if (options_.on_bad_file == OnBadFile::kFail) {
        throw DataError("{}; mend or remove the file", line);
      }
      report_.unreadable.push_back(std::move(line));
    }
    return {};
  }

  std::string name_;
  ImageFolderOptions options_;
  SourceReport report_;
  std::vector<fs::path> files_;
  Census census_;
  at::Tensor pending_;
  int64_t position_ = 0;
  std::unique_ptr<Prefetch<DecodeOutcome>> decoded_;  // last: its threads use files_
};

}  // namespace

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

std::vector<fs::path> list_images(const fs::path& folder, std::vector<std::string>& unreadable) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw DataError("{}: {}", folder.string(),
                    fs::exists(folder, error) ? "is not a folder" : "no such folder");
  }
  std::set<std::pair<dev_t, ino_t>> visited;
  std::vector<fs::path> files;
  const fs::directory_iterator probe(folder, error);
  if (error) {
    throw DataError("{}: cannot be read: {}", folder.string(), error.message());
  }
  collect(folder, visited, files, unreadable);
  if (files.empty()) {
    throw DataError("{}: no image files in it or below; looked for {}{}", folder.string(), kExtensionList,
                    unreadable.empty() ? ""
                                       : fmt::format("; {} places cannot be read, the first: {}",
                                                     unreadable.size(), unreadable.front()));
  }
  std::sort(files.begin(), files.end(),
            [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return files;
}

std::unique_ptr<ImageSource> open_image_folder(const fs::path& folder, const ImageFolderOptions& options) {
  return std::make_unique<FolderSource>(folder, options);
}

}  // namespace ddpm_eval::data
