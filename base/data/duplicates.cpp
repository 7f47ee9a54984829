#include "base/data/duplicates.h"

#include "base/core/seeds.h"
#include "base/core/text.h"
#include "base/data/forwarding_source.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

/// Four chains at once, as one would wait for its multiplications.
uint64_t digest_of(const uint8_t* bytes, size_t count, uint64_t seed) {
  constexpr size_t kWord = sizeof(uint64_t), kLanes = 4;
  std::array<uint64_t, kLanes> chains{seed, seed + 1, seed + 2, seed + 3};
  for (size_t lane = 0; count > 0; lane = (lane + 1) % kLanes) {
    uint64_t word = 0;
    const size_t taken = std::min(count, kWord);
    std::memcpy(&word, bytes, taken);
    chains[lane] = core::mix64(chains[lane] ^ word);
    bytes += taken;
    count -= taken;
  }
  uint64_t digest = 0;
  for (const uint64_t chain : chains) {
    digest = core::mix64(digest ^ chain);
  }
  return digest;
}

class DuplicateCounter final : public ForwardingSource {
 public:
  explicit DuplicateCounter(std::unique_ptr<ImageSource> inner)
      : ForwardingSource(*inner), inner_(std::move(inner)) {}

  const SourceReport& report() const override { return drained_ ? report_ : ForwardingSource::report(); }

  at::Tensor next(int64_t max_images) override {
    auto images = ForwardingSource::next(max_images);
    if (!images.defined()) {
      finish();
      return images;
    }
    const auto rows = images.contiguous();
    const auto bytes = static_cast<size_t>(rows.size(1) * rows.size(2) * rows.size(3));
    const auto* pixels = rows.data_ptr<uint8_t>();
    const auto size =
        core::mix64(static_cast<uint64_t>(rows.size(2)) << 32 | static_cast<uint64_t>(rows.size(3)));
    for (int64_t i = 0; i < rows.size(0) && static_cast<int64_t>(digests_.size()) < kMaxCompared; ++i) {
      digests_.push_back(digest_of(pixels, bytes, size));
      pixels += bytes;
    }
    return images;
  }

 private:
  void finish() {
    if (std::exchange(drained_, true)) {
      return;
    }
    report_ = ForwardingSource::report();
    std::sort(digests_.begin(), digests_.end());
    const auto copies = digests_.end() - std::unique(digests_.begin(), digests_.end());
    if (copies == 0) {
      return;
    }
    const auto compared = static_cast<int64_t>(digests_.size());
    report_.notes.push_back(fmt::format("{} of {}{} images are pixel for pixel the same as an earlier one",
                                        core::grouped(copies), compared < report_.yielded ? "the first " : "",
                                        core::grouped(compared)));
  }

  std::unique_ptr<ImageSource> inner_;
  std::vector<uint64_t> digests_;
  bool drained_ = false;
  SourceReport report_;
};

}  // namespace

std::unique_ptr<ImageSource> count_duplicates(std::unique_ptr<ImageSource> source) {
  return std::make_unique<DuplicateCounter>(std::move(source));
}

}  // namespace ddpm_eval::data
