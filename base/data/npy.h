#pragma once

#include "base/data/byte_stream.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

// NumPy's array file (numpy.lib.format, versions 1, 2 and 3), little-endian, without objects: a magic string,
// a Python dictionary in text and the raw elements.
namespace ddpm_eval::data {

struct NpyHeader {
  at::ScalarType dtype = at::kFloat;  ///< float64, float32, float16, int64, int32, uint8, int8 or bool
  bool fortran_order = false;
  std::vector<int64_t> shape;
  uint64_t payload_bytes = 0;  ///< elements times element size; does not overflow
};

/// Reads the header and leaves `stream` at the first element. Throws DataError for anything but a well-formed
/// header of a dtype above, and for a payload larger than what the stream has left.
NpyHeader read_npy_header(ByteStream& stream);

/// The array, contiguous in C order whatever the file's order. `stream` must end where the array does.
at::Tensor read_npy(ByteStream& stream);

/// Same, from memory; `origin` names it in messages.
at::Tensor parse_npy(std::span<const char> bytes, const std::string& origin);

/// The header as numpy.save writes it (version 1.0, C order, padded to 64 bytes). `min_bytes` pads further,
/// so that a header can be replaced by one of a longer shape.
std::string npy_header(at::ScalarType dtype, std::span<const int64_t> shape, size_t min_bytes = 0);

/// The whole file: npy_header and the elements in C order.
std::string to_npy(const at::Tensor& tensor);

}  // namespace ddpm_eval::data
