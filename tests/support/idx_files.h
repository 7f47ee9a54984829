#pragma once

#include "tests/support/files.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// Small sets in MNIST's format, so that labelled data can be given as mnist:train@FOLDER.
namespace ddpm_eval::testing {

/// A big-endian header of 0x800 + the number of sizes, and the sizes.
inline std::string idx_header(const std::vector<uint32_t>& sizes) {
  std::string header;
  const auto append = [&](uint32_t number) {
    for (const int shift : {24, 16, 8, 0}) {
      header += static_cast<char>(number >> shift & 0xff);
    }
  };
  append(0x800 + static_cast<uint32_t>(sizes.size()));
  for (const uint32_t size : sizes) {
    append(size);
  }
  return header;
}

/// `count` images of 28 x 28 with labels 0..3 in turn: the label's quarter of the rows is bright, and how
/// bright depends on the image. `prefix` is "train" or "t10k".
inline void write_banded_digits(const std::filesystem::path& folder, const std::string& prefix,
                                uint32_t count) {
  std::filesystem::create_directories(folder);
  std::string images = idx_header({count, 28, 28});
  std::string labels = idx_header({count});
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t label = i % 4;
    std::string image(28 * 28, '\0');
    image.replace(label * 7 * 28, 7 * 28, 7 * 28, static_cast<char>(100 + i * 37 % 150));
    images += image;
    labels += static_cast<char>(label);
  }
  put_file(folder / (prefix + "-images-idx3-ubyte"), images);
  put_file(folder / (prefix + "-labels-idx1-ubyte"), labels);
}

}  // namespace ddpm_eval::testing
