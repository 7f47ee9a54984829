#pragma once

#include "base/data/image_files.h"

#include <filesystem>
#include <memory>

namespace ddpm_eval::data {

/// By its name: ".tar", ".tar.gz" or ".tgz", in any case.
bool is_tar_name(const std::filesystem::path& path);

/// Of a gzip archive, whose members are held in memory.
inline constexpr uint64_t kMaxHeldBytes = uint64_t{1} << 31;

/// The images in a tar archive, plain or gzip, as open_image_files() gives them: those of the folder that it
/// unpacks to, in its order. Of members of one name the last counts, links lead to images in the archive or
/// are unreadable, and links to folders are passed over. Nothing is unpacked to disk: a plain archive is read
/// once for its names and then member by member; of a gzip archive, which can be read from its front alone,
/// all image files are held as they are packed. Throws DataError for an archive that is damaged or has no
/// images, and for a gzip archive of more than kMaxHeldBytes of them.
std::unique_ptr<ImageSource> open_image_tar(const std::filesystem::path& path,
                                            const ImageFileOptions& options = {});

}  // namespace ddpm_eval::data
