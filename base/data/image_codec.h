#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

// Image files in memory. Each format's own library decodes; what is decoded at all is decided here from the
// bytes first, and whatever a library calls an error makes the file a damaged one. None prints.
namespace ddpm_eval::data {

/// Images beyond these are refused from their header, before memory is taken.
constexpr int64_t kMaxImageSide = 32768;
constexpr int64_t kMaxImagePixels = int64_t{1} << 28;

enum class ImageFormat { kPng, kJpeg, kWebp, kTiff, kBmp, kPnm };

/// What a file's header says.
struct ImageHeader {
  ImageFormat format = ImageFormat::kPng;
  int64_t width = 0;
  int64_t height = 0;
  bool sixteen_bit = false;
  bool greyscale = false;
  bool alpha = false;
  bool lossy = false;  ///< JPEG, lossy WebP or JPEG in TIFF
  bool cmyk = false;   ///< converted to RGB as Pillow does
};

struct HeaderOutcome {
  ImageHeader header;
  std::string problem;  ///< empty, or why the file cannot be used
};

/// Reads the header of a PNG, JPEG, WebP, TIFF, BMP or PNM (P1 to P6) and, but for JPEG, walks the file's
/// structure to its end. Anything else, a truncated file, a broken checksum, sizes beyond the limits above
/// and variants that are not supported are problems. Never throws.
HeaderOutcome read_image_header(std::span<const char> bytes);

struct DecodeOutcome {
  at::Tensor image_u8;  ///< RGB uint8 [3, H, W]; undefined if there is a problem
  std::string problem;  ///< empty, or one line on why
  ImageHeader header;   ///< valid if there is no problem
};

/// Decodes as Pillow's convert("RGB") does: EXIF rotation ignored, alpha dropped without compositing,
/// greyscale replicated, palettes resolved. 16-bit samples keep their high byte (Pillow clips 16-bit
/// greyscale instead). `before_pixels` is called with the header before memory for the pixels is taken.
/// Thread-safe. Throws ResourceError if memory runs out.
DecodeOutcome decode_image(std::span<const char> bytes,
                           const std::function<void(const ImageHeader&)>& before_pixels = {});

/// A PNG of a uint8 image [1 or 3, H, W].
std::vector<char> encode_png(const at::Tensor& image_u8);

}  // namespace ddpm_eval::data
