#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace ddpm_eval::data {

/// A tar archive, plain or gzip (which its first bytes tell), read from front to back through libarchive.
/// Every call throws DataError naming the file for an archive that is damaged. Not thread-safe.
class TarReader {
 public:
  enum class Kind { kFile, kFolder, kHardLink, kSymbolicLink, kOther };

  struct Entry {
    std::string name;  ///< as it stands there, byte by byte; "" if that cannot be told
    Kind kind = Kind::kOther;
    uint64_t size = 0;      ///< of a file
    std::string target{};   ///< of a link
    uint64_t position = 0;  ///< of its headers, to begin another reader at
  };

  /// Begins at an entry's `position`; in a gzip archive at 0 alone. `most_unpacked` is a guard against gzip
  /// archives that are almost all air.
  explicit TarReader(const std::filesystem::path& path, uint64_t position = 0,
                     uint64_t most_unpacked = UINT64_MAX);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  bool is_gzip() const;

  /// The next entry, or nothing at the end, where the rest of a gzip stream is read and its checksum
  /// compared.
  std::optional<Entry> next();

  /// The next `count` bytes of the file that next() gave. Throws DataError if fewer are left.
  void read(void* into, uint64_t count);

  /// Whether the archive ends in zeros, as tar ends it: else it may be cut short between two members. To be
  /// asked once next() has given nothing.
  bool has_end_mark();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ddpm_eval::data
