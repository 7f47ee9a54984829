#pragma once

#include "base/core/temporary_name.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ddpm_eval::core {

/// The whole file, or all that comes out of a pipe. Throws DataError if it is missing, a folder, a device, a
/// pipe that nobody opens for writing within a second, unreadable or larger than `max_bytes`;
/// InterruptedError if an interrupt ends the wait for a pipe.
std::vector<char> read_file(const std::filesystem::path& path, uint64_t max_bytes = UINT64_MAX);

/// Like read_file, as text.
std::string read_text(const std::filesystem::path& path, uint64_t max_bytes = 64 << 20);

/// Creates `folder` and its parents. Throws ResourceError naming the reason (read-only, no space, a file in
/// the way).
void make_folders(const std::filesystem::path& folder);

/// Keeps other processes out of a folder for as long as it lives; the lock goes with the process, however
/// that ends. Where the file system has no locks there is none.
class FolderLock {
 public:
  /// `folder` must exist. Throws ResourceError if another process holds it.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// False where the file system has no locks on folders: nobody is kept out then.
  bool is_real() const { return is_real_; }

 private:
  int descriptor_ = -1;
  bool is_real_ = false;
};

/// kSynced: on the disk before commit() returns. kLater: whenever the operating system writes it, which a
/// writer of thousands of small files wants; the name still never shows a partial file unless the power
/// fails.
enum class Durability { kSynced, kLater };

/// A file that appears whole or not at all: bytes go to a temporary name beside the target, and commit()
/// syncs it and renames it over the target. Without commit() the destructor removes the temporary file; what
/// a killed process has left, the next writer of the same target removes. Every failure, a full disk among
/// them, throws ResourceError naming the target. A link is followed; a device or a pipe is written in place.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, size_t count);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Replaces bytes already written: for headers that count what follows them.
  void overwrite(uint64_t offset, std::string_view bytes);
  void commit(Durability durability = Durability::kSynced);

  /// Where the bytes are until commit(): for libraries that write by name. Such a library must write this
  /// very path.
  const std::filesystem::path& temporary_path() const { return temporary_->path(); }

 private:
  [[noreturn]] void fail(const char* action, int error_number) const;

  std::filesystem::path target_;
  std::optional<TemporaryName> temporary_;  ///< none for a device or a pipe: written in place
  int descriptor_ = -1;
  bool committed_ = false;
};

/// Deletes what processes killed while writing with AtomicFile have left in `folder` itself. Nobody may be
/// writing there: hold its lock.
void remove_abandoned_files(const std::filesystem::path& folder);

/// AtomicFile, write and commit in one.
void write_file(const std::filesystem::path& target, std::string_view contents);

/// Throws ResourceError unless `target` can be written as AtomicFile would: to be asked before the work whose
/// result goes there.
void require_writable(const std::filesystem::path& target);

/// Appends to a file and flushes it to the operating system; one call is one write(2), so lines of several
/// writers do not mix. Throws ResourceError.
void append_to_file(const std::filesystem::path& target, std::string_view contents);

}  // namespace ddpm_eval::core
