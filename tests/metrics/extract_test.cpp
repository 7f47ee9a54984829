#include "metrics/extract.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "metrics/resample.h"
#include "tests/support/errors.h"
#include "tests/support/memory_source.h"
#include "tests/support/synthetic_inception.h"
#include "tests/support/tensor_matchers.h"

namespace ddpm_eval::metrics {
namespace {

using testing::MemorySource;
using testing::message_of;
using testing::synthetic_image;
using testing::TensorEq;

/// The features are a 2x2 thumbnail, the logits its first entries; it insists on full batches.
class ThumbnailNet final : public FeatureNet {
 public:
  explicit ThumbnailNet(bool with_logits = true, int64_t micro_batch = 4)
      : with_logits_(with_logits), micro_batch_(micro_batch) {}
  const FeatureNetInfo& info() const override { return info_; }
  int64_t micro_batch() const override { return micro_batch_; }
  at::Tensor prepare(const at::Tensor& images_u8) const override {
    return resample_tf1_bilinear(images_u8, 2, 2);
  }
  NetOutput forward(const at::Tensor& input) const override {
    EXPECT_EQ(input.size(0), micro_batch());
    ++calls;
    const at::Tensor features = input.contiguous().flatten(1).clone();
    return {features, with_logits_ ? features.narrow(1, 0, 2) : at::Tensor()};
  }

  mutable int calls = 0;

