#include "base/data/image_decoders.h"

#include <csetjmp>
#include <cstdio>
#include <new>

#include <fmt/format.h>
#include <jpeglib.h>
// After jpeglib.h, which it needs.
#include <jerror.h>

// libjpeg reports an error by a function that must not return: it jumps. Nothing with a destructor may live
// between the jump and its target, so that one function holds them and another runs the library.
namespace ddpm_eval::data {
namespace {

/// A progressive JPEG has about ten; each costs a pass over the whole picture, however short it is.
constexpr int kMaxScans = 500;

struct Jpeg {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump{};
  char message[JMSG_LENGTH_MAX] = "";
  int code = 0;  ///< of the error

  Jpeg() {
    info.err = ::jpeg_std_error(&errors);
    info.client_data = this;
    errors.error_exit = [](j_common_ptr common) {
      auto& self = *static_cast<Jpeg*>(common->client_data);
      self.code = self.errors.msg_code;
      self.errors.format_message(common, self.message);
      std::longjmp(self.jump, 1);
    };
    progress.progress_monitor = [](j_common_ptr common) {
      if (common->is_decompressor != 0 &&
          reinterpret_cast<j_decompress_ptr>(common)->input_scan_number > kMaxScans) {
        ERREXIT(common, JERR_BAD_PROGRESSION);
      }
    };
    errors.output_message = [](j_common_ptr) {};  // warnings, which Pillow does not mind either
  }
  ~Jpeg() { ::jpeg_destroy_decompress(&info); }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;

  /// All there is to read is in memory: a wish for more means that the file ends too early.
  void read_from(std::string_view bytes) {
    source.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    source.bytes_in_buffer = bytes.size();
    source.init_source = [](j_decompress_ptr) {};
    source.term_source = [](j_decompress_ptr) {};
    source.resync_to_restart = ::jpeg_resync_to_restart;
    source.fill_input_buffer = [](j_decompress_ptr decompress) -> boolean {
      ERREXIT(decompress, JERR_INPUT_EOF);
      return FALSE;
    };
    source.skip_input_data = [](j_decompress_ptr decompress, long count) {
      auto& self = *static_cast<Jpeg*>(decompress->client_data);
      if (count <= 0) {
        return;
      }
      if (static_cast<size_t>(count) > self.source.bytes_in_buffer) {
        ERREXIT(decompress, JERR_INPUT_EOF);
      }
      self.source.next_input_byte += count;
      self.source.bytes_in_buffer -= static_cast<size_t>(count);
    };
  }
};

/// Adobe's files, the only ones with four inks that are met, hold them inverted.
void inverted_cmyk_row(const uint8_t* in, int64_t width, uint8_t* out) {
  for (int64_t x = 0; x < width; ++x, in += 4, out += 3) {
    const uint8_t inks[4] = {static_cast<uint8_t>(255 - in[0]), static_cast<uint8_t>(255 - in[1]),
                             static_cast<uint8_t>(255 - in[2]), static_cast<uint8_t>(255 - in[3])};
    cmyk_to_rgb(inks, out);
  }
}

/// False if libjpeg gave up; Jpeg::message says why.
bool read_jpeg(Jpeg& jpeg, const ImageHeader& header, Raster& raster) {
  if (setjmp(jpeg.jump) != 0) {
    return false;
  }
  ::jpeg_create_decompress(&jpeg.info);
  jpeg.info.src = &jpeg.source;
  jpeg.info.progress = &jpeg.progress;
  ::jpeg_read_header(&jpeg.info, TRUE);
  jpeg.info.out_color_space = header.greyscale ? JCS_GRAYSCALE : header.cmyk ? JCS_CMYK : JCS_RGB;
  ::jpeg_start_decompress(&jpeg.info);
  if (jpeg.info.output_width != raster.width || jpeg.info.output_height != raster.height ||
      jpeg.info.output_components != (header.cmyk ? 4 : raster.channels)) {
    ERREXIT(&jpeg.info, JERR_BAD_STATE);
  }
  JSAMPARRAY inks = header.cmyk ? jpeg.info.mem->alloc_sarray(reinterpret_cast<j_common_ptr>(&jpeg.info),
                                                              JPOOL_IMAGE, 4 * jpeg.info.output_width, 1)
                                : nullptr;
  while (jpeg.info.output_scanline < jpeg.info.output_height) {
    uint8_t* row = raster.row(jpeg.info.output_scanline);
    ::jpeg_read_scanlines(&jpeg.info, inks != nullptr ? inks : &row, 1);
    if (inks != nullptr) {
      inverted_cmyk_row(inks[0], raster.width, row);
    }
  }
  ::jpeg_finish_decompress(&jpeg.info);  // reads on to the mark of the end
  return true;
}

}  // namespace

void cmyk_to_rgb(const uint8_t* cmyk, uint8_t* rgb) {
  const int white = 255 - cmyk[3];
  for (int i = 0; i < 3; ++i) {
    const int product = cmyk[i] * white + 128;
    rgb[i] = static_cast<uint8_t>(white - ((product + (product >> 8)) >> 8));
  }
}

Raster decode_jpeg(const ByteView& file, const ImageHeader& header) {
  Raster raster(header.width, header.height, header.greyscale ? 1 : 3);
  Jpeg jpeg;
  jpeg.read_from(file.text(0, file.size()));
  if (!read_jpeg(jpeg, header, raster)) {
    if (jpeg.code == JERR_OUT_OF_MEMORY) {
      throw std::bad_alloc();
    }
    throw BadImage{jpeg.code == JERR_INPUT_EOF ? "truncated" : fmt::format("damaged JPEG: {}", jpeg.message)};
  }
  return raster;
}

}  // namespace ddpm_eval::data
