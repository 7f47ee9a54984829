#pragma once

#include "base/data/byte_stream.h"
#include "base/tensor/named_tensor.h"

#include <filesystem>
#include <map>
#include <span>
#include <string>

// Hugging Face's safetensors: eight bytes of length, a JSON header, raw little-endian tensors. Nothing in it
// is executed, and Python's `safetensors` package reads and writes the same files.
namespace ddpm_eval::data {

struct SafeTensors {
  tensor::NamedTensors tensors;  ///< in the order of their bytes
  std::map<std::string, std::string> metadata;
};

/// Reads tensors of F64, F32, F16, BF16, I64, I32, U8 and BOOL. Throws DataError unless the header is well
/// formed (at most 100 MB, no name twice) and the tensors' bytes follow one another without overlap or gap
/// from the header to the end of the file.
SafeTensors read_safetensors(const std::filesystem::path& path);

/// The same from all that is left of a stream.
SafeTensors read_safetensors(ByteStream& stream);

/// The metadata alone, without reading the tensors. Throws DataError for a bad header, as above.
std::map<std::string, std::string> read_safetensors_metadata(const std::filesystem::path& path);

/// Writes `tensors` in their order; names must differ. The file appears whole or not at all. Throws
/// ResourceError.
void write_safetensors(const std::filesystem::path& target, const tensor::NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// SHA-256 of `texts`, each with a zero byte after it, and of the tensors in their order: name, zero byte and
/// raw bytes. For the metadata of files whose content must not change unseen.
std::string content_sha256(const tensor::NamedTensors& tensors, std::span<const std::string> texts);

}  // namespace ddpm_eval::data
