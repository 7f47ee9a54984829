#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

namespace ddpm_eval::data {

/// A file read from front to back and unpacked if it is gzip. The stream's checksum is compared when its end
/// is read.
class GzReader {
 public:
  /// Throws DataError.
  explicit GzReader(const std::filesystem::path& path);
  ~GzReader();
  GzReader(const GzReader&) = delete;
  GzReader& operator=(const GzReader&) = delete;

  /// Up to `count` bytes (below 2^31); fewer only at the end. Throws DataError if the file is damaged or cut
  /// short.
  size_t read(void* into, size_t count);

 private:
  struct State;
  std::string path_;
  std::unique_ptr<State> state_;
};

}  // namespace ddpm_eval::data
