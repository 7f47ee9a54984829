#include "base/data/image_codec.h"

#include "base/core/error.h"
#include "base/data/image_walk.h"
#include "base/tensor/shape.h"

#include <cstring>

#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 30;

/// Interleaved BGR to planar RGB; 16-bit samples keep their high byte.
template <class Sample>
void to_planar_rgb(const cv::Mat& bgr, uint8_t* planes) {
  constexpr int kShift = sizeof(Sample) == 2 ? 8 : 0;
  const int64_t area = int64_t{bgr.rows} * bgr.cols;
  for (int y = 0; y < bgr.rows; ++y) {
    const auto* in = bgr.ptr<Sample>(y);
    uint8_t* out = planes + int64_t{y} * bgr.cols;
    for (int x = 0; x < bgr.cols; ++x, in += 3, ++out) {
      out[0] = static_cast<uint8_t>(in[2] >> kShift);
      out[area] = static_cast<uint8_t>(in[1] >> kShift);
      out[2 * area] = static_cast<uint8_t>(in[0] >> kShift);
    }
  }
}

/// OpenCV's decoders log to stderr; problems are reported by us instead.
void silence_opencv() {
  static const bool kOnce = [] {
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    return true;
  }();
  static_cast<void>(kOnce);
}

/// Empty if the contents are damaged.
cv::Mat decode_bgr(std::span<const char> bytes, const ImageHeader& header) {
  silence_opencv();
  const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
  try {
    return cv::imdecode(raw, cv::IMREAD_COLOR | cv::IMREAD_ANYDEPTH | cv::IMREAD_IGNORE_ORIENTATION);
  } catch (const cv::Exception& error) {
    if (error.code == cv::Error::StsNoMem) {
      throw core::ResourceError("no memory for the {} x {} pixels of an image", header.width, header.height);
    }
    return {};
  }
}

}  // namespace

DecodeOutcome decode_image(std::span<const char> bytes,
                           const std::function<void(const ImageHeader&)>& before_pixels) {
  if (bytes.size() > kMaxFileBytes) {
    return {{}, fmt::format("{} bytes, more than the {} that are decoded", bytes.size(), kMaxFileBytes), {}};
  }
  auto [header, problem] = read_image_header(bytes);
  if (!problem.empty()) {
    return {{}, std::move(problem), {}};
  }
  if (before_pixels) {
    before_pixels(header);
  }
  std::vector<char> patched;
  if (header.tiff_alpha_offset != 0) {
    // libtiff's RGBA reader multiplies colours by an alpha that is declared as separate. Declared as already
    // multiplied in, it leaves them alone.
    patched.assign(bytes.begin(), bytes.end());
    patched[header.tiff_alpha_offset] = 1;
    bytes = patched;
  }
  if (header.format == ImageFormat::kPng) {
    // libpng complains of odd colour profiles and the like on standard error, naming no file.
    patched = png_without_extras(ByteView(bytes));
    bytes = patched;
  }
  const cv::Mat bgr = decode_bgr(bytes, header);
  // TIFF's orientation may have turned it.
  const bool same = bgr.cols == header.width && bgr.rows == header.height;
  const bool turned = bgr.cols == header.height && bgr.rows == header.width;
  if (bgr.empty() || !(same || turned) || (bgr.type() != CV_8UC3 && bgr.type() != CV_16UC3)) {
    return {{}, "damaged: its contents cannot be decoded", {}};
  }
  at::Tensor image = torch::empty({3, bgr.rows, bgr.cols}, torch::kUInt8);
  if (bgr.depth() == CV_16U) {
    to_planar_rgb<uint16_t>(bgr, image.data_ptr<uint8_t>());
  } else {
    to_planar_rgb<uint8_t>(bgr, image.data_ptr<uint8_t>());
  }
  return {image, {}, header};
}

std::vector<char> encode_png(const at::Tensor& image_u8) {
  tensor::expect(image_u8, at::kByte, {-1, -1, -1}, "image_u8");
  const int64_t channels = image_u8.size(0), height = image_u8.size(1), width = image_u8.size(2);
  DDPM_CHECK((channels == 1 || channels == 3) && height > 0 && width > 0, "image_u8 is {}",
             tensor::describe(image_u8));
  const at::Tensor planar = image_u8.contiguous();
  const auto* in = planar.data_ptr<uint8_t>();
  const int64_t area = height * width;
  cv::Mat pixels(static_cast<int>(height), static_cast<int>(width), channels == 3 ? CV_8UC3 : CV_8UC1);
  if (channels == 1) {
    std::memcpy(pixels.data, in, static_cast<size_t>(area));
  } else {
    for (int64_t i = 0; i < area; ++i) {
      pixels.data[3 * i] = in[2 * area + i];
      pixels.data[3 * i + 1] = in[area + i];
      pixels.data[3 * i + 2] = in[i];
    }
  }
  std::vector<uint8_t> png;
  DDPM_CHECK(cv::imencode(".png", pixels, png), "an image of {} x {} was not encoded", width, height);
  return {png.begin(), png.end()};
}

}  // namespace ddpm_eval::data
