#include "base/data/array_source.h"

#include "base/core/error.h"
#include "base/data/image_codec.h"
#include "base/data/image_labels.h"
#include "base/data/npy.h"
#include "base/data/npz.h"
#include "base/tensor/shape.h"

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;

constexpr auto kKey = "arr_0";
constexpr auto kLabelsKey = "arr_1";  // as ADM's sampler writes it: image_sample.py --class_cond True

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
    all_ = header.shape[0];
    DDPM_CHECK(!subset.draw, "an array is streamed");
    first_ = subset.first;
    count_ = resolve_subset(subset, all_, name_);
    skip(first_);
    if (channels_ == 1) {
      report_.notes.emplace_back("greyscale images, replicated to RGB");
    }
  }

  std::string name() const override { return name_; }
  std::optional<int64_t> size() const override { return count_; }
  const SourceReport& report() const override { return report_; }

  Classes classes() const override {
    const auto& labels = all_labels();
    if (!labels.defined()) {
      return {.absent = fmt::format("it has no array {} of labels beside {}", kLabelsKey, kKey)};
    }
    return {.count = labels.max().item<int64_t>() + 1};
  }
  at::Tensor labels() const override {
    const auto& labels = all_labels();
    return labels.defined() ? labels.narrow(0, first_, report_.yielded) : at::Tensor();
  }

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

  /// int64 [all_], read when they are asked for, or undefined. The archive that images come from has one
  /// stream open.
  const at::Tensor& all_labels() const {
    if (!labels_.defined() && archive_ && archive_->contains(kLabelsKey)) {
      const NpzReader archive(name_);
      constexpr uint64_t kLongestHeader = 1 << 16;
      const at::Tensor labels =
          archive.read(kLabelsKey, kLongestHeader + static_cast<uint64_t>(all_) * sizeof(int64_t));
      if (at::isFloatingType(labels.scalar_type()) || labels.dim() != 1 || labels.size(0) != all_ ||
          labels.min().item<int64_t>() < 0 || labels.max().item<int64_t>() >= kMaxClasses) {
        throw DataError(
            "{}: {} is {}, where labels are whole numbers from 0 to {}, one for each of {} images", name_,
            kLabelsKey, tensor::describe(labels), kMaxClasses - 1, all_);
      }
      labels_ = labels.to(torch::kInt64);
    }
    return labels_;
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
  mutable at::Tensor labels_;
  int64_t all_ = 0, first_ = 0;  ///< images in the array, and before the part that is wanted
  int64_t count_ = 0, height_ = 0, width_ = 0, channels_ = 0;
  SourceReport report_;
};

}  // namespace

std::unique_ptr<ImageSource> open_array_source(const std::filesystem::path& path, const Subset& subset) {
  return std::make_unique<ArraySource>(path, subset);
}

}  // namespace ddpm_eval::data
