#include "base/core/atomic_folder.h"

#include "base/core/error.h"
#include "base/core/file_io.h"

#include <system_error>

namespace ddpm_eval::core {
namespace fs = std::filesystem;

AtomicFolder::AtomicFolder(const fs::path& target) {
  target_ = target.has_filename() ? target : target.parent_path();  // "runs/x/"
  std::error_code error;
  const bool is_empty_folder = fs::is_directory(target_, error) && fs::is_empty(target_, error);
  if (fs::exists(fs::symlink_status(target_, error)) && !is_empty_folder) {
    throw UsageError("{}: is there already; choose another name", target_.string());
  }
  make_folders(target_.parent_path());
  temporary_.emplace(target_, TemporaryKind::kFolder);
}

AtomicFolder::~AtomicFolder() {
  if (!committed_) {
    std::error_code ignored;
    fs::remove_all(temporary_->path(), ignored);
  }
}

void AtomicFolder::commit() {
  std::error_code error;
  fs::rename(temporary_->path(), target_, error);
  if (error) {
    throw ResourceError("{}: cannot be put in place: {}", target_.string(), error.message());
  }
  committed_ = true;
}

}  // namespace ddpm_eval::core
