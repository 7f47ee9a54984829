#include "base/data/image_array_writer.h"

#include "base/core/error.h"
#include "base/data/npy.h"
#include "base/tensor/shape.h"

#include <vector>

#include <torch/types.h>

namespace ddpm_eval::data {

void ImageArrayWriter::add(const at::Tensor& images_u8) {
  tensor::expect(images_u8, at::kByte, {-1, -1, -1, -1}, "images_u8");
  if (count_ == 0) {
    height_ = images_u8.size(2);
    width_ = images_u8.size(3);
    zip_.begin("arr_0.npy", header());
  }
  if (images_u8.size(2) != height_ || images_u8.size(3) != width_) {
    throw core::DataError(
        "{}: an array holds images of one size, and after {} of {} x {} comes one of {} x {}", origin_,
        count_, width_, height_, images_u8.size(3), images_u8.size(2));
  }
  const at::Tensor nhwc =
      images_u8.cpu().expand({images_u8.size(0), 3, height_, width_}).permute({0, 2, 3, 1}).contiguous();
  zip_.write(nhwc.data_ptr(), nhwc.nbytes());
  count_ += nhwc.size(0);
}

void ImageArrayWriter::end() {
  if (count_ == 0) {
    throw core::DataError("{}: no images to write", origin_);
  }
  zip_.end(header());
}

std::string ImageArrayWriter::header() const {
  constexpr size_t kRoomForAnyCount = 128;
  return npy_header(at::kByte, std::vector<int64_t>{count_, height_, width_, 3}, kRoomForAnyCount);
}

}  // namespace ddpm_eval::data
