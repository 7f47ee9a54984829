#pragma once

#include "base/data/byte_stream.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ddpm_eval::data {

/// Reads a zip archive through libzip, stored or deflated members; bytes before the archive, as of a program
/// that unpacks it, are passed over, and of several archives in one file the last counts, as with Python's
/// zipfile. Every call throws DataError naming the file and the member for an archive that is damaged,
/// encrypted or not a zip. Not thread-safe.
class ZipArchive {
 public:
  /// `kind` is for messages: ".npz archive".
  ZipArchive(const std::filesystem::path& path, std::string_view kind);
  ~ZipArchive();
  ZipArchive(const ZipArchive&) = delete;
  ZipArchive& operator=(const ZipArchive&) = delete;

  /// Full names of the members, byte by byte, in the order of the archive; "" for one whose name cannot be
  /// read.
  const std::vector<std::string>& names() const { return names_; }
  std::optional<uint64_t> find(const std::string& member) const;

  /// A member as a stream whose memory does not depend on its size. Reading its last byte checks its CRC. The
  /// stream must not outlive the reader, and one is open at a time. Sizes that a deflate stream of that many
  /// bytes cannot have are damage.
  std::unique_ptr<ByteStream> open(uint64_t index) const;

 private:
  struct Archive;
  std::filesystem::path path_;
  std::unique_ptr<Archive> archive_;
  std::vector<std::string> names_;
};

}  // namespace ddpm_eval::data
