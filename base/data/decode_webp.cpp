#include "base/core/error.h"
#include "base/data/image_decoders.h"

#include <algorithm>
#include <new>

#include <fmt/format.h>
#include <webp/decode.h>

namespace ddpm_eval::data {
namespace {

std::string_view webp_problem(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "truncated";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "a feature that libwebp does not know";
    default:
      return "damaged WebP: its contents cannot be decoded";
  }
}

}  // namespace

Raster decode_webp(const ByteView& file, const ImageHeader& header) {
  const auto text = file.text(0, file.size());
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  WebPDecoderConfig config;
  DDPM_CHECK(::WebPInitDecoderConfig(&config) != 0, "libwebp is older than its header");
  // With its alpha if it has one: only so is the part of the file that holds it looked at.
  const int channels = header.alpha ? 4 : 3;
  Raster raster(header.width, header.height, 3);
  std::unique_ptr<uint8_t[]> with_alpha;
  if (header.alpha) {
    with_alpha.reset(new uint8_t[static_cast<size_t>(4 * header.width * header.height)]);
  }
  config.output.colorspace = header.alpha ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = header.alpha ? with_alpha.get() : raster.samples.get();
  config.output.u.RGBA.stride = static_cast<int>(channels * header.width);
  config.output.u.RGBA.size = static_cast<size_t>(channels * header.width * header.height);
  VP8StatusCode status = ::WebPGetFeatures(bytes, text.size(), &config.input);
  if (status == VP8_STATUS_OK &&
      (config.input.width != header.width || config.input.height != header.height)) {
    throw BadImage{"damaged WebP: two sizes"};
  }
  if (status == VP8_STATUS_OK) {
    status = ::WebPDecode(bytes, text.size(), &config);
  }
  if (status == VP8_STATUS_OUT_OF_MEMORY) {
    throw std::bad_alloc();
  }
  if (status != VP8_STATUS_OK) {
    throw BadImage{std::string(webp_problem(status))};
  }
  for (int64_t i = 0; header.alpha && i < header.width * header.height; ++i) {
    std::copy_n(with_alpha.get() + 4 * i, 3, raster.samples.get() + 3 * i);
  }
  return raster;
}

}  // namespace ddpm_eval::data
