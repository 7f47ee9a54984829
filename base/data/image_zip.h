#pragma once

#include "base/data/image_files.h"

#include <filesystem>
#include <memory>

namespace ddpm_eval::data {

/// The images in a zip archive, as open_image_files() gives them: every member that is_image_name() knows,
/// whatever its folder, sorted by the bytes of its name, as clean-fid and EDM read theirs; what macOS adds
/// below __MACOSX is passed over. Nothing is unpacked to disk; members are inflated by one thread at a time,
/// and decoded by several. Throws DataError for a file that is no zip, for one without images and for one
/// that has a name twice.
std::unique_ptr<ImageSource> open_image_zip(const std::filesystem::path& path,
                                            const ImageFileOptions& options = {});

}  // namespace ddpm_eval::data
