#include "base/data/image_decoders.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>
#include <vector>

#include <fmt/format.h>
#include <tiffio.h>

namespace ddpm_eval::data {
namespace {

/// What libtiff calls the file, and names in some of its errors.
constexpr auto kTiffName = "TIFF";
/// Of one thing that libtiff holds; its own tables and one strip or tile.
constexpr tmsize_t kMaxTiffAllocation = tmsize_t{1} << 31;
/// Tiles are larger than small images, but not by much.
constexpr int64_t kMaxTilePixels = int64_t{1} << 24;

/// A TIFF in memory and the first error that libtiff had with it.
class Tiff {
 public:
  explicit Tiff(std::string_view bytes) : bytes_(bytes) {
    TIFFOpenOptions* options = ::TIFFOpenOptionsAlloc();
    if (options == nullptr) {
      throw std::bad_alloc();
    }
    ::TIFFOpenOptionsSetMaxSingleMemAlloc(options, kMaxTiffAllocation);
    ::TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, this);
    ::TIFFOpenOptionsSetWarningHandlerExtR(
        options, [](TIFF*, void*, const char*, const char*, va_list) { return 1; }, nullptr);
    tiff_ = ::TIFFClientOpenExt(kTiffName, "r", this, read, write, seek, close, size, map, unmap, options);
    ::TIFFOpenOptionsFree(options);
    if (tiff_ == nullptr) {
      fail();
    }
    problem_.clear();  // of tags that do not matter
  }
  ~Tiff() {
    if (tiff_ != nullptr) {
      ::TIFFClose(tiff_);
    }
  }
  Tiff(const Tiff&) = delete;
  Tiff& operator=(const Tiff&) = delete;

  TIFF* get() const { return tiff_; }

  uint32_t number(uint32_t tag, uint32_t fallback) const {
    uint32_t wide = 0;
    uint16_t narrow = 0;
    const bool is_wide = tag == TIFFTAG_IMAGEWIDTH || tag == TIFFTAG_IMAGELENGTH ||
                         tag == TIFFTAG_TILEWIDTH || tag == TIFFTAG_TILELENGTH || tag == TIFFTAG_ROWSPERSTRIP;
    if (is_wide) {
      return ::TIFFGetFieldDefaulted(tiff_, tag, &wide) != 0 ? wide : fallback;
    }
    return ::TIFFGetFieldDefaulted(tiff_, tag, &narrow) != 0 ? narrow : fallback;
  }

  /// To be asked after each step: libtiff's calls do not all fail when it has reported an error.
  void expect(bool done) const {
    if (!done || !problem_.empty()) {
      fail();
    }
  }

  [[noreturn]] void fail() const {
    throw BadImage{
        fmt::format("damaged TIFF: {}", problem_.empty() ? "its contents cannot be decoded" : problem_)};
  }

 private:
  static int on_error(TIFF*, void* user, const char* module, const char* format, va_list values) {
    auto& self = *static_cast<Tiff*>(user);
    if (self.problem_.empty()) {
      char text[256];
      std::vsnprintf(text, sizeof(text), format, values);
      const bool named = module != nullptr && std::strcmp(module, kTiffName) != 0;
      self.problem_ = named ? fmt::format("{}: {}", module, text) : text;
    }
    return 1;  // no other handler, which would print
  }

  static Tiff& of(thandle_t handle) { return *static_cast<Tiff*>(handle); }

  static tmsize_t read(thandle_t handle, void* out, tmsize_t count) {
    auto& self = of(handle);
    const uint64_t here = std::min<uint64_t>(self.at_, self.bytes_.size());
    const auto got = std::min<uint64_t>(static_cast<uint64_t>(count), self.bytes_.size() - here);
    std::memcpy(out, self.bytes_.data() + here, got);
    self.at_ = here + got;
    return static_cast<tmsize_t>(got);
  }
  static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
  static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    auto& self = of(handle);
    self.at_ = offset + (whence == SEEK_SET ? 0 : whence == SEEK_CUR ? self.at_ : self.bytes_.size());
    return self.at_;
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t handle) { return of(handle).bytes_.size(); }
  /// libtiff only reads there. Without it, 4.5.0 takes good uncompressed tiles of under 1024 bytes for bad
  /// ones.
  static int map(thandle_t handle, void** base, toff_t* length) {
    *base = const_cast<char*>(of(handle).bytes_.data());
    *length = of(handle).bytes_.size();
    return 1;
  }
  static void unmap(thandle_t, void*, toff_t) {}

  std::string_view bytes_;
  uint64_t at_ = 0;
  TIFF* tiff_ = nullptr;
  std::string problem_;
};

