#include "base/data/tensor_source.h"

#include "base/core/error.h"
#include "base/core/numpy_random.h"
#include "base/tensor/shape.h"

#include <algorithm>
#include <utility>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

class TensorSource final : public ImageSource {
 public:
  /// `facts` are of the very images.
  TensorSource(std::string name, at::Tensor images_u8, TensorFacts facts)
      : name_(std::move(name)), images_u8_(std::move(images_u8)), facts_(std::move(facts)) {
    report_.notes = std::move(facts_.notes);
    if (images_u8_.size(1) == 1) {
      report_.notes.emplace_back("greyscale images, replicated to RGB");
    }
  }

  std::string name() const override { return name_; }
  std::optional<int64_t> size() const override { return images_u8_.size(0); }

  at::Tensor next(int64_t max_images) override {
    DDPM_CHECK(max_images >= 1, "max_images is {}", max_images);
    const int64_t count = std::min(max_images, images_u8_.size(0) - report_.yielded);
    if (count <= 0) {
      return {};
    }
    const at::Tensor batch = images_u8_.narrow(0, report_.yielded, count);
    report_.yielded += count;
    return as_rgb(batch);
  }

  const SourceReport& report() const override { return report_; }

  Classes classes() const override {
    return facts_.labels.defined() ? facts_.classes : ImageSource::classes();
  }
  at::Tensor labels() const override {
    return facts_.labels.defined() ? facts_.labels.narrow(0, 0, report_.yielded) : at::Tensor();
  }

 private:
  std::string name_;
  at::Tensor images_u8_;
  TensorFacts facts_;
  SourceReport report_;
};

}  // namespace

at::Tensor as_rgb(const at::Tensor& images_u8) { return images_u8.expand({-1, 3, -1, -1}).contiguous(); }

int64_t resolve_subset(const Subset& subset, int64_t size, const std::string& name) {
  if (size == 0) {
    throw core::DataError("{}: holds no items", name);
  }
  if (subset.draw) {
    if (subset.draw->count < 1 || subset.draw->count > size) {
      throw core::UsageError("{}: num={} does not fit: it holds {} items", name, subset.draw->count, size);
    }
    size = subset.draw->count;
  }
  // Compared without sums, which could overflow.
  if (subset.first < 0 || subset.first >= size) {
    throw core::UsageError("{}: first={} is outside of its {} items", name, subset.first, size);
  }
  const int64_t count = subset.count.value_or(size - subset.first);
  if (count < 1 || count > size - subset.first) {
    throw core::UsageError("{}: num={} does not fit: {} items follow first={}", name, count,
                           size - subset.first, subset.first);
  }
  return count;
}

std::vector<int64_t> drawn_items(const Draw& draw, int64_t size) {
  auto items = core::NumpyRandom(draw.seed).choice(size, draw.count);
  std::ranges::sort(items);
  return items;
}

at::Tensor take_subset(const at::Tensor& rows, const Subset& subset, const std::string& name) {
  const int64_t count = resolve_subset(subset, rows.size(0), name);
  if (!subset.draw) {
    return rows.narrow(0, subset.first, count);
  }
  const auto drawn = torch::tensor(drawn_items(*subset.draw, rows.size(0)), at::kLong);
  return rows.index_select(0, drawn.narrow(0, subset.first, count));
}

std::unique_ptr<ImageSource> make_tensor_source(std::string name, const at::Tensor& images_u8,
                                                const Subset& subset, TensorFacts facts) {
  tensor::expect(images_u8, at::kByte, {-1, -1, -1, -1}, "images_u8");
  DDPM_CHECK(images_u8.size(1) == 1 || images_u8.size(1) == 3, "images_u8 is {}",
             tensor::describe(images_u8));
  const auto taken = take_subset(images_u8, subset, name);
  if (facts.labels.defined()) {
    tensor::expect(facts.labels, at::kLong, {images_u8.size(0)}, "labels");
    facts.labels = take_subset(facts.labels, subset, name);
  }
  return std::make_unique<TensorSource>(std::move(name), taken, std::move(facts));
}

}  // namespace ddpm_eval::data
