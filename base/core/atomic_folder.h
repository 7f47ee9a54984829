#pragma once

#include "base/core/temporary_name.h"

#include <filesystem>
#include <optional>

namespace ddpm_eval::core {

/// A folder that appears whole or not at all: files go to a temporary name beside it, and commit() renames
/// that. Without commit() the destructor removes it; what a killed process has left, the next writer of the
/// same folder removes.
class AtomicFolder {
 public:
  /// Throws UsageError if `target` is there, unless as an empty folder, and ResourceError if the temporary
  /// one cannot be made.
  explicit AtomicFolder(const std::filesystem::path& target);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  /// Where to write until commit().
  const std::filesystem::path& path() const { return temporary_->path(); }

  /// Throws ResourceError, also if something else has taken the name meanwhile.
  void commit();

 private:
  std::filesystem::path target_;
  std::optional<TemporaryName> temporary_;
  bool committed_ = false;
};

}  // namespace ddpm_eval::core
