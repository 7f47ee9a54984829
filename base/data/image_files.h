#pragma once

#include "base/data/framing.h"
#include "base/data/image_source.h"
#include "base/data/tensor_source.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ddpm_eval::data {

enum class OnBadFile {
  kSkip,  ///< leave the file out, count it and list it in the report
  kFail,  ///< DataError at the first
};

struct ImageFileOptions {
  OnBadFile on_bad_file = OnBadFile::kSkip;
  Subset subset{};  ///< of the files in their order
  Framing framing{};
  int threads = 0;  ///< decoding threads; 0: every processor the process may use
};

/// Larger files are no images.
inline constexpr uint64_t kMaxImageFileBytes = uint64_t{1} << 30;

/// The folder in which macOS keeps what belongs to files beside their bytes, under the same names; in an
/// archive made there, and unpacked elsewhere. Nothing in it counts as an image.
inline constexpr auto kResourceForks = "__MACOSX";

/// Of an image in an archive, unpacked. Several are held at once, and a small archive may promise far more
/// than any image is.
inline constexpr uint64_t kMaxArchivedBytes = uint64_t{1} << 28;

/// Throws DataError naming `path` for an archived image of more than kMaxArchivedBytes.
void require_archived_size(const std::string& path, uint64_t bytes);

/// Whether a member of an archive lies in such a folder.
bool is_resource_fork(const std::filesystem::path& name);

/// Whether a file of that name counts as an image: png, jpg, jpeg, webp, tif, tiff, bmp, pbm, pgm, ppm or
/// pnm, in any case.
bool is_image_name(const std::filesystem::path& path);

/// The same in words.
inline constexpr auto kImageExtensions = "png, jpg, jpeg, webp, tif, tiff, bmp, pbm, pgm, ppm, pnm";

/// Image files that lie together, below a folder or in an archive, in the order in which they are read.
class ImageFiles {
 public:
  virtual ~ImageFiles() = default;
  /// Of the whole, as the user wrote it: "samples/".
  virtual std::string name() const = 0;
  virtual int64_t count() const = 0;
  /// Of one, for messages: "samples/1.png".
  virtual std::string path(int64_t index) const = 0;
  /// Where one lies below the whole: "cat/1.png"; of a list, its path.
  virtual std::filesystem::path place(int64_t index) const = 0;
  /// The text of the labels' file beside the images (see base/data/image_labels.h), if there is one.
  /// Thread-safe. Throws DataError.
  virtual std::optional<std::string> labels_text() const { return std::nullopt; }
  /// All bytes of one. Thread-safe. Throws DataError, with the path or without.
  virtual std::vector<char> read(int64_t index) const = 0;
};

/// The images of `files`, decoded and framed a few files ahead on several threads, in order, and no more than
/// 512 MiB and one image ahead. An image that does not suit the framing counts as unreadable, and
/// `unreadable` is what was found to be so before, a line each. The source throws DataError if not one file
/// can be read, for kFail at the first that cannot, and ResourceError if there is no memory for an image.
std::unique_ptr<ImageSource> open_image_files(std::unique_ptr<ImageFiles> files,
                                              std::vector<std::string> unreadable,
                                              const ImageFileOptions& options);

}  // namespace ddpm_eval::data
