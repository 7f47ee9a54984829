#include "base/data/image_codec.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "base/data/image_decoders.h"
#include "base/tensor/shape.h"

#include <algorithm>
#include <cstring>
#include <new>

#include <opencv2/imgcodecs.hpp>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 30;

Raster decode_raster(const ByteView& file, const ImageHeader& header) {
  switch (header.format) {
    case ImageFormat::kPng:
      return decode_png(file, header);
    case ImageFormat::kJpeg:
      return decode_jpeg(file, header);
    case ImageFormat::kWebp:
      return decode_webp(file, header);
    case ImageFormat::kTiff:
      return decode_tiff(file, header);
    case ImageFormat::kBmp:
      return decode_bmp(file, header);
    case ImageFormat::kPnm:
      return decode_pnm(file, header);
  }
  DDPM_CHECK(false, "image format {}", static_cast<int>(header.format));
}

/// RGB uint8 [3, H, W]. The memory is ours: LibTorch tells its want of it in a page of text.
at::Tensor to_planes(const Raster& raster) {
  const int64_t area = raster.width * raster.height;
  auto* out = new uint8_t[static_cast<size_t>(3 * area)];
  at::Tensor image = torch::from_blob(
      out, {3, raster.height, raster.width}, [](void* bytes) { delete[] static_cast<uint8_t*>(bytes); },
      torch::kUInt8);
  const uint8_t* in = raster.samples.get();
  if (raster.channels == 1) {
    for (int64_t plane = 0; plane < 3; ++plane) {
      std::copy_n(in, area, out + plane * area);
    }
    return image;
  }
  for (int64_t i = 0; i < area; ++i, in += 3) {
    out[i] = in[0];
    out[area + i] = in[1];
    out[2 * area + i] = in[2];
  }
  return image;
}

/// The image as it is to be seen, of rows that lie as TIFF's orientation says.
at::Tensor turned(const at::Tensor& image, int orientation) {
  const at::Tensor upright = orientation >= 5 ? image.transpose(1, 2) : image;
  switch (orientation) {
    case 2:
    case 6:
      return upright.flip({2}).contiguous();
    case 3:
    case 7:
      return upright.flip({1, 2}).contiguous();
    case 4:
    case 8:
      return upright.flip({1}).contiguous();
    default:
      return upright.contiguous();
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
  try {
    const Raster raster = decode_raster(ByteView(bytes), header);
    return {turned(to_planes(raster), raster.orientation), {}, header};
  } catch (const BadImage& bad) {
    return {{}, core::printable(bad.problem), {}};
  } catch (const std::bad_alloc&) {
    throw core::ResourceError("no memory for the {} x {} pixels of an image", header.width, header.height);
  }
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
