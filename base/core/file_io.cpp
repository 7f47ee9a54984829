#include "base/core/file_io.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ddpm_eval::core {
namespace fs = std::filesystem;

namespace {

/// Closes on every way out.
struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) {
      ::close(value);
    }
  }
};

/// 0, or the errno of the first failed write.
int write_all(int descriptor, const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t written = ::write(descriptor, bytes, count);
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno;
    }
    bytes += written;
    count -= static_cast<size_t>(written);
  }
  return 0;
}

/// Waits a little for something to happen to a pipe; whether its last writer has gone meanwhile. A pipe may
/// keep its reader waiting for ever, so that an interrupt has to end the wait.
bool await_pipe(int descriptor, const fs::path& path) {
  constexpr int kStepMs = 50;
  if (interrupt_requested()) {
    throw InterruptedError("interrupted while {} was read", path.string());
  }
  pollfd pipe{descriptor, POLLIN, 0};
  if (::poll(&pipe, 1, kStepMs) < 0 && errno != EINTR) {
    throw DataError("{}: {}", path.string(), std::strerror(errno));
  }
  return (pipe.revents & POLLHUP) != 0;
}

/// A pipe opened without blocking, whose size is not known beforehand. One that has no writer never ends; but
/// its writer may be on the way, as a shell starts both at once.
std::vector<char> read_to_end(int descriptor, const fs::path& path, uint64_t max_bytes) {
  constexpr uint64_t kMaxPiped = uint64_t{1} << 30;
  constexpr int kStepsForAWriter = 20;  // of await_pipe()
  const uint64_t limit = std::min(max_bytes, kMaxPiped);
  std::vector<char> bytes;
  std::vector<char> chunk(1 << 16);
  bool has_writer = false;
  for (int step = 0;;) {
    const ssize_t got = ::read(descriptor, chunk.data(), chunk.size());
    if (got > 0) {
      has_writer = true;
      bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + got);
      if (bytes.size() > limit) {
        throw DataError("{}: more than the {} bytes such a file may have", path.string(), limit);
      }
    } else if (got == 0 && has_writer) {
      return bytes;
    } else if (got == 0) {
      if (++step > kStepsForAWriter) {
        throw DataError("{}: nobody writes to this pipe", path.string());
      }
      has_writer = await_pipe(descriptor, path);
    } else if (errno == EAGAIN) {
      has_writer = true;
      await_pipe(descriptor, path);
    } else if (errno != EINTR) {
      throw DataError("{}: read error: {}", path.string(), std::strerror(errno));
    }
  }
}

}  // namespace

std::vector<char> read_file(const fs::path& path, uint64_t max_bytes) {
  Descriptor file{-1};
  do {
    file.value = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  } while (file.value < 0 && errno == EINTR);
  if (file.value < 0) {
    throw DataError("{}: cannot be opened: {}", path.string(), std::strerror(errno));
  }
  struct stat status {};
  if (::fstat(file.value, &status) != 0) {
    throw DataError("{}: {}", path.string(), std::strerror(errno));
  }
  if (S_ISDIR(status.st_mode)) {
    throw DataError("{}: is a folder, not a file", path.string());
  }
  if (S_ISFIFO(status.st_mode)) {
    return read_to_end(file.value, path, max_bytes);
  }
  if (!S_ISREG(status.st_mode)) {
    throw DataError("{}: is a device or a terminal, not a file or a pipe", path.string());
  }
  if (static_cast<uint64_t>(status.st_size) > max_bytes) {
    throw DataError("{}: {} bytes, more than the {} such a file may have", path.string(), status.st_size,
                    max_bytes);
  }
  std::vector<char> bytes(static_cast<size_t>(status.st_size));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.value, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      throw DataError("{}: read error: {}", path.string(), std::strerror(errno));
    }
    if (got == 0) {
      throw DataError("{}: became shorter while being read", path.string());
    }
    done += static_cast<size_t>(got);
  }
  return bytes;
}

std::string read_text(const fs::path& path, uint64_t max_bytes) {
  const auto bytes = read_file(path, max_bytes);
  return {bytes.begin(), bytes.end()};
}

