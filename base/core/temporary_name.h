#pragma once

#include <filesystem>
#include <string_view>

namespace ddpm_eval::core {

enum class TemporaryKind { kFile, kFolder };

/// A new, empty file or folder named TARGET.tmp-N, N the lowest number that is free. Its writer holds a lock
/// on it, which goes with the process however that ends: so the next writer of the same target knows what a
/// dead one has left from what is being written, and deletes it. Where the file system has no locks nothing
/// is deleted. Two live writers get two names.
class TemporaryName {
 public:
  /// Throws ResourceError, naming the target, if nothing can be made there.
  TemporaryName(const std::filesystem::path& target, TemporaryKind kind);
  /// Gives up the lock. What is to be renamed or deleted must have been before.
  ~TemporaryName();
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Of the file, for writing, or the folder.
  int descriptor() const { return descriptor_; }

  /// Whether a file may have been named so by this class or an earlier one: something, ".tmp-", digits, which
  /// a dash may part.
  static bool is_one(std::string_view name);
  /// Deletes what a dead writer has left at `path`, and nothing that a live one holds.
  static void remove_abandoned(const std::filesystem::path& path);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace ddpm_eval::core
