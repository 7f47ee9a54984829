#include "base/data/image_decoders.h"

#include <csetjmp>
#include <cstring>
#include <new>
#include <vector>

#include <fmt/format.h>
#include <png.h>

// As with libjpeg, an error jumps: nothing with a destructor lives in the function that runs libpng.
namespace ddpm_eval::data {
namespace {

struct Png {
  png_structp read = nullptr;
  png_infop info = nullptr;
  std::jmp_buf jump{};
  char message[128] = "";
  const char* next = nullptr;
  size_t left = 0;

  Png() = default;
  ~Png() { ::png_destroy_read_struct(&read, &info, nullptr); }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;
};

[[noreturn]] void on_png_error(png_structp png, png_const_charp text) {
  auto& self = *static_cast<Png*>(::png_get_error_ptr(png));
  std::strncpy(self.message, text, sizeof(self.message) - 1);
  std::longjmp(self.jump, 1);
}

void read_png_bytes(png_structp png, png_bytep bytes, size_t count) {
  auto& self = *static_cast<Png*>(::png_get_io_ptr(png));
  if (count > self.left) {
    ::png_error(png, "truncated");
  }
  std::memcpy(bytes, self.next, count);
  self.next += count;
  self.left -= count;
}

/// False if libpng gave up; Png::message says why, or nothing if there was no memory to begin with.
bool read_png(Png& png, const ImageHeader& header, Raster& raster, uint8_t** rows) {
  if (setjmp(png.jump) != 0) {
    return false;
  }
  png.read = ::png_create_read_struct(PNG_LIBPNG_VER_STRING, &png, on_png_error,
                                      [](png_structp, png_const_charp) {});
  png.info = png.read != nullptr ? ::png_create_info_struct(png.read) : nullptr;
  if (png.info == nullptr) {
    return false;
  }
  ::png_set_read_fn(png.read, &png, read_png_bytes);
  ::png_read_info(png.read, png.info);
  ::png_set_strip_16(png.read);     // keeps the high byte
  ::png_set_expand(png.read);       // palettes and fewer bits than 8; transparency becomes alpha, ...
  ::png_set_strip_alpha(png.read);  // ... which goes
  ::png_set_interlace_handling(png.read);
  ::png_read_update_info(png.read, png.info);
  if (::png_get_rowbytes(png.read, png.info) != static_cast<size_t>(header.width * raster.channels)) {
    ::png_error(png.read, "rows of another length than the header tells");
  }
  ::png_read_image(png.read, rows);
  ::png_read_end(png.read, nullptr);
  return true;
}

}  // namespace

Raster decode_png(const ByteView& file, const ImageHeader& header) {
  // Colour profiles and the like change no pixel here.
  const std::vector<char> bytes = png_without_extras(file);
  Raster raster(header.width, header.height, header.greyscale ? 1 : 3);
  std::vector<uint8_t*> rows(static_cast<size_t>(header.height));
  for (size_t y = 0; y < rows.size(); ++y) {
    rows[y] = raster.row(static_cast<int64_t>(y));
  }
  Png png;
  png.next = bytes.data();
  png.left = bytes.size();
  if (!read_png(png, header, raster, rows.data())) {
    if (png.message[0] == '\0' || std::strstr(png.message, "ut of memory") != nullptr) {
      throw std::bad_alloc();
    }
    throw BadImage{fmt::format("damaged PNG: {}", png.message)};
  }
  return raster;
}

}  // namespace ddpm_eval::data