void make_folders(const fs::path& folder) {
  if (folder.empty()) {
    return;
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw ResourceError("{}: cannot be created: {}", folder.string(), error.message());
  }
  if (!fs::is_directory(folder, error)) {
    throw ResourceError("{}: is a file where a folder is needed", folder.string());
  }
}

FolderLock::FolderLock(const fs::path& folder)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  is_real_ = descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
  if (descriptor_ >= 0 && !is_real_ && errno == EWOULDBLOCK) {
    ::close(descriptor_);
    throw ResourceError("{}: another process is writing there; wait for it or choose another folder",
                        folder.string());
  }
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

AtomicFile::AtomicFile(fs::path target) : target_(std::move(target)) {
  std::error_code ignored;
  if (fs::is_symlink(target_, ignored)) {
    target_ = fs::weakly_canonical(target_);  // the rename must replace the file, not the link to it
  }
  if (fs::is_directory(target_, ignored)) {
    throw ResourceError("{}: is a folder where a file is to be written", target_.string());
  }
  if (fs::exists(target_, ignored) && !fs::is_regular_file(target_, ignored)) {
    descriptor_ = ::open(target_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    temporary_.emplace(target_, TemporaryKind::kFile);
    descriptor_ = ::fcntl(temporary_->descriptor(), F_DUPFD_CLOEXEC, 0);
  }
  if (descriptor_ < 0) {
    fail("cannot be written", errno);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  if (!committed_ && temporary_) {
    ::unlink(temporary_->path().c_str());
  }
}

void AtomicFile::fail(const char* action, int error_number) const {
  throw ResourceError("{}: {}: {}", target_.string(), action, std::strerror(error_number));
}

void AtomicFile::write(const void* bytes, size_t count) {
  if (const int error = write_all(descriptor_, static_cast<const char*>(bytes), count)) {
    fail("write failed", error);
  }
}

void AtomicFile::overwrite(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      fail("write failed", errno);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

void AtomicFile::commit(Durability durability) {
  DDPM_CHECK(!committed_ && descriptor_ >= 0, "{} committed twice", target_.string());
  if (!temporary_) {
    committed_ = true;
    return;
  }
  if (durability == Durability::kSynced && ::fsync(descriptor_) != 0) {
    fail("sync failed", errno);
  }
  const int descriptor = descriptor_;
  descriptor_ = -1;
  if (::close(descriptor) != 0) {
    fail("close failed", errno);
  }
  if (::rename(temporary_->path().c_str(), target_.c_str()) != 0) {
    fail("rename failed", errno);
  }
  committed_ = true;
  if (durability == Durability::kLater) {
    return;
  }
  // The new name itself must survive a power cut. A file system that cannot sync folders is no reason to
  // fail.
  const auto folder = target_.has_parent_path() ? target_.parent_path() : fs::path(".");
  const Descriptor parent{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (parent.value >= 0) {
    ::fsync(parent.value);
  }
}

void remove_abandoned_files(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> abandoned;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (TemporaryName::is_one(it->path().filename().native()) && it->is_regular_file(error)) {
      abandoned.push_back(it->path());
    }
  }
  for (const auto& path : abandoned) {
    TemporaryName::remove_abandoned(path);
  }
}

void write_file(const fs::path& target, std::string_view contents) {
  AtomicFile file(target);
  file.write(contents);
  file.commit();
}

void require_writable(const fs::path& target) {
  std::error_code error;
  const auto status = fs::status(target, error);
  const bool in_place = fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
  if (!in_place) {  // opening a pipe twice would end it for its reader
    const AtomicFile probe(target);
  }
}

void append_to_file(const fs::path& target, std::string_view contents) {
  const Descriptor file{::open(target.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)};
  const int error = file.value < 0 ? errno : write_all(file.value, contents.data(), contents.size());
  if (error != 0) {
    throw ResourceError("{}: cannot be appended to: {}", target.string(), std::strerror(error));
  }
}

}  // namespace ddpm_eval::core
