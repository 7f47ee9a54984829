#pragma once

#include "base/data/byte_stream.h"

#include <cstdint>
#include <string>
#include <vector>

// Shared by the readers of zip archives; not for other rooms.
namespace ddpm_eval::data {

/// Where in a file a zip archive lies.
struct ZipExtent {
  uint64_t begin = 0;              ///< of what its offsets count from
  uint64_t end = 0;                ///< behind its end record and comment
  std::vector<uint64_t> others{};  ///< near the end: what looks like the end record of another archive
  std::string problem{};           ///< empty, or why there is none: "its directory is not what ..."
};

/// Finds the archive of the last end record, as Python's zipfile does: of archives that follow one another
/// the last, whether or not its offsets count the bytes before it. What looks like an end record in the
/// comment of one is none. Throws DataError if the file cannot be read.
ZipExtent find_zip(FileStream& file);

}  // namespace ddpm_eval::data
