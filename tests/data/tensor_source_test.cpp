#include "base/data/tensor_source.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/tensor_matchers.h"

#include <numeric>
#include <utility>
#include <vector>

namespace ddpm_eval::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::message_of;
using ::testing::Pair;
using testing::TensorEq;

TEST(TensorSource, HandsOutAllImagesInOrder) {
  const at::Tensor images = torch::randint(0, 256, {5, 3, 2, 4}, torch::kUInt8);
  const auto source = make_tensor_source("set", images);
  EXPECT_EQ(source->name(), "set");
  EXPECT_EQ(source->size(), 5);
  EXPECT_THAT(source->next(3), TensorEq(images.narrow(0, 0, 3)));
  EXPECT_THAT(source->next(3), TensorEq(images.narrow(0, 3, 2)));
  EXPECT_FALSE(source->next(3).defined());
  EXPECT_EQ(source->report().yielded, 5);
  EXPECT_THAT(source->report().notes, IsEmpty());
}

TEST(TensorSource, GreyscaleBecomesRgbWithANote) {
  const at::Tensor images = torch::randint(0, 256, {2, 1, 3, 3}, torch::kUInt8);
  const auto source = make_tensor_source("grey", images);
  const at::Tensor batch = source->next(8);
  EXPECT_THAT(batch, TensorEq(torch::cat({images, images, images}, 1)));
  EXPECT_TRUE(batch.is_contiguous());
  EXPECT_THAT(source->report().notes, ElementsAre("greyscale images, replicated to RGB"));
}

TEST(TensorSource, LabelsAreThoseOfTheImagesHandedOut) {
  const at::Tensor images = torch::zeros({4, 3, 2, 2}, torch::kUInt8);
  const at::Tensor labels = torch::tensor({1, 0, 1, 1}, torch::kInt64);
  const TensorFacts facts{.labels = labels, .classes = {2, {"cat", "dog"}, {}}};
  const auto source = make_tensor_source("set", images, {.first = 1, .count = 3}, facts);
  EXPECT_THAT(source->classes().names, ElementsAre("cat", "dog"));
  EXPECT_EQ(source->labels().size(0), 0);
  source->next(2);
  EXPECT_THAT(source->labels(), TensorEq(labels.narrow(0, 1, 2)));
  source->next(2);
  EXPECT_THAT(source->labels(), TensorEq(labels.narrow(0, 1, 3)));
  const auto bare = make_tensor_source("set", images);
  EXPECT_EQ(bare->classes().count, 0);
  EXPECT_EQ(bare->classes().absent, "images of this kind have none");
  EXPECT_FALSE(bare->labels().defined());
}

TEST(TensorSource, GreyscaleOfAnyLayoutIsReplicatedToRgb) {
  const at::Tensor rows = torch::randint(0, 256, {2, 3, 4, 1}, torch::kUInt8).permute({0, 3, 1, 2});
  EXPECT_THAT(as_rgb(rows), TensorEq(torch::cat({rows, rows, rows}, 1)));
  EXPECT_TRUE(as_rgb(rows).is_contiguous());
  const at::Tensor colour = torch::randint(0, 256, {2, 3, 4, 5}, torch::kUInt8);
  EXPECT_EQ(as_rgb(colour).data_ptr(), colour.data_ptr()) << "nothing is copied without need";
}

TEST(TensorSource, NotesOfTheSetComeFirst) {
  const auto source =
      make_tensor_source("grey", torch::zeros({2, 1, 3, 3}, torch::kUInt8), {}, {.notes = {"half of it"}});
  EXPECT_THAT(source->report().notes, ElementsAre("half of it", "greyscale images, replicated to RGB"));
}

TEST(TensorSource, SubsetsAreCheckedAgainstTheSize) {
  const at::Tensor images = torch::arange(10).to(torch::kUInt8).reshape({10, 1, 1, 1}).expand({10, 3, 1, 1});
  const auto source = make_tensor_source("set", images, {.first = 7, .count = 2});
  EXPECT_EQ(source->size(), 2);
  EXPECT_EQ(source->next(9)[0][0][0][0].item<int>(), 7);
  EXPECT_EQ(make_tensor_source("set", images, {.first = 7, .count = {}})->size(), 3);
  const auto error = [&](int64_t first, int64_t count) {
    return message_of<core::UsageError>([&] { make_tensor_source("set", images, {first, count}); });
  };
  EXPECT_THAT(error(10, 1), HasSubstr("set: first=10 is outside of its 10 items"));
  EXPECT_THAT(error(-1, 1), HasSubstr("first=-1"));
  EXPECT_THAT(error(5, 6), HasSubstr("num=6 does not fit: 5 items follow first=5"));
  EXPECT_THAT(error(5, 0), HasSubstr("num=0"));
  EXPECT_THAT(error(5, INT64_MAX), HasSubstr("does not fit"));
  EXPECT_EQ(message_of<core::DataError>([&] { make_tensor_source("none", images.narrow(0, 0, 0)); }),
            "none: holds no items");
}

// What numpy gives for a = arange(n); RandomState(seed).shuffle(a); sort(a[:count]), as in EDM's dataset.py.
TEST(TensorSource, ItemsAreDrawnAsEdmDrawsThem) {
  EXPECT_THAT(drawn_items({4, 0}, 10), ElementsAre(2, 4, 8, 9));
  const auto sum_and_first = [](uint32_t seed) {
    const auto items = drawn_items({5000, seed}, 50'000);
    return std::pair(std::accumulate(items.begin(), items.end(), int64_t{0}),
                     std::vector<int64_t>(items.begin(), items.begin() + 4));
  };
  EXPECT_THAT(sum_and_first(0), Pair(126'459'119, ElementsAre(14, 22, 24, 28)));
  EXPECT_THAT(sum_and_first(7), Pair(125'629'419, ElementsAre(2, 30, 58, 78)));
  const at::Tensor rows = torch::arange(10);
  EXPECT_THAT(take_subset(rows, {.draw = Draw{4, 0}}, "set"), TensorEq(torch::tensor({2, 4, 8, 9})));
  EXPECT_THAT(take_subset(rows, {.draw = Draw{10, 3}}, "set"), TensorEq(rows));
  EXPECT_THAT(take_subset(rows, {.first = 1, .count = 2, .draw = Draw{4, 0}}, "set"),
              TensorEq(torch::tensor({4, 8})));
  EXPECT_THAT(message_of<core::UsageError>([&] {
                take_subset(rows, {.draw = Draw{11, 0}}, "set");
              }),
              HasSubstr("set: num=11 does not fit: it holds 10 items"));
}

TEST(TensorSource, LabelsAreThoseOfTheImagesDrawn) {
  const at::Tensor images = torch::arange(10).to(torch::kUInt8).reshape({10, 1, 1, 1}).expand({10, 3, 1, 1});
  const TensorFacts facts{.labels = torch::arange(10), .classes = {10, {}, {}}};
  const auto source = make_tensor_source("set", images, {.draw = Draw{4, 0}}, facts);
  EXPECT_THAT(source->next(9).select(1, 0).flatten().to(at::kLong), TensorEq(torch::tensor({2, 4, 8, 9})));
  EXPECT_THAT(source->labels(), TensorEq(torch::tensor({2, 4, 8, 9})));
}

}  // namespace
}  // namespace ddpm_eval::data
