#pragma once

#include "base/core/error.h"
#include "base/data/byte_stream.h"
#include "base/data/zip_extent.h"

#include <cstdint>
#include <optional>

#include <zip.h>

// Shared by the readers of zip archives; not for other rooms.
namespace ddpm_eval::data {

/// A file as libzip sees it: the bytes of one archive alone. libzip takes the first end record that it can
/// make sense of, so that until reveal() the others cannot be told as such.
class ZipWindow {
 public:
  ZipWindow(FileStream& file, ZipExtent extent);
  ~ZipWindow();
  ZipWindow(const ZipWindow&) = delete;
  ZipWindow& operator=(const ZipWindow&) = delete;

  /// For zip_open_from_source(). The window must outlive it. Null if there is no memory.
  zip_source_t* source();
  /// To be called once the archive is open: from now on all bytes are as they are in the file.
  void reveal() { extent_.others.clear(); }
  /// Why the file could not be read, if it could not.
  const std::optional<core::DataError>& failure() const { return failure_; }

 private:
  static zip_int64_t answer(void* self, void* data, zip_uint64_t count, zip_source_cmd_t command);
  zip_int64_t read(void* into, uint64_t count);
  zip_int64_t seek(void* arguments, uint64_t count);
  uint64_t size() const { return extent_.end - extent_.begin; }

  FileStream& file_;
  ZipExtent extent_;
  uint64_t position_ = 0;
  zip_error_t error_{};
  std::optional<core::DataError> failure_;
};

}  // namespace ddpm_eval::data
