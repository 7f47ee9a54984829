#include "base/data/noise_source.h"

#include "base/tensor/noise.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

constexpr int64_t kMaxNoiseSide = 4096;

class NoiseSource final : public ImageSource {
 public:
  NoiseSource(std::string name, const NoiseShape& shape, int64_t first, int64_t count, uint64_t seed)
      : name_(std::move(name)), shape_(shape), first_(first), count_(count), seed_(seed) {}

  std::string name() const override { return name_; }
  std::optional<int64_t> size() const override { return count_; }
  const SourceReport& report() const override { return report_; }

  at::Tensor next(int64_t max_images) override {
    const int64_t begin = first_ + report_.yielded;
    const int64_t end = std::min(first_ + count_, begin + max_images);
    if (begin >= end) {
      return {};
    }
    report_.yielded += end - begin;
    const auto noise = tensor::normal_rows({seed_, "data.noise"}, tensor::index_range(begin, end), 0,
                                           {shape_.channels, shape_.height, shape_.width});
    return as_rgb(noise.clamp(-1, 1).add(1).mul(127.5).round().to(torch::kUInt8));
  }

 private:
  std::string name_;
  NoiseShape shape_;
  int64_t first_;
  int64_t count_;
  uint64_t seed_;
  SourceReport report_;
};

}  // namespace

std::optional<NoiseShape> parse_noise_shape(std::string_view text) {
  std::array<int64_t, 3> sizes{};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto [next, error] = std::from_chars(at, end, sizes[i]);
    const bool last = i + 1 == sizes.size();
    if (error != std::errc() || sizes[i] < 1 || sizes[i] > kMaxNoiseSide ||
        (last ? next != end : next == end || *next != 'x')) {
      return std::nullopt;
    }
    at = next + (last ? 0 : 1);
  }
  if (sizes[2] != 1 && sizes[2] != 3) {
    return std::nullopt;
  }
  return NoiseShape{sizes[0], sizes[1], sizes[2]};
}

std::unique_ptr<ImageSource> make_noise_source(const std::string& name, const NoiseShape& shape,
                                               int64_t first, int64_t count, uint64_t seed) {
  return std::make_unique<NoiseSource>(name, shape, first, count, seed);
}

}  // namespace ddpm_eval::data
