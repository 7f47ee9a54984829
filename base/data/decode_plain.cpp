#include "base/data/image_decoders.h"
#include "base/data/netpbm_reader.h"

#include <algorithm>
#include <array>

// BMP and Netpbm, whose pixels are not compressed; the walk of their headers has made sure that all of them
// are there.
namespace ddpm_eval::data {
namespace {

/// Sample `x` of a row of samples of 1, 2, 4 or 8 bits, the first in the highest bits.
uint32_t packed_sample(std::string_view row, int64_t x, uint32_t bits) {
  const auto bit = static_cast<uint64_t>(x) * bits;
  const auto byte = static_cast<uint8_t>(row[bit / 8]);
  return (byte >> (8 - bits - bit % 8)) & ((1U << bits) - 1);
}

/// Red, green and blue of each entry; what a file does not say is black.
using BmpPalette = std::array<std::array<uint8_t, 3>, 256>;

BmpPalette read_bmp_palette(const ByteView& file, uint32_t bits) {
  const uint32_t info = file.le32(14);
  const uint32_t entry = info == 12 ? 3 : 4;
  const uint32_t said = info == 12 ? 0 : file.le32(46);
  const uint32_t count = std::min(said == 0 ? 1U << bits : said, 256U);
  BmpPalette palette{};
  for (uint32_t i = 0; i < count; ++i) {
    const auto bgr = file.text(uint64_t{14} + info + uint64_t{i} * entry, 3);
    palette[i] = {static_cast<uint8_t>(bgr[2]), static_cast<uint8_t>(bgr[1]), static_cast<uint8_t>(bgr[0])};
  }
  return palette;
}

}  // namespace

Raster decode_bmp(const ByteView& file, const ImageHeader& header) {
  const bool short_header = file.le32(14) == 12;
  const uint64_t pixels = file.le32(10);
  const uint32_t bits = file.le16(short_header ? 24 : 28);
  const bool top_down = !short_header && static_cast<int32_t>(file.le32(22)) < 0;
  const uint64_t stride = (static_cast<uint64_t>(header.width) * bits + 31) / 32 * 4;
  const BmpPalette palette = bits <= 8 ? read_bmp_palette(file, bits) : BmpPalette{};
  Raster raster(header.width, header.height, 3);
  for (int64_t y = 0; y < header.height; ++y) {
    const auto in = file.text(pixels + static_cast<uint64_t>(y) * stride, stride);
    uint8_t* out = raster.row(top_down ? y : header.height - 1 - y);
    for (int64_t x = 0; x < header.width; ++x, out += 3) {
      if (bits <= 8) {
        std::copy_n(palette[packed_sample(in, x, bits)].data(), 3, out);
      } else {
        const char* bgr = in.data() + x * (bits / 8);
        std::reverse_copy(bgr, bgr + 3, reinterpret_cast<char*>(out));
      }
    }
  }
  return raster;
}

Raster decode_pnm(const ByteView& file, const ImageHeader& header) {
  const int kind = file.u8(1) - '0';
  const bool bitmap = kind == 1 || kind == 4;
  Raster raster(header.width, header.height, header.greyscale ? 1 : 3);
  NetpbmReader reader(file, 2);
  for (int i = 0; i < (bitmap ? 2 : 3); ++i) {
    reader.number();
  }
  const int64_t samples = header.width * header.height * raster.channels;
  uint8_t* out = raster.samples.get();
  if (kind < 4) {
    for (int64_t i = 0; i < samples; ++i) {
      out[i] = static_cast<uint8_t>(bitmap               ? (reader.bit() ? 0 : 255)
                                    : header.sixteen_bit ? reader.number() >> 8
                                                         : reader.number());
    }
    return raster;
  }
  const uint64_t begin = reader.position() + 1;
  if (bitmap) {
    const auto stride = static_cast<uint64_t>(header.width + 7) / 8;
    for (int64_t y = 0; y < header.height; ++y) {
      const auto in = file.text(begin + static_cast<uint64_t>(y) * stride, stride);
      for (int64_t x = 0; x < header.width; ++x) {
        raster.row(y)[x] = packed_sample(in, x, 1) != 0 ? 0 : 255;
      }
    }
    return raster;
  }
  const int64_t step = header.sixteen_bit ? 2 : 1;  // the high byte comes first
  const auto in = file.text(begin, static_cast<uint64_t>(samples * step));
  for (int64_t i = 0; i < samples; ++i) {
    out[i] = static_cast<uint8_t>(in[static_cast<size_t>(i * step)]);
  }
  return raster;
}

}  // namespace ddpm_eval::data