/// What a pixel is made of.
struct Layout {
  uint32_t bits, photometric, samples, planes;
  bool tiled;
  int64_t block_width, block_height;  ///< of a strip or a tile
  int64_t colours;                    ///< samples that are colours; others follow them
  int64_t kept;  ///< samples that are needed: the alpha too, if it has been multiplied in

  explicit Layout(const Tiff& tiff, const Raster& raster)
      : bits(tiff.number(TIFFTAG_BITSPERSAMPLE, 1)),
        photometric(tiff.number(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK)),
        samples(tiff.number(TIFFTAG_SAMPLESPERPIXEL, 1)),
        planes(tiff.number(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE ? samples : 1),
        tiled(::TIFFIsTiled(tiff.get()) != 0),
        block_width(tiled ? tiff.number(TIFFTAG_TILEWIDTH, 0) : raster.width),
        block_height(tiled ? tiff.number(TIFFTAG_TILELENGTH, 0)
                           : std::min<int64_t>(tiff.number(TIFFTAG_ROWSPERSTRIP, 1), raster.height)),
        colours(photometric == PHOTOMETRIC_SEPARATED ? 4
                : photometric == PHOTOMETRIC_RGB     ? 3
                                                     : 1),
        kept(colours + (colours < 4 && multiplied_alpha(tiff) ? 1 : 0)) {
    if (block_width <= 0 || block_height <= 0 ||
        (tiled &&
         (block_width > kMaxImageSide || block_height > kMaxImageSide ||
          block_width * block_height > std::max(kMaxTilePixels, 4 * raster.width * raster.height)))) {
      throw BadImage{fmt::format("damaged TIFF: tiles of {} x {} pixels", block_width, block_height)};
    }
    if (samples < kept) {
      throw BadImage{fmt::format("damaged TIFF: {} samples a pixel where {} are needed", samples, kept)};
    }
  }

  /// Whether the samples are read as they lie in the file; others go through libtiff's conversion.
  bool whole_samples() const {
    return (bits == 8 && (photometric <= PHOTOMETRIC_RGB || photometric == PHOTOMETRIC_SEPARATED)) ||
           (bits == 16 && (photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_RGB));
  }

 private:
  static bool multiplied_alpha(const Tiff& tiff) {
    uint16_t count = 0;
    const uint16_t* kinds = nullptr;
    return ::TIFFGetField(tiff.get(), TIFFTAG_EXTRASAMPLES, &count, &kinds) != 0 && count > 0 &&
           kinds[0] == EXTRASAMPLE_ASSOCALPHA;
  }
};

/// One strip or tile with its place.
struct Block {
  int64_t x, y, width, height;  ///< the part of it that is in the image
  const uint8_t* bytes;
  int64_t stride;  ///< samples a row
};

/// Puts the samples that are kept of one block in place, `plane` of them or all.
template <class Sample>
void place_block(const Block& block, const Layout& layout, int64_t plane, int64_t row_width,
                 uint8_t* samples) {
  const int64_t step = layout.planes == 1 ? layout.samples : 1;
  const int64_t count = layout.planes == 1 ? layout.kept : 1;
  for (int64_t y = 0; y < block.height; ++y) {
    const uint8_t* in = block.bytes + y * block.stride * static_cast<int64_t>(sizeof(Sample));
    uint8_t* out = samples + ((block.y + y) * row_width + block.x) * layout.kept + plane;
    for (int64_t x = 0; x < block.width; ++x, in += step * sizeof(Sample), out += layout.kept) {
      for (int64_t i = 0; i < count; ++i) {
        Sample sample;
        std::memcpy(&sample, in + i * static_cast<int64_t>(sizeof(Sample)), sizeof(Sample));
        out[i] = static_cast<uint8_t>(sample >> (8 * (sizeof(Sample) - 1)));
      }
    }
  }
}

/// [H, W, layout.kept] as the file has them; of 16 bits the high ones.
void read_whole_samples(const Tiff& tiff, const Layout& layout, const Raster& raster, uint8_t* samples) {
  TIFF* file = tiff.get();
  const tmsize_t block_bytes = layout.tiled ? ::TIFFTileSize(file) : ::TIFFStripSize(file);
  if (block_bytes > kMaxTiffAllocation) {
    throw BadImage{fmt::format("TIFF in strips or tiles of {} bytes", block_bytes)};
  }
  tiff.expect(block_bytes > 0);
  std::vector<uint8_t> buffer(static_cast<size_t>(block_bytes));
  const int64_t step = layout.planes == 1 ? layout.samples : 1;
  const int64_t stride = layout.block_width * step;
  const int64_t row_bytes = stride * layout.bits / 8;
  tiff.expect(static_cast<int64_t>(buffer.size()) >= row_bytes * layout.block_height);
  for (int64_t plane = 0; plane < std::min<int64_t>(layout.planes, layout.kept); ++plane) {
    for (int64_t y = 0; y < raster.height; y += layout.block_height) {
      for (int64_t x = 0; x < raster.width; x += layout.block_width) {
        const Block block{x,
                          y,
                          std::min(layout.block_width, raster.width - x),
                          std::min(layout.block_height, raster.height - y),
                          buffer.data(),
                          stride};
        const auto px = static_cast<uint32_t>(x), py = static_cast<uint32_t>(y);
        const auto of_plane = static_cast<uint16_t>(plane);
        const tmsize_t got =
            layout.tiled
                ? ::TIFFReadEncodedTile(file, ::TIFFComputeTile(file, px, py, 0, of_plane), buffer.data(), -1)
                : ::TIFFReadEncodedStrip(file, ::TIFFComputeStrip(file, py, of_plane), buffer.data(), -1);
        tiff.expect(got >= row_bytes * block.height);
        layout.bits == 16 ? place_block<uint16_t>(block, layout, plane, raster.width, samples)
                          : place_block<uint8_t>(block, layout, plane, raster.width, samples);
      }
    }
  }
}

/// Colours before alpha was multiplied into them, as Pillow rounds them.
void unmultiply(const uint8_t* pixel, int64_t colours, uint8_t* out) {
  const int alpha = pixel[colours];
  for (int64_t i = 0; i < colours; ++i) {
    out[i] = static_cast<uint8_t>(alpha == 0 ? 0 : std::min(255, 255 * pixel[i] / alpha));
  }
}

/// Palettes, single bits, YCbCr.
void read_converted(const Tiff& tiff, Raster& raster) {
  char problem[1024] = "";
  TIFFRGBAImage image;
  if (::TIFFRGBAImageOK(tiff.get(), problem) == 0 ||
      ::TIFFRGBAImageBegin(&image, tiff.get(), /*stop=*/1, problem) == 0) {
    throw BadImage{fmt::format("damaged TIFF: {}", problem)};
  }
  const std::unique_ptr<TIFFRGBAImage, decltype(&::TIFFRGBAImageEnd)> end(&image, ::TIFFRGBAImageEnd);
  image.req_orientation = ORIENTATION_TOPLEFT;
  const auto area = static_cast<size_t>(raster.width * raster.height);
  const std::unique_ptr<uint32_t[]> rgba(new uint32_t[area]);
  tiff.expect(::TIFFRGBAImageGet(&image, rgba.get(), static_cast<uint32_t>(raster.width),
                                 static_cast<uint32_t>(raster.height)) != 0);
  uint8_t* out = raster.samples.get();
  for (size_t i = 0; i < area; ++i, out += 3) {
    out[0] = static_cast<uint8_t>(TIFFGetR(rgba[i]));
    out[1] = static_cast<uint8_t>(TIFFGetG(rgba[i]));
    out[2] = static_cast<uint8_t>(TIFFGetB(rgba[i]));
  }
}

}  // namespace

