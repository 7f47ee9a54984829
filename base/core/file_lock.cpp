#include "base/core/file_lock.h"

#include "base/core/error.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace ddpm_eval::core {

std::optional<FileLock> FileLock::take(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    throw ResourceError("{}: cannot be written: {}", file.string(), std::strerror(errno));
  }
  FileLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
    return lock;
  }
  if (errno == EWOULDBLOCK || errno == EACCES) {  // EACCES: how NFS may say it
    return std::nullopt;
  }
  throw ResourceError("{}: cannot be locked, as its file system has no locks: {}", file.string(),
                      std::strerror(errno));
}

bool FileLock::is_held(const std::filesystem::path& file) {
  int kind = LOCK_EX;
  int descriptor = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) {  // a reader of somebody else's files; NFS then knows shared locks alone
    kind = LOCK_SH;
    descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  }
  if (descriptor < 0) {
    return false;
  }
  const FileLock closes(descriptor);
  return ::flock(descriptor, kind | LOCK_NB) != 0 && (errno == EWOULDBLOCK || errno == EACCES);
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

}  // namespace ddpm_eval::core
