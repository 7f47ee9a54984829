#include "base/data/gz_reader.h"

#include "base/core/error.h"
#include "base/data/byte_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <zlib.h>

namespace ddpm_eval::data {
namespace {

constexpr unsigned kBufferBytes = 1 << 17;
constexpr uint64_t kMostAtOnce = 1 << 30;  // zlib counts in int

}  // namespace

struct GzReader::State {
  gzFile file = nullptr;
};

GzReader::GzReader(const std::filesystem::path& path)
    : path_(path.string()), state_(std::make_unique<State>()) {
  state_->file = gzopen(path_.c_str(), "rb");
  if (state_->file == nullptr) {
    throw core::DataError("{}: cannot be opened: {}", path_, std::strerror(errno));
  }
  gzbuffer(state_->file, kBufferBytes);
  std::error_code error;
  const uint64_t bytes = std::filesystem::file_size(path, error);
  if (!error) {
    at_most_ = bytes * (gzdirect(state_->file) != 0 ? 1 : kDeflateLimit);
  }
}

GzReader::~GzReader() {
  if (state_->file != nullptr) {
    gzclose_r(state_->file);
  }
}

size_t GzReader::read(void* into, size_t count) {
  const int got = gzread(state_->file, into, static_cast<unsigned>(count));
  int code = Z_OK;
  std::string reason = gzerror(state_->file, &code);
  // A stream that is cut short ends with Z_BUF_ERROR, and some bytes may still have come.
  if (got >= 0 && (code == Z_OK || code == Z_STREAM_END)) {
    return static_cast<size_t>(got);
  }
  if (code == Z_ERRNO) {
    throw core::DataError("{}: cannot be read: {}", path_, std::strerror(errno));
  }
  if (reason.starts_with(path_ + ": ")) {
    reason.erase(0, path_.size() + 2);
  }
  throw core::DataError("{}: the gzip stream is {}: {}", path_, code == Z_BUF_ERROR ? "cut short" : "damaged",
                        reason);
}

void GzReader::read_exactly(void* into, uint64_t count) {
  auto* out = static_cast<char*>(into);
  while (count > 0) {
    const size_t got = read(out, std::min(count, kMostAtOnce));
    if (got == 0) {
      throw core::DataError("{}: is cut short: {} more bytes are needed", path_, count);
    }
    out += got;
    count -= got;
  }
}

void GzReader::expect_end() {
  char beyond = 0;
  if (read(&beyond, 1) != 0) {
    throw core::DataError("{}: holds more bytes than its header says", path_);
  }
}

}  // namespace ddpm_eval::data
