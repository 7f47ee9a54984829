#include "base/data/image_walk.h"

#include <optional>

#include <fmt/format.h>

// TIFF revision 6.0: the first image file directory.
namespace ddpm_eval::data {
namespace {

enum Tag : uint32_t {
  kWidth = 256,
  kHeight = 257,
  kBitsPerSample = 258,
  kCompression = 259,
  kPhotometric = 262,
  kStripOffsets = 273,
  kSamplesPerPixel = 277,
  kStripBytes = 279,
  kTileOffsets = 324,
  kTileBytes = 325,
  kExtraSamples = 338,
  kSampleFormat = 339,
};

/// CMYK and as many more; whole pixels are held while they are decoded.
constexpr uint32_t kMaxSamples = 8;

class Directory {
 public:
  explicit Directory(const ByteView& file)
      : file_(file), big_endian_(file.u8(0) == 'M'), begin_(u32(4)), count_(u16(begin_)) {
    file.text(begin_ + 2, uint64_t{12} * count_);
  }

  /// Where values of a tag lie.
  struct Field {
    uint64_t at = 0;
    uint64_t count = 0;
    uint32_t width = 0;  ///< bytes a value
  };

  std::optional<Field> find(uint32_t tag) const {
    for (uint32_t i = 0; i < count_; ++i) {
      const uint64_t entry = begin_ + 2 + uint64_t{12} * i;
      if (u16(entry) != tag) {
        continue;
      }
      const uint32_t type = u16(entry + 2);
      Field field{entry + 8, u32(entry + 4), type == 1 ? 1U : type == 3 ? 2U : type == 4 ? 4U : 0U};
      if (field.width == 0 || field.count == 0) {
        throw BadImage{fmt::format("damaged TIFF: tag {}", tag)};
      }
      if (field.count * field.width > 4) {
        field.at = u32(entry + 8);
      }
      file_.text(field.at, field.count * field.width);
      return field;
    }
    return std::nullopt;
  }

  uint32_t value(const Field& field, uint64_t i) const {
    const uint64_t at = field.at + i * field.width;
    return field.width == 1 ? file_.u8(at) : field.width == 2 ? u16(at) : u32(at);
  }

  uint32_t first(uint32_t tag, uint32_t fallback) const {
    const auto field = find(tag);
    return field ? value(*field, 0) : fallback;
  }

 private:
  uint32_t u16(uint64_t at) const { return big_endian_ ? file_.be16(at) : file_.le16(at); }
  uint32_t u32(uint64_t at) const { return big_endian_ ? file_.be32(at) : file_.le32(at); }

  const ByteView& file_;
  bool big_endian_;
  uint64_t begin_;
  uint32_t count_;
};

/// Every strip or tile must lie inside the file.
void check_pixels(const ByteView& file, const Directory& directory) {
  const bool tiled = directory.find(kTileOffsets).has_value();
  const auto offsets = directory.find(tiled ? kTileOffsets : kStripOffsets);
  const auto sizes = directory.find(tiled ? kTileBytes : kStripBytes);
  if (!offsets || !sizes || offsets->count != sizes->count) {
    throw BadImage{"damaged TIFF: no pixels"};
  }
  for (uint64_t i = 0; i < offsets->count; ++i) {
    file.text(directory.value(*offsets, i), directory.value(*sizes, i));
  }
}

}  // namespace

ImageHeader walk_tiff(const ByteView& file) {
  const Directory directory(file);
  ImageHeader header{.format = ImageFormat::kTiff};
  header.width = directory.first(kWidth, 0);
  header.height = directory.first(kHeight, 0);
  check_pixels(file, directory);

  const uint32_t bits = directory.first(kBitsPerSample, 1);
  const uint32_t photometric = directory.first(kPhotometric, 1);
  const uint32_t format = directory.first(kSampleFormat, 1);
  if (bits > 16 || format != 1) {
    throw BadImage{fmt::format("TIFF of {}-bit {} samples; unsigned integers up to 16 bits are supported",
                               bits, format == 3 ? "floating-point" : "integer")};
  }
  if (const uint32_t samples = directory.first(kSamplesPerPixel, 1); samples > kMaxSamples) {
    throw BadImage{
        fmt::format("TIFF of {} samples a pixel, more than the {} that are read", samples, kMaxSamples)};
  }
  // Pillow does not read 16-bit samples of other kinds either.
  if (photometric > 6 || photometric == 4 || (bits == 16 && photometric != 1 && photometric != 2)) {
    throw BadImage{
        fmt::format("TIFF of colour kind {}; greyscale, RGB and palettes are supported", photometric)};
  }
  const auto extra = directory.find(kExtraSamples);
  header.sixteen_bit = bits == 16;
  header.greyscale = photometric <= 1;
  header.cmyk = photometric == 5;
  header.lossy = directory.first(kCompression, 1) == 6 || directory.first(kCompression, 1) == 7;
  header.alpha = extra.has_value();
  return header;
}

}  // namespace ddpm_eval::data