 private:
  FeatureNetInfo info_;
  bool with_logits_;
  int64_t micro_batch_;
};

std::vector<at::Tensor> mixed_images(int64_t count) {
  std::vector<at::Tensor> images;
  for (int64_t i = 0; i < count; ++i) {
    images.push_back(synthetic_image("extract", i, i % 5 == 3 ? 9 : 6, 7));
  }
  return images;
}

struct Extracted {
  at::Tensor features;
  at::Tensor logits;
  ExtractReport report;
};

Extracted extracted(data::ImageSource& source, const FeatureNet& net) {
  std::vector<at::Tensor> features;
  std::vector<at::Tensor> logits;
  Extracted all;
  all.report = extract(source, net, [&](const NetOutput& output) {
    features.push_back(output.features);
    logits.push_back(output.logits);
  });
  all.features = at::cat(features);
  all.logits = at::cat(logits);
  return all;
}

TEST(Extract, SeveralNetworksSeeTheSameImagesWhateverTheirMicroBatches) {
  const auto images = mixed_images(23);
  const ThumbnailNet small(true, 4), large(true, 9);
  MemorySource for_small(images, 5), for_large(images, 5), for_both(images, 5);
  const auto alone_small = extracted(for_small, small);
  const auto alone_large = extracted(for_large, large);
  std::vector<at::Tensor> of_small, of_large;
  const std::vector<Extraction> both = {
      {small, [&](const NetOutput& output) { of_small.push_back(output.features); }},
      {large, [&](const NetOutput& output) { of_large.push_back(output.features); }}};
  const auto report = extract_all(for_both, both);
  EXPECT_EQ(report.images, 23);
  EXPECT_THAT(at::cat(of_small), TensorEq(alone_small.features));
  EXPECT_THAT(at::cat(of_large), TensorEq(alone_large.features));
}

// 13 of 23 images, in micro-batches of 4 and chunks of 5: three whole ones and a quarter.
TEST(Extract, ANetworkMaySeeTheFirstImagesAlone) {
  const auto images = mixed_images(23);
  const ThumbnailNet all(true, 9), some(true, 4);
  MemorySource whole(images, 5), source(images, 5);
  const auto expected = extracted(whole, all).features;
  std::vector<at::Tensor> of_all, of_some;
  const std::vector<Extraction> both = {
      {all, [&](const NetOutput& output) { of_all.push_back(output.features); }},
      {some, [&](const NetOutput& output) { of_some.push_back(output.features); }, 13}};
  const auto report = extract_all(source, both);
  EXPECT_EQ(report.images, 23);
  EXPECT_EQ(some.calls, 4);
  EXPECT_GT(report.control_seconds, 0);
  EXPECT_THAT(at::cat(of_all), TensorEq(expected));
  EXPECT_THAT(at::cat(of_some), TensorEq(expected.narrow(0, 0, 13)));
}

TEST(Extract, OutputsComeInOrderWhateverTheChunks) {
  const auto images = mixed_images(23);
  std::vector<at::Tensor> want;
  const ThumbnailNet net;
  for (const auto& image : images) {
    want.push_back(net.prepare(image).contiguous().flatten(1));
  }
  for (const int64_t chunk : {1, 2, 3, 7, 64}) {
    MemorySource source(images, chunk);
    const auto all = extracted(source, net);
    EXPECT_EQ(all.report.images, 23);
    EXPECT_THAT(all.features, TensorEq(at::cat(want))) << "chunk " << chunk;
    EXPECT_THAT(all.logits, TensorEq(at::cat(want).narrow(1, 0, 2))) << "chunk " << chunk;
  }
}

TEST(Extract, ImagesThatTheNetworkRefusesAreToldWithTheirSource) {
  class Choosy final : public FeatureNet {
   public:
    const FeatureNetInfo& info() const override { return thumbnails_.info(); }
    int64_t micro_batch() const override { return thumbnails_.micro_batch(); }
    at::Tensor prepare(const at::Tensor& images_u8) const override {
      if (images_u8.size(2) != 6) {
        throw core::DataError("not my size");
      }
      return thumbnails_.prepare(images_u8);
    }
    NetOutput forward(const at::Tensor& input) const override { return thumbnails_.forward(input); }

   private:
    ThumbnailNet thumbnails_;
  };
  MemorySource source(mixed_images(9));  // of which the fourth is of another size
  EXPECT_EQ(message_of<core::DataError>([&] { extracted(source, Choosy()); }),
            "memory: after 3 of its images: not my size");
}

TEST(Extract, UsesAsFewBatchesAsThereCanBe) {
  const ThumbnailNet net;
  MemorySource source(mixed_images(23), 3);
  extracted(source, net);
  EXPECT_EQ(net.calls, 6);
}

TEST(Extract, ReportsProgressAfterEachBatch) {
  const ThumbnailNet net;
  MemorySource source(mixed_images(9));
  std::vector<std::pair<int64_t, int64_t>> seen;
  extract(
      source, net, [](const NetOutput&) {},
      [&](int64_t done, int64_t total) { seen.emplace_back(done, total); });
  EXPECT_EQ(seen, (std::vector<std::pair<int64_t, int64_t>>{{4, 9}, {8, 9}, {9, 9}}));
}

TEST(Extract, AnEmptySourceGivesNothing) {
  const ThumbnailNet net;
  MemorySource source({});
  const auto report = extract(source, net, [](const NetOutput&) { ADD_FAILURE() << "consumed nothing"; });
  EXPECT_EQ(report.images, 0);
  EXPECT_EQ(net.calls, 0);
}

TEST(Extract, ANetworkWithoutLogitsIsFine) {
  const ThumbnailNet net(/*with_logits=*/false);
  MemorySource source(mixed_images(3));
  extract(source, net, [](const NetOutput& output) {
    EXPECT_EQ(output.features.size(0), 3);
    EXPECT_FALSE(output.logits.defined());
  });
}

TEST(Extract, StopsBetweenBatchesWhenAsked) {
  const ThumbnailNet net;
  MemorySource source(mixed_images(23));
  const auto message = message_of<core::InterruptedError>(
      [&] { extract(source, net, [](const NetOutput&) { core::request_interrupt(true); }); });
  core::request_interrupt(false);
  EXPECT_THAT(message, ::testing::HasSubstr("after 4 images of memory"));
  EXPECT_EQ(net.calls, 1);
}

}  // namespace
}  // namespace ddpm_eval::metrics
