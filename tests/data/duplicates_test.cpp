#include "base/data/duplicates.h"

#include "base/data/tensor_source.h"
#include "tests/support/memory_source.h"
#include "tests/support/tensor_matchers.h"

#include <vector>

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::MemorySource;
using testing::TensorEq;

at::Tensor image(int value, int64_t height = 5, int64_t width = 7) {
  return torch::full({1, 3, height, width}, value, torch::kUInt8);
}

std::vector<std::string> notes_of(const std::vector<at::Tensor>& images, int64_t chunk) {
  const auto source = count_duplicates(std::make_unique<MemorySource>(images, chunk));
  while (source->next(chunk).defined()) {
    EXPECT_THAT(source->report().notes, IsEmpty()) << "more may come";
  }
  EXPECT_EQ(source->report().yielded, static_cast<int64_t>(images.size()));
  return source->report().notes;
}

TEST(Duplicates, AreCountedHoweverTheImagesAreCut) {
  const std::vector<at::Tensor> images = {image(1), image(2), image(1), image(3), image(1), image(2)};
  for (const int64_t chunk : {1, 2, 100}) {
    EXPECT_THAT(notes_of(images, chunk),
                ElementsAre("3 of 6 images are pixel for pixel the same as an earlier one"));
  }
}

TEST(Duplicates, OnePixelOrTheSizeMakesAnotherImage) {
  std::vector<at::Tensor> images;
  for (int64_t at = 0; at < 3 * 5 * 7; ++at) {
    images.push_back(image(9));
    images.back().view({-1})[at] += 1;
  }
  images.push_back(image(9));
  images.push_back(image(9, 7, 5));  // the same bytes
  images.push_back(image(9, 35, 1));
  EXPECT_THAT(notes_of(images, 100), IsEmpty());
}

TEST(Duplicates, AllElsePassesThrough) {
  const auto pixels = torch::randint(0, 256, {3, 3, 4, 4}, torch::kUInt8);
  const auto labels = torch::tensor({0, 1, 1}, torch::kInt64);
  const auto source = count_duplicates(make_tensor_source(
      "set", pixels, {}, {.notes = {"a note"}, .labels = labels, .classes = {.count = 2}}));
  EXPECT_EQ(source->name(), "set");
  EXPECT_EQ(source->size(), 3);
  EXPECT_THAT(source->next(9), TensorEq(pixels));
  EXPECT_EQ(source->classes().count, 2);
  EXPECT_THAT(source->labels(), TensorEq(labels));
  EXPECT_FALSE(source->next(9).defined());
  EXPECT_FALSE(source->next(9).defined());
  EXPECT_THAT(source->report().notes, ElementsAre("a note"));
}

}  // namespace
}  // namespace ddpm_eval::data
