#include "base/core/temporary_name.h"

#include "base/core/error.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ddpm_eval::core {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kTemporaryMark = ".tmp-";
constexpr int kMaxNames = 10'000;  ///< with no locks, every killed writer leaves one

/// Whether a live process other than this descriptor's holds the lock; without locks nobody is known to.
bool is_held_elsewhere(int descriptor) {
  return ::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

/// Whether `path` still names what was opened: another writer may have swept or renamed it since.
bool is_still_there(const fs::path& path, int descriptor) {
  struct stat named {
  }, open{};
  return ::lstat(path.c_str(), &named) == 0 && ::fstat(descriptor, &open) == 0 &&
         named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

/// Deletes what a dead writer has left; whether the name is free now.
bool sweep(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) {
    return errno == ENOENT;
  }
  const bool abandoned = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && is_still_there(path, descriptor);
  std::error_code error;
  if (abandoned) {
    fs::remove_all(path, error);
  }
  ::close(descriptor);
  return abandoned && !error;
}

/// A descriptor of something new, or -1 with errno.
int create(const fs::path& path, TemporaryKind kind) {
  if (kind == TemporaryKind::kFile) {
    return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  }
  if (::mkdir(path.c_str(), 0777) != 0) {
    return -1;
  }
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  errno = folder < 0 && errno == ENOENT ? EEXIST : errno;  // swept at once, to be tried again
  return folder;
}

}  // namespace

TemporaryName::TemporaryName(const fs::path& target, TemporaryKind kind) {
  const auto numbered = [&](int number) {
    fs::path path = target;
    return path += fmt::format("{}{}", kTemporaryMark, number);
  };
  for (int number = 0; number < kMaxNames; ++number) {
    path_ = numbered(number);
    do {
      descriptor_ = create(path_, kind);
      if (descriptor_ < 0 && errno != EEXIST) {
        throw ResourceError("{}: cannot be written: {}{}", target.string(), std::strerror(errno),
                            errno == ENOENT ? "; make the folder first" : "");
      }
      if (descriptor_ >= 0) {
        if (!is_held_elsewhere(descriptor_) && is_still_there(path_, descriptor_)) {
          sweep(numbered(number + 1));
          return;
        }
        ::close(descriptor_);  // a sweeper came between
        descriptor_ = -1;
      }
    } while (sweep(path_));
  }
  throw ResourceError("{}: cannot be written: {} temporary files lie beside it", target.string(), kMaxNames);
}

TemporaryName::~TemporaryName() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

void TemporaryName::remove_abandoned(const fs::path& path) { sweep(path); }

bool TemporaryName::is_one(std::string_view name) {
  const size_t mark = name.rfind(kTemporaryMark);
  if (mark == std::string_view::npos || mark == 0) {
    return false;
  }
  const auto rest = name.substr(mark + kTemporaryMark.size());
  return !rest.empty() && rest.front() != '-' && rest.back() != '-' &&
         rest.find_first_not_of("0123456789-") == std::string_view::npos;
}

}  // namespace ddpm_eval::core
