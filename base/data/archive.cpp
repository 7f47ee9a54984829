#include "base/data/archive.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/tar_reader.h"

#include <algorithm>
#include <set>
#include <vector>

namespace ddpm_eval::data {
namespace {

/// A guard against archives that are almost all air.
constexpr uint64_t kMostUnpacked = uint64_t{1} << 32;

/// Copies the `size` bytes of the file that the reader is at.
void copy_file(TarReader& reader, uint64_t size, const std::filesystem::path& target) {
  core::AtomicFile file(target);
  std::vector<char> buffer(1 << 20);
  while (size > 0) {
    const uint64_t count = std::min<uint64_t>(size, buffer.size());
    reader.read(buffer.data(), count);
    file.write(buffer.data(), count);
    size -= count;
  }
  file.commit();
}

}  // namespace

void unpack_members(const std::filesystem::path& archive, std::span<const ArchiveMember> members,
                    const std::filesystem::path& folder) {
  TarReader reader(archive, 0, kMostUnpacked);
  std::set<std::string> found;
  while (const auto entry = reader.next()) {
    const auto name = std::filesystem::path(entry->name).filename().string();
    const auto member = std::find_if(members.begin(), members.end(),
                                     [&](const ArchiveMember& candidate) { return candidate.name == name; });
    if (member == members.end()) {
      continue;
    }
    if (entry->kind != TarReader::Kind::kFile) {
      throw core::DataError("{}: '{}' in it is not a plain file", archive.string(), name);
    }
    if (entry->size < member->min_bytes || entry->size > member->max_bytes) {
      throw core::DataError("{}: '{}' in it has {} bytes where {} are expected", archive.string(), name,
                            entry->size, member->max_bytes);
    }
    if (!found.insert(name).second) {
      throw core::DataError("{}: '{}' occurs twice in it", archive.string(), name);
    }
    copy_file(reader, entry->size, folder / name);
  }
  for (const auto& member : members) {
    if (member.required && found.count(member.name) == 0) {
      throw core::DataError("{}: '{}' is missing from it", archive.string(), member.name);
    }
  }
}

}  // namespace ddpm_eval::data
