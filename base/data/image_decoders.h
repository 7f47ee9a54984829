#pragma once

#include "base/data/image_walk.h"

#include <cstdint>
#include <memory>

// One decoder a format, each on the format's own library: these hand over their complaints, where OpenCV's
// decoders print them, go on after some, and keep what they then have. Shared by the readers of image files;
// not for other rooms.
namespace ddpm_eval::data {

/// 8-bit samples in rows, one (grey) or three (RGB) a pixel.
struct Raster {
  Raster(int64_t width_in, int64_t height_in, int channels_in)
      : width(width_in),
        height(height_in),
        channels(channels_in),
        samples(new uint8_t[static_cast<size_t>(width_in * height_in * channels_in)]) {}

  uint8_t* row(int64_t y) { return samples.get() + y * width * channels; }

  int64_t width;
  int64_t height;
  int channels;
  std::unique_ptr<uint8_t[]> samples;
  /// TIFF's: how the rows lie, 1 to 8; 1 is top down.
  int orientation = 1;
};

// Each decodes a file whose header has been read. BadImage is thrown for whatever its library calls an error,
// with the library's words; std::bad_alloc if memory runs out. Thread-safe.
Raster decode_png(const ByteView& file, const ImageHeader& header);
Raster decode_jpeg(const ByteView& file, const ImageHeader& header);
Raster decode_webp(const ByteView& file, const ImageHeader& header);
Raster decode_tiff(const ByteView& file, const ImageHeader& header);
Raster decode_bmp(const ByteView& file, const ImageHeader& header);
Raster decode_pnm(const ByteView& file, const ImageHeader& header);

/// CMYK with 0 for no ink to RGB, as Pillow rounds it.
void cmyk_to_rgb(const uint8_t* cmyk, uint8_t* rgb);

}  // namespace ddpm_eval::data
