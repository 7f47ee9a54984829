#pragma once

#include "base/data/image_files.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace ddpm_eval::data {

/// Every image file below `folder`, by is_image_name(), sorted by the bytes of the path. Links are followed;
/// a folder met twice is read once. Folders below that cannot be read go to `unreadable`, one line each.
/// Throws DataError for a folder that is missing or cannot be read, and for one without image files.
std::vector<std::filesystem::path> list_images(const std::filesystem::path& folder,
                                               std::vector<std::string>& unreadable);

/// The images of list_images(folder), as open_image_files() gives them; folders that cannot be read count as
/// unreadable files.
std::unique_ptr<ImageSource> open_image_folder(const std::filesystem::path& folder,
                                               const ImageFileOptions& options = {});

/// The paths that a text file lists, as open_image_list() reads it, and throws.
std::vector<std::filesystem::path> listed_images(const std::filesystem::path& list);

/// The images whose paths a text file lists, one a line, in the order of its lines; relative ones start from
/// the folder that the file is in, and empty lines are passed over. Throws DataError for a list that is
/// missing, names nothing or names a path twice. A path that cannot be read counts as an unreadable file.
std::unique_ptr<ImageSource> open_image_list(const std::filesystem::path& list,
                                             const ImageFileOptions& options = {});

}  // namespace ddpm_eval::data
