#include "base/data/part_file.h"

#include "base/core/error.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ddpm_eval::data {

PartFile::PartFile(std::filesystem::path target) : target_(std::move(target)), path_(target_) {
  path_ += ".part";
  if (std::filesystem::is_directory(target_)) {
    throw core::ResourceError("{}: is a folder where a file is to be written", target_.string());
  }
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    fail("cannot be written", errno);
  }
  struct stat status {};
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    ::close(descriptor_);
    throw core::ResourceError("{}: another process is fetching this file; wait for it to end",
                              path_.string());
  }
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw core::ResourceError("{}: is not a regular file", path_.string());
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

PartFile::~PartFile() {
  if (!installed_ && size_ == 0) {
    ::unlink(path_.c_str());
  }
  ::close(descriptor_);
}

void PartFile::fail(const char* action, int error_number) const {
  throw core::ResourceError("{}: {}: {}", path_.string(), action, std::strerror(error_number));
}

bool PartFile::append(const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t written = ::pwrite(descriptor_, bytes, count, static_cast<off_t>(size_));
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return false;
    }
    bytes += written;
    count -= static_cast<size_t>(written);
    size_ += static_cast<uint64_t>(written);
  }
  return true;
}

bool PartFile::clear() {
  if (::ftruncate(descriptor_, 0) != 0) {
    return false;
  }
  size_ = 0;
  return true;
}

void PartFile::clear_or_throw() {
  if (!clear()) {
    fail("cannot be emptied", errno);
  }
}

void PartFile::install() {
  if (::fsync(descriptor_) != 0) {
    fail("sync failed", errno);
  }
  if (::rename(path_.c_str(), target_.c_str()) != 0) {
    fail("rename failed", errno);
  }
  installed_ = true;
}

}  // namespace ddpm_eval::data