Raster decode_tiff(const ByteView& file, const ImageHeader& header) {
  const Tiff tiff(file.text(0, file.size()));
  if (tiff.number(TIFFTAG_IMAGEWIDTH, 0) != header.width ||
      tiff.number(TIFFTAG_IMAGELENGTH, 0) != header.height) {
    throw BadImage{"damaged TIFF: two sizes"};
  }
  Raster raster(header.width, header.height, 3);
  const Layout layout(tiff, raster);
  raster.orientation = static_cast<int>(tiff.number(TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT));
  // The rows as they lie; turned later, all kinds alike.
  ::TIFFSetField(tiff.get(), TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  if (!layout.whole_samples()) {
    read_converted(tiff, raster);
    return raster;
  }
  raster.channels = layout.colours == 1 ? 1 : 3;
  const int64_t area = raster.width * raster.height;
  if (layout.kept == raster.channels) {
    read_whole_samples(tiff, layout, raster, raster.samples.get());
  } else {
    const std::unique_ptr<uint8_t[]> samples(new uint8_t[static_cast<size_t>(layout.kept * area)]);
    read_whole_samples(tiff, layout, raster, samples.get());
    for (int64_t i = 0; i < area; ++i) {
      const uint8_t* in = samples.get() + layout.kept * i;
      uint8_t* out = raster.samples.get() + raster.channels * i;
      layout.colours == 4 ? cmyk_to_rgb(in, out) : unmultiply(in, layout.colours, out);
    }
  }
  if (layout.photometric == PHOTOMETRIC_MINISWHITE) {
    std::transform(raster.samples.get(), raster.samples.get() + area, raster.samples.get(),
                   [](uint8_t sample) { return static_cast<uint8_t>(255 - sample); });
  }
  return raster;
}

}  // namespace ddpm_eval::data
