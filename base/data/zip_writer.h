#pragma once

#include "base/core/file_io.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Writing zip archives as a stream. libzip, which reads them, writes only on closing, from sources that it
// pulls, and to a file that it renames itself: neither an endless stream of images nor AtomicFile's promise
// fits that.
namespace ddpm_eval::data {

/// A zip archive of stored (uncompressed) members, as numpy.savez writes them; zip64 where sizes need it. The
/// file appears whole on commit(). Dates are fixed, so equal contents give equal bytes. Throws ResourceError
/// as AtomicFile does.
class ZipWriter {
 public:
  explicit ZipWriter(std::filesystem::path target) : file_(std::move(target)) {}

  /// A member in one piece.
  void add(std::string_view name, std::string_view contents);

  /// A member in pieces: begin, write any number of times, end. The first `placeholder.size()` bytes of the
  /// member are replaced on end() by `prefix`, which must have that length: for headers that count what
  /// follows.
  void begin(std::string_view name, std::string_view placeholder = {});
  void write(const void* bytes, size_t count);
  void end(std::string_view prefix = {});

  void commit();

 private:
  struct Member {
    std::string name;
    uint64_t offset = 0;  ///< of the local header
    uint64_t size = 0;
    uint32_t crc = 0;
  };

  std::string local_header(const Member& member) const;
  std::string central_header(const Member& member) const;
  void append(std::string_view bytes);

  core::AtomicFile file_;
  uint64_t position_ = 0;
  std::vector<Member> members_;
  size_t prefix_bytes_ = 0;
  bool open_ = false;
};

}  // namespace ddpm_eval::data
