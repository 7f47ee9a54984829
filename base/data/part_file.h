#pragma once

#include <cstdint>
#include <filesystem>

namespace ddpm_eval::data {

/// Private to fetch.cpp: the partial file of a download. It stays on disk when the object goes, unless it is
/// empty or installed, and is locked while the object lives. Every failure throws ResourceError.
class PartFile {
 public:
  /// Opens or creates `<target>.part`. Throws ResourceError if another process has it.
  explicit PartFile(std::filesystem::path target);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }

  /// Appends; returns false with errno set instead of throwing, since libcurl calls it.
  bool append(const char* bytes, size_t count);
  /// Empties the file; false with errno set.
  bool clear();
  void clear_or_throw();
  /// Syncs it and renames it over the target.
  void install();

 private:
  [[noreturn]] void fail(const char* action, int error_number) const;

  std::filesystem::path target_;
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  bool installed_ = false;
};

}  // namespace ddpm_eval::data
