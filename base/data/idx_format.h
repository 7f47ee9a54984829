#pragma once

#include "base/data/gz_reader.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

// MNIST's file format (LeCun's description): a magic number, 0x803 for images and 0x801 for labels, one
// big-endian count per dimension, then a byte per element.
namespace ddpm_eval::data {

enum class IdxKind { kImages, kLabels };

constexpr int64_t kIdxClasses = 10;

struct IdxHeader {
  std::vector<int64_t> shape;   ///< [n, height, width] of images, [n] of labels
  uint64_t payload_bytes = 0;   ///< bounded by what the file can hold
  std::vector<uint8_t> header;  ///< its bytes as they are in the file
};

/// Reads the header; the elements follow. Throws DataError for a wrong magic number, a size that is not
/// possible and a count that the file cannot hold.
IdxHeader read_idx_header(GzReader& reader, IdxKind kind);

/// Throws DataError naming `path` for a label above 9.
void check_idx_labels(const std::string& path, std::span<const uint8_t> labels);

}  // namespace ddpm_eval::data
