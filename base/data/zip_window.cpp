#include "base/data/zip_window.h"

#include <algorithm>
#include <utility>

namespace ddpm_eval::data {

ZipWindow::ZipWindow(FileStream& file, ZipExtent extent) : file_(file), extent_(std::move(extent)) {
  ::zip_error_init(&error_);
}

ZipWindow::~ZipWindow() { ::zip_error_fini(&error_); }

zip_source_t* ZipWindow::source() { return ::zip_source_function_create(&ZipWindow::answer, this, nullptr); }

zip_int64_t ZipWindow::read(void* into, uint64_t count) {
  const uint64_t wanted = std::min(count, size() - position_);
  const uint64_t place = extent_.begin + position_;
  try {
    file_.seek(place);
    file_.read(into, wanted);
  } catch (const core::DataError& error) {  // no exception may cross C code
    failure_ = error;
    ::zip_error_set(&error_, ZIP_ER_READ, 0);
    return -1;
  }
  for (const uint64_t other : extent_.others) {
    if (other >= place && other - place < wanted) {
      static_cast<char*>(into)[other - place] = '\0';
    }
  }
  position_ += wanted;
  return static_cast<zip_int64_t>(wanted);
}

zip_int64_t ZipWindow::seek(void* arguments, uint64_t count) {
  const zip_int64_t to = ::zip_source_seek_compute_offset(position_, size(), arguments, count, &error_);
  if (to < 0) {
    return -1;
  }
  position_ = static_cast<uint64_t>(to);
  return 0;
}

zip_int64_t ZipWindow::answer(void* self, void* data, zip_uint64_t count, zip_source_cmd_t command) {
  auto& window = *static_cast<ZipWindow*>(self);
  switch (command) {
    case ZIP_SOURCE_SUPPORTS:
      return ::zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE,
                                              ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE,
                                              ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS, -1);
    case ZIP_SOURCE_OPEN:
      window.position_ = 0;
      return 0;
    case ZIP_SOURCE_READ:
      return window.read(data, count);
    case ZIP_SOURCE_SEEK:
      return window.seek(data, count);
    case ZIP_SOURCE_TELL:
      return static_cast<zip_int64_t>(window.position_);
    case ZIP_SOURCE_STAT: {
      auto& status = *static_cast<zip_stat_t*>(data);
      ::zip_stat_init(&status);
      status.size = window.size();
      status.valid = ZIP_STAT_SIZE;
      return sizeof(status);
    }
    case ZIP_SOURCE_ERROR:
      return ::zip_error_to_data(&window.error_, data, count);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
      return 0;
    default:
      ::zip_error_set(&window.error_, ZIP_ER_OPNOTSUPP, 0);
      return -1;
  }
}

}  // namespace ddpm_eval::data
