#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace ddpm_eval::data {

/// A file wanted from an archive, known by the last part of its path there.
struct ArchiveMember {
  std::string name;
  uint64_t min_bytes = 0;
  uint64_t max_bytes = 0;
  bool required = true;
};

/// Unpacks `members` from a tar archive, plain or gzip, into `folder` under their bare names; everything else
/// in the archive is passed over, so no path in it matters. Throws DataError if the archive is damaged, a
/// member is missing, occurs twice, is not a plain file or has another size, and ResourceError if writing
/// fails.
void unpack_members(const std::filesystem::path& archive, std::span<const ArchiveMember> members,
                    const std::filesystem::path& folder);

}  // namespace ddpm_eval::data
