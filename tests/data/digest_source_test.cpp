#include "base/data/digest_source.h"

#include "base/data/tensor_source.h"
#include "tests/support/memory_source.h"
#include "tests/support/tensor_matchers.h"

#include <vector>

#include <gmock/gmock.h>

namespace ddpm_eval::data {
namespace {

using testing::MemorySource;
using testing::TensorEq;

struct Digests {
  std::string head;
  std::string all;
};

Digests digests_of(std::vector<at::Tensor> images, int64_t chunk = 1000) {
  MemorySource source(std::move(images), chunk);
  DigestSource seen(source);
  while (seen.next(chunk).defined()) {
  }
  return {seen.head_sha256(), seen.sha256()};
}

std::vector<at::Tensor> images(int64_t count) {
  std::vector<at::Tensor> result;
  for (int64_t i = 0; i < count; ++i) {
    result.push_back(torch::arange(i, i + 3 * 2 * 8).remainder(251).to(at::kByte).reshape({1, 3, 2, 8}));
  }
  return result;
}

TEST(DigestSource, IsOfTheImagesHoweverTheyAreCut) {
  const auto whole = digests_of(images(300));
  for (const int64_t chunk : {1, 7, 255, 256, 257}) {
    const auto cut = digests_of(images(300), chunk);
    EXPECT_EQ(cut.all, whole.all) << chunk;
    EXPECT_EQ(cut.head, whole.head) << chunk;
  }
}

TEST(DigestSource, APixelTheOrderTheSizeAndTheCountTell) {
  const auto whole = digests_of(images(300)).all;
  auto others = images(300);
  others[299][0][2][1][7] += 1;
  EXPECT_NE(digests_of(others).all, whole);
  others = images(300);
  std::swap(others[3], others[4]);
  EXPECT_NE(digests_of(others).all, whole);
  others = images(300);
  others[5] = others[5].reshape({1, 3, 4, 4});  // the same bytes
  EXPECT_NE(digests_of(others).all, whole);
  EXPECT_NE(digests_of(images(299)).all, whole);
}

TEST(DigestSource, LabelsPassThrough) {
  const auto labels = torch::tensor({1, 0}, torch::kInt64);
  const auto inner = make_tensor_source("set", torch::zeros({2, 3, 2, 2}, torch::kUInt8), {},
                                        {.labels = labels, .classes = {.count = 2}});
  DigestSource seen(*inner);
  seen.next(2);
  EXPECT_EQ(seen.classes().count, 2);
  EXPECT_THAT(seen.labels(), TensorEq(labels));
}

TEST(DigestSource, TheHeadIsOfTheFirstImagesAlone) {
  auto others = images(300);
  others[256].zero_();
  EXPECT_EQ(digests_of(others).head, digests_of(images(300)).head);
  others[255].zero_();
  EXPECT_NE(digests_of(others).head, digests_of(images(300)).head);
  MemorySource source(images(300));
  DigestSource seen(source);
  seen.next(255);
  EXPECT_FALSE(seen.head_is_whole());
  seen.next(1);
  EXPECT_TRUE(seen.head_is_whole());
  // What comes out is what is in.
  EXPECT_THAT(seen.next(1), TensorEq(images(257).back()));
}

}  // namespace
}  // namespace ddpm_eval::data
