#pragma once

#include "base/core/error.h"
#include "base/data/byte_stream.h"
#include "base/data/zip_extent.h"

#include <memory>
#include <optional>

struct zip_source;

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
  zip_source* source();
  /// To be called once the archive is open: from now on all bytes are as they are in the file.
  void reveal();
  /// Why the file could not be read, if it could not.
  const std::optional<core::DataError>& failure() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ddpm_eval::data
