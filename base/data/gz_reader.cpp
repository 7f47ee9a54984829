#include "base/data/gz_reader.h"

#include "base/core/error.h"

#include <cerrno>
#include <cstring>

#include <zlib.h>

namespace ddpm_eval::data {

struct GzReader::State {
  gzFile file = nullptr;
};

GzReader::GzReader(const std::filesystem::path& path)
    : path_(path.string()), state_(std::make_unique<State>()) {
  state_->file = gzopen(path_.c_str(), "rb");
  if (state_->file == nullptr) {
    throw core::DataError("{}: cannot be opened: {}", path_, std::strerror(errno));
  }
  gzbuffer(state_->file, 1 << 17);
}

GzReader::~GzReader() {
  if (state_->file != nullptr) {
    gzclose_r(state_->file);
  }
}

size_t GzReader::read(void* into, size_t count) {
  const int got = gzread(state_->file, into, static_cast<unsigned>(count));
  int code = Z_OK;
  const char* reason = gzerror(state_->file, &code);
  // A stream that is cut short ends with Z_BUF_ERROR, and some bytes may still have come.
  if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
    throw core::DataError("{}: damaged or cut short: {}", path_,
                          code == Z_ERRNO ? std::strerror(errno) : reason);
  }
  return static_cast<size_t>(got);
}

}  // namespace ddpm_eval::data
