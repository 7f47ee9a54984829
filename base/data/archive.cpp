#include "base/data/archive.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/gz_reader.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include <archive.h>
#include <archive_entry.h>

namespace ddpm_eval::data {
namespace {

struct ReadDeleter {
  void operator()(struct archive* handle) const { archive_read_free(handle); }
};

/// A guard against archives that are almost all air.
constexpr uint64_t kMostUnpacked = uint64_t{1} << 32;

class TarReader {
 public:
  explicit TarReader(const std::filesystem::path& path)
      : path_(path.string()), gz_(path), handle_(archive_read_new()) {
    DDPM_CHECK(handle_ != nullptr, "libarchive cannot start");
    archive_read_support_format_tar(handle_.get());
    expect(archive_read_open(handle_.get(), this, nullptr, &TarReader::on_read, nullptr));
  }

  /// The next entry, or null at the end.
  archive_entry* next() {
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(handle_.get(), &entry);
    if (code == ARCHIVE_EOF) {
      while (refill() > 0) {
      }
      return nullptr;
    }
    expect(code);
    return entry;
  }

  /// Copies the current entry's `size` bytes.
  void copy_to(const std::filesystem::path& target, uint64_t size) {
    core::AtomicFile file(target);
    std::vector<char> buffer(1 << 20);
    uint64_t done = 0;
    while (true) {
      const la_ssize_t got = archive_read_data(handle_.get(), buffer.data(), buffer.size());
      if (got < 0) {
        expect(got);
      }
      if (got <= 0) {
        break;
      }
      done += static_cast<uint64_t>(got);
      if (done > size) {
        break;
      }
      file.write(buffer.data(), static_cast<size_t>(got));
    }
    if (done != size) {
      throw core::DataError("{}: '{}' is not as long as announced", path_, target.filename().string());
    }
    file.commit();
  }

 private:
  /// libarchive does not compare gzip's checksum, zlib does: so the bytes come through GzReader.
  static la_ssize_t on_read(struct archive* handle, void* self, const void** bytes) {
    auto& reader = *static_cast<TarReader*>(self);
    try {
      const size_t got = reader.refill();
      *bytes = reader.buffer_.data();
      return static_cast<la_ssize_t>(got);
    } catch (const core::DataError& error) {  // no exception may cross C code
      reader.failure_ = error;
      archive_set_error(handle, EIO, "unreadable");
      return ARCHIVE_FATAL;
    }
  }

  size_t refill() {
    const size_t got = gz_.read(buffer_.data(), buffer_.size());
    total_ += got;
    if (total_ > kMostUnpacked) {
      throw core::DataError("{}: unpacks to more than {} bytes", path_, kMostUnpacked);
    }
    return got;
  }

  /// Warnings are about owners and odd names, which do not matter here.
  void expect(int64_t code) const {
    if (failure_) {
      throw *failure_;
    }
    if (code < ARCHIVE_WARN) {
      const char* reason = archive_error_string(handle_.get());
      throw core::DataError("{}: damaged archive: {}", path_, reason != nullptr ? reason : "unknown reason");
    }
  }

  std::string path_;
  GzReader gz_;
  std::vector<char> buffer_ = std::vector<char>(1 << 17);
  uint64_t total_ = 0;
  std::optional<core::DataError> failure_;
  std::unique_ptr<struct archive, ReadDeleter> handle_;
};

std::string last_part(const char* path) {
  return path == nullptr ? "" : std::filesystem::path(path).filename().string();
}

}  // namespace

void unpack_members(const std::filesystem::path& archive, std::span<const ArchiveMember> members,
                    const std::filesystem::path& folder) {
  TarReader reader(archive);
  std::set<std::string> found;
  while (archive_entry* entry = reader.next()) {
    const std::string name = last_part(archive_entry_pathname(entry));
    const auto member = std::find_if(members.begin(), members.end(),
                                     [&](const ArchiveMember& candidate) { return candidate.name == name; });
    if (member == members.end()) {
      continue;
    }
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
      throw core::DataError("{}: '{}' in it is not a plain file", archive.string(), name);
    }
    const auto size = static_cast<uint64_t>(std::max<int64_t>(archive_entry_size(entry), 0));
    if (size < member->min_bytes || size > member->max_bytes) {
      throw core::DataError("{}: '{}' in it has {} bytes where {} are expected", archive.string(), name, size,
                            member->max_bytes);
    }
    if (!found.insert(name).second) {
      throw core::DataError("{}: '{}' occurs twice in it", archive.string(), name);
    }
    reader.copy_to(folder / name, size);
  }
  for (const auto& member : members) {
    if (member.required && found.count(member.name) == 0) {
      throw core::DataError("{}: '{}' is missing from it", archive.string(), member.name);
    }
  }
}

}  // namespace ddpm_eval::data
