#pragma once

#include <filesystem>
#include <optional>

namespace ddpm_eval::core {

/// Keeps other processes out of what a file stands for, on other machines too: flock(2) of a file that is
/// open for writing is what NFS has, where FolderLock's of a folder is not. The lock goes with the process,
/// however that ends. The file stays, empty: it means nothing by itself, and to delete it would let two
/// processes hold two files of one name.
class FileLock {
 public:
  /// Nothing if another process holds it. Makes the file where there is none. Throws ResourceError if it
  /// cannot be written or its file system has no locks.
  static std::optional<FileLock> take(const std::filesystem::path& file);

  /// Whether another process holds it now. Makes no file; without locks, or for a file that cannot be read,
  /// nobody is known to.
  static bool is_held(const std::filesystem::path& file);

  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_ = -1;
};

}  // namespace ddpm_eval::core
