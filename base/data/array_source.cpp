#include "base/data/array_source.h"

#include "base/core/error.h"
#include "base/data/image_codec.h"
#include "base/data/npy.h"
#include "base/data/npz.h"
#include "base/tensor/shape.h"

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;

constexpr auto kKey = "arr_0";

class ArraySource final : public ImageSource {
 public:
  ArraySource(const std::filesystem::path& path, const Subset& subset) : name_(path.string()) {
    if (path.extension() == ".npy") {
      stream_ = std::make_unique<FileStream>(path);
    } else {
      archive_ = std::make_unique<NpzReader>(path);
      stream_ = archive_->open(kKey);
    }
    const NpyHeader header = read_npy_header(*stream_);
    check_layout(header);
    if (header.payload_bytes != stream_->remaining()) {
      throw DataError("{}: {} bytes too long for its shape", name_,
                      stream_->remaining() - header.payload_bytes);
    }
    height_ = header.shape[1];
    width_ = header.shape[2];
    channels_ = header.shape.size() == 4 ? header.shape[3] : 1;
    count_ = resolve_subset(subset, header.shape[0], name_);
    skip(subset.first);
    if (channels_ == 1) {
      report_.notes.emplace_back("greyscale images, replicated to RGB");
    }
  }

  std::string name() const override { return name_; }
  std::optional<int64_t> size() const override { return count_; }
  const SourceReport& report() const override { return report_; }

  at::Tensor next(int64_t max_images) override {
    DDPM_CHECK(max_images >= 1, "max_images is {}", max_images);
    const int64_t count = std::min(max_images, count_ - report_.yielded);
    if (count <= 0) {
      return {};
    }
    const at::Tensor rows = torch::empty({count, height_, width_, channels_}, torch::kUInt8);
    stream_->read(rows.data_ptr(), rows.nbytes());
    report_.yielded += count;
    return as_rgb(rows.permute({0, 3, 1, 2}));
  }

 private:
  void check_layout(const NpyHeader& header) const {
    const auto& shape = header.shape;
    const auto text = tensor::describe(shape);
    if (header.dtype != at::kByte) {
      throw DataError(
          "{}: holds {} of shape {}, where images are uint8 from 0 to 255 and features [n, d]; convert and "
          "save again",
          name_, c10::toString(header.dtype), text);
    }
    if (shape.size() == 4 && shape[3] != 3 && shape[3] != 1 && (shape[1] == 3 || shape[1] == 1)) {
      throw DataError(
          "{}: shape {} looks like [N, C, H, W], where [N, H, W, C] is needed; transpose and save again",
          name_, text);
    }
    if (!(shape.size() == 3 || (shape.size() == 4 && (shape[3] == 3 || shape[3] == 1)))) {
      throw DataError("{}: shape {}, where [N, H, W, 3], [N, H, W, 1] or [N, H, W] is needed", name_, text);
    }
    if (header.fortran_order) {
      throw DataError("{}: is in Fortran order; save it in C order (numpy.ascontiguousarray)", name_);
    }
    if (shape[0] == 0 || shape[1] == 0 || shape[2] == 0) {
      throw DataError("{}: no images in an array of shape {}", name_, text);
    }
    if (shape[1] > kMaxImageSide || shape[2] > kMaxImageSide || shape[1] * shape[2] > kMaxImagePixels) {
      throw DataError("{}: images of {} x {} pixels are too large", name_, shape[2], shape[1]);
    }
  }

  void skip(int64_t images) {
    std::vector<char> image(static_cast<size_t>(height_ * width_ * channels_));
    for (int64_t i = 0; i < images; ++i) {
      stream_->read(image.data(), image.size());
    }
  }

  std::string name_;
  std::unique_ptr<NpzReader> archive_;
  std::unique_ptr<ByteStream> stream_;  // after the archive that it reads from
  int64_t count_ = 0, height_ = 0, width_ = 0, channels_ = 0;
  SourceReport report_;
};

}  // namespace

std::unique_ptr<ImageSource> open_array_source(const std::filesystem::path& path, const Subset& subset) {
  return std::make_unique<ArraySource>(path, subset);
}

}  // namespace ddpm_eval::data
