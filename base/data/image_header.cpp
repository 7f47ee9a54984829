#include "base/data/image_walk.h"
#include "base/data/netpbm_reader.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <zlib.h>

// Formats: PNG (ISO 15948), JPEG (ITU T.81 annex B), WebP (RFC 9649), BMP (Microsoft's BITMAPINFOHEADER),
// Netpbm's manual pages. TIFF is in tiff_header.cpp.
namespace ddpm_eval::data {

namespace {

constexpr size_t kPngSignature = 8;
constexpr size_t kChunkFrame = 12;  ///< length, type, checksum

bool is_critical(std::string_view chunk_type) { return (chunk_type[0] & 0x20) == 0; }

ImageHeader walk_png(const ByteView& file) {
  ImageHeader header{.format = ImageFormat::kPng};
  bool has_pixels = false;
  for (size_t at = kPngSignature;;) {
    const uint64_t length = file.be32(at);
    const auto type = file.text(at + 4, 4);
    const auto body = file.text(at + 8, length);
    const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(type.data()), 4 + length);
    if (is_critical(type) && crc != file.be32(at + 8 + length)) {
      throw BadImage{fmt::format("damaged PNG: wrong checksum at byte {}", at)};
    }
    if (at == kPngSignature) {
      if (type != "IHDR" || length != 13) {
        throw BadImage{"damaged PNG: no IHDR"};
      }
      header.width = file.be32(16);
      header.height = file.be32(20);
      header.sixteen_bit = body[8] == 16;
      const int colour = body[9];
      header.greyscale = colour == 0 || colour == 4;
      header.alpha = colour == 4 || colour == 6;
    } else if (type == "tRNS") {
      header.alpha = true;
    } else if (type == "IDAT") {
      has_pixels = true;
    } else if (type == "IEND") {
      break;
    }
    at += kChunkFrame + length;
  }
  if (!has_pixels) {
    throw BadImage{"damaged PNG: no pixels"};
  }
  return header;
}

/// As far as the frame; libjpeg finds whatever is wrong after it.
ImageHeader walk_jpeg(const ByteView& file) {
  for (size_t at = 2;;) {
    at = file.find('\xff', at);  // bytes between the markers do not count
    const uint8_t marker = file.u8(at + 1);
    if (marker == 0xff || marker == 0) {
      ++at;
      continue;
    }
    if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
      at += 2;  // these have no length
      continue;
    }
    if (marker == 0xd9 || marker == 0xda) {
      throw BadImage{"damaged JPEG: no picture in it"};
    }
    const size_t length = std::max<size_t>(file.be16(at + 2), 2);
    const auto body = file.text(at + 4, length - 2);
    if (marker < 0xc0 || marker > 0xcf || marker == 0xc4 || marker == 0xc8 || marker == 0xcc) {
      at += 2 + length;
      continue;
    }
    if (body.size() < 6) {
      throw BadImage{"damaged JPEG: frame header"};
    }
    if (body[0] != 8) {
      throw BadImage{fmt::format("JPEG of {} bits a sample; only 8 are supported", int{body[0]})};
    }
    const int colours = body[5];
    if (colours != 1 && colours != 3 && colours != 4) {
      throw BadImage{fmt::format("JPEG of {} colours a pixel; 1, 3 and 4 are supported", colours)};
    }
    ImageHeader header{.format = ImageFormat::kJpeg, .lossy = true};
    header.height = file.be16(at + 5);
    header.width = file.be16(at + 7);
    header.greyscale = colours == 1;
    header.cmyk = colours == 4;
    return header;
  }
}

/// Width and height of one WebP bitstream chunk.
void read_webp_frame(const ByteView& file, std::string_view type, size_t body, ImageHeader& header) {
  if (type == "VP8 ") {
    if (file.text(body + 3, 3) != "\x9d\x01\x2a") {
      throw BadImage{"damaged WebP: no key frame"};
    }
    header.lossy = true;
    header.width = file.le16(body + 6) & 0x3fff;
    header.height = file.le16(body + 8) & 0x3fff;
  } else {
    if (file.u8(body) != 0x2f) {
      throw BadImage{"damaged WebP: lossless signature"};
    }
    const uint32_t bits = file.le32(body + 1);
    header.width = (bits & 0x3fff) + 1;
    header.height = ((bits >> 14) & 0x3fff) + 1;
    header.alpha = header.alpha || ((bits >> 28) & 1) != 0;
  }
}

ImageHeader walk_webp(const ByteView& file) {
  ImageHeader header{.format = ImageFormat::kWebp};
  const uint64_t end = 8 + uint64_t{file.le32(4)};
  file.text(0, end);
  for (size_t at = 12; at + 8 <= end;) {
    const auto type = file.text(at, 4);
    const uint64_t length = file.le32(at + 4);
    file.text(at + 8, length);
    if (type == "VP8X") {
      const uint8_t flags = file.u8(at + 8);
      if ((flags & 0x02) != 0) {
        throw BadImage{"animated WebP; only still images are supported"};
      }
      header.alpha = (flags & 0x10) != 0;
    } else if ((type == "VP8 " || type == "VP8L") && header.width == 0) {
      read_webp_frame(file, type, at + 8, header);
      if (header.width == 0 || header.height == 0) {
        break;
      }
    }
    at += 8 + length + (length & 1);
  }
  return header;
}

