#include "base/data/byte_stream.h"

#include "base/core/error.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ddpm_eval::data {

using core::DataError;

FileStream::FileStream(const std::filesystem::path& path) : origin_(path.string()) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // a pipe must not be waited for
  if (descriptor_ < 0) {
    throw DataError("{}: cannot be opened: {}", origin_, std::strerror(errno));
  }
  struct stat status {};
  const bool known = ::fstat(descriptor_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw DataError("{}: is not a file", origin_);
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

FileStream::~FileStream() { ::close(descriptor_); }

void FileStream::read(void* out, size_t count) {
  if (count > remaining()) {
    throw DataError("{}: ends after {} bytes where more are needed; the file is cut short", origin_, size_);
  }
  auto* bytes = static_cast<char*>(out);
  while (count > 0) {
    const ssize_t got = ::pread(descriptor_, bytes, count, static_cast<off_t>(offset_));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      throw DataError("{}: read error: {}", origin_, std::strerror(errno));
    }
    if (got == 0) {
      throw DataError("{}: became shorter while being read", origin_);
    }
    bytes += got;
    offset_ += static_cast<uint64_t>(got);
    count -= static_cast<size_t>(got);
  }
}

SpanStream::SpanStream(std::span<const char> bytes, std::string origin)
    : bytes_(bytes), origin_(std::move(origin)) {}

void SpanStream::read(void* out, size_t count) {
  if (count > bytes_.size()) {
    throw DataError("{}: is cut short", origin_);
  }
  if (count > 0) {
    std::memcpy(out, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
  }
}

void DigestStream::read(void* out, size_t count) {
  inner_.read(out, count);
  digest_.update(out, count);
}

}  // namespace ddpm_eval::data
