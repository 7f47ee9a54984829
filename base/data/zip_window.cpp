#include "base/data/zip_window.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <zip.h>

namespace ddpm_eval::data {

struct ZipWindow::State {
  State(FileStream& stream, ZipExtent window) : file(stream), extent(std::move(window)) {
    ::zip_error_init(&error);
  }
  ~State() { ::zip_error_fini(&error); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  static zip_int64_t answer(void* self, void* data, zip_uint64_t count, zip_source_cmd_t command);
  zip_int64_t read(void* into, uint64_t count);
  zip_int64_t seek(void* arguments, uint64_t count);
  uint64_t size() const { return extent.end - extent.begin; }

  FileStream& file;
  ZipExtent extent;
  uint64_t position = 0;
  zip_error_t error{};
  std::optional<core::DataError> failure;
};

zip_int64_t ZipWindow::State::read(void* into, uint64_t count) {
  const uint64_t wanted = std::min(count, size() - position);
  const uint64_t place = extent.begin + position;
  try {
    file.seek(place);
    file.read(into, wanted);
  } catch (const core::DataError& fault) {  // no exception may cross C code
    failure = fault;
    ::zip_error_set(&error, ZIP_ER_READ, 0);
    return -1;
  }
  for (const uint64_t other : extent.others) {
    if (other >= place && other - place < wanted) {
      static_cast<char*>(into)[other - place] = '\0';
    }
  }
  position += wanted;
  return static_cast<zip_int64_t>(wanted);
}

zip_int64_t ZipWindow::State::seek(void* arguments, uint64_t count) {
  const zip_int64_t to = ::zip_source_seek_compute_offset(position, size(), arguments, count, &error);
  if (to < 0) {
    return -1;
  }
  position = static_cast<uint64_t>(to);
  return 0;
}

zip_int64_t ZipWindow::State::answer(void* self, void* data, zip_uint64_t count, zip_source_cmd_t command) {
  auto& window = *static_cast<State*>(self);
  switch (command) {
    case ZIP_SOURCE_SUPPORTS:
      return ::zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE,
                                              ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE,
                                              ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS, -1);
    case ZIP_SOURCE_OPEN:
      window.position = 0;
      return 0;
    case ZIP_SOURCE_READ:
      return window.read(data, count);
    case ZIP_SOURCE_SEEK:
      return window.seek(data, count);
    case ZIP_SOURCE_TELL:
      return static_cast<zip_int64_t>(window.position);
    case ZIP_SOURCE_STAT: {
      auto& status = *static_cast<zip_stat_t*>(data);
      ::zip_stat_init(&status);
      status.size = window.size();
      status.valid = ZIP_STAT_SIZE;
      return sizeof(status);
    }
    case ZIP_SOURCE_ERROR:
      return ::zip_error_to_data(&window.error, data, count);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
      return 0;
    default:
      ::zip_error_set(&window.error, ZIP_ER_OPNOTSUPP, 0);
      return -1;
  }
}

ZipWindow::ZipWindow(FileStream& file, ZipExtent extent)
    : state_(std::make_unique<State>(file, std::move(extent))) {}

ZipWindow::~ZipWindow() = default;

zip_source* ZipWindow::source() {
  return ::zip_source_function_create(&State::answer, state_.get(), nullptr);
}

void ZipWindow::reveal() { state_->extent.others.clear(); }

const std::optional<core::DataError>& ZipWindow::failure() const { return state_->failure; }

}  // namespace ddpm_eval::data
