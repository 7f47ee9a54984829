#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace ddpm_eval::data {

/// A file read from front to back and unpacked if it is gzip, which its first bytes tell. The stream's
/// checksum is compared when its end is read. Every call throws DataError if the file is damaged.
class GzReader {
 public:
  explicit GzReader(const std::filesystem::path& path);
  ~GzReader();
  GzReader(const GzReader&) = delete;
  GzReader& operator=(const GzReader&) = delete;

  const std::string& path() const { return path_; }

  /// The most bytes that a file of this size can hold: a bound for counts in headers, to be compared before
  /// memory is taken.
  uint64_t at_most() const { return at_most_; }

  /// Up to `count` bytes (below 2^31); fewer only at the end.
  size_t read(void* into, size_t count);

  /// The next `count` bytes. Throws DataError if fewer are left.
  void read_exactly(void* into, uint64_t count);

  /// Throws DataError if bytes are left.
  void expect_end();

 private:
  struct State;
  std::string path_;
  uint64_t at_most_ = 0;
  std::unique_ptr<State> state_;
};

}  // namespace ddpm_eval::data