ImageHeader walk_bmp(const ByteView& file) {
  ImageHeader header{.format = ImageFormat::kBmp};
  const uint64_t pixels = file.le32(10);
  const uint32_t info = file.le32(14);
  if (info != 12 && info != 40 && info != 52 && info != 56 && info != 64 && info != 108 && info != 124) {
    throw BadImage{fmt::format("BMP with a header of {} bytes, which is no known kind", info)};
  }
  uint32_t compression = 0, bits = 0;
  if (info == 12) {
    header.width = file.le16(18);
    header.height = file.le16(20);
    bits = file.le16(24);
  } else {
    header.width = static_cast<int32_t>(file.le32(18));
    header.height = std::abs(int64_t{static_cast<int32_t>(file.le32(22))});
    bits = file.le16(28);
    compression = file.le32(30);
  }
  if (bits != 1 && bits != 4 && bits != 8 && bits != 24 && bits != 32) {
    throw BadImage{fmt::format("BMP of {} bits a pixel; 1, 4, 8, 24 and 32 are supported", bits)};
  }
  if (compression == 3 &&
      (bits != 32 || file.le32(54) != 0xff0000 || file.le32(58) != 0xff00 || file.le32(62) != 0xff)) {
    throw BadImage{"BMP with unusual colour masks"};
  }
  if (compression != 0 && compression != 3) {
    throw BadImage{"compressed BMP; only plain ones are supported"};
  }
  if (image_limits_problem(header).empty()) {
    const uint64_t stride = (static_cast<uint64_t>(header.width) * bits + 31) / 32 * 4;
    file.text(pixels, stride * static_cast<uint64_t>(header.height));
  }
  return header;
}

ImageHeader walk_pnm(const ByteView& file) {
  ImageHeader header{.format = ImageFormat::kPnm};
  const int kind = file.u8(1) - '0';
  const bool bitmap = kind == 1 || kind == 4;
  header.greyscale = kind != 3 && kind != 6;
  NetpbmReader reader(file, 2);
  header.width = reader.number();
  header.height = reader.number();
  const uint32_t largest = bitmap ? 255 : reader.number();
  if (largest != 255 && largest != 65535) {
    throw BadImage{fmt::format("PNM with a largest value of {}; 255 and 65535 are supported", largest)};
  }
  header.sixteen_bit = largest == 65535;
  if (!image_limits_problem(header).empty()) {
    return header;
  }
  const auto width = static_cast<uint64_t>(header.width), height = static_cast<uint64_t>(header.height);
  const uint64_t samples = width * height * (header.greyscale ? 1 : 3);
  if (kind >= 4) {
    file.text(reader.position() + 1,
              bitmap ? (width + 7) / 8 * height : samples * (header.sixteen_bit ? 2 : 1));
    return header;
  }
  for (uint64_t i = 0; i < samples; ++i) {
    if (bitmap) {
      reader.bit();
    } else if (reader.number() > largest) {
      throw BadImage{fmt::format("damaged PNM: a number above {}", largest)};
    }
  }
  return header;
}

ImageHeader walk(std::span<const char> bytes) {
  const ByteView file(bytes);
  const std::string_view text(bytes.data(), bytes.size());
  if (text.starts_with(std::string_view("\x89PNG\r\n\x1a\n", 8))) {
    return walk_png(file);
  }
  if (text.starts_with("\xff\xd8\xff")) {
    return walk_jpeg(file);
  }
  if (text.starts_with("RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP") {
    return walk_webp(file);
  }
  if (text.starts_with(std::string_view("II*\0", 4)) || text.starts_with(std::string_view("MM\0*", 4))) {
    return walk_tiff(file);
  }
  if (text.starts_with("BM")) {
    return walk_bmp(file);
  }
  if (text.size() > 2 && text[0] == 'P' && text[1] >= '1' && text[1] <= '6' &&
      std::string_view(" \t\r\n#").find(text[2]) != std::string_view::npos) {
    return walk_pnm(file);
  }
  throw BadImage{bytes.empty() ? "empty file" : "not a PNG, JPEG, WebP, TIFF, BMP or PNM image"};
}

}  // namespace

std::vector<char> png_without_extras(const ByteView& file) {
  std::vector<char> kept;
  const auto keep = [&](std::string_view part) { kept.insert(kept.end(), part.begin(), part.end()); };
  keep(file.text(0, kPngSignature));
  for (size_t at = kPngSignature;;) {
    const uint64_t chunk = kChunkFrame + uint64_t{file.be32(at)};
    const auto type = file.text(at + 4, 4);
    if (is_critical(type) || type == "tRNS") {
      keep(file.text(at, chunk));
    }
    if (type == "IEND") {
      return kept;
    }
    at += chunk;
  }
}

std::string image_limits_problem(const ImageHeader& header) {
  const auto size = fmt::format("{} x {} pixels", header.width, header.height);
  if (header.width <= 0 || header.height <= 0) {
    return "an image of " + size;
  }
  if (header.width > kMaxImageSide || header.height > kMaxImageSide ||
      header.width * header.height > kMaxImagePixels) {
    return fmt::format("{}, more than the {} a side and {} in all that are decoded", size, kMaxImageSide,
                       kMaxImagePixels);
  }
  return {};
}

HeaderOutcome read_image_header(std::span<const char> bytes) {
  try {
    const ImageHeader header = walk(bytes);
    return {header, image_limits_problem(header)};
  } catch (const BadImage& bad) {
    return {{}, bad.problem};
  }
}

}  // namespace ddpm_eval::data
