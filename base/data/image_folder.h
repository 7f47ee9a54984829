#pragma once

#include "base/data/framing.h"
#include "base/data/image_source.h"
#include "base/data/tensor_source.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace ddpm_eval::data {

enum class OnBadFile {
  kSkip,  ///< leave the file out, count it and list it in the report
  kFail,  ///< DataError at the first
};

struct ImageFolderOptions {
  OnBadFile on_bad_file = OnBadFile::kSkip;
  Subset subset{};  ///< of the sorted files
  Framing framing{};
  int threads = 0;  ///< decoding threads; 0: every processor the process may use
};

/// Whether a file of that name counts as an image: png, jpg, jpeg, webp, tif, tiff, bmp, pbm, pgm, ppm or
/// pnm, in any case.
bool is_image_name(const std::filesystem::path& path);

/// Every image file below `folder`, by is_image_name(), sorted by the bytes of the path. Links are followed;
/// a folder met twice is read once. Folders below that cannot be read go to `unreadable`, one line each.
/// Throws DataError for a folder that is missing or cannot be read, and for one without image files.
std::vector<std::filesystem::path> list_images(const std::filesystem::path& folder,
                                               std::vector<std::string>& unreadable);

/// The images of list_images(folder), decoded and framed a few files ahead on several threads, in order, and
/// no more than 512 MiB and one image ahead. An image that does not suit the framing counts as unreadable,
/// and so does a folder that cannot be read. The source throws DataError if not one file can be read, for
/// kFail at the first that cannot, and ResourceError if there is no memory for an image.
std::unique_ptr<ImageSource> open_image_folder(const std::filesystem::path& folder,
                                               const ImageFolderOptions& options = {});

}  // namespace ddpm_eval::data
