#include "metrics/class_moments.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>

namespace ddpm_eval::metrics {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;
using testing::TensorNear;

/// Every third row of 600 is of class 0, and so on.
at::Tensor labels_in_turn(int64_t count, int64_t classes) {
  return torch::arange(count, at::kLong).remainder(classes);
}

TEST(ClassMoments, AreThoseOfTheClassesRows) {
  const auto features = testing::synthetic_features({1, 60, 0.5, 1.0}, 8);
  const auto found = class_moments(features, labels_in_turn(60, 3), 1);
  const auto want = moments_of(features.slice(0, 1, 60, 3).contiguous());
  EXPECT_EQ(found.count, 20);
  EXPECT_THAT(found.mean, TensorEq(want.mean));
  EXPECT_THAT(found.covariance, TensorEq(want.covariance));
}

// Classes whose means differ, one of them of fewer rows than features.
TEST(ClassMoments, MergeToThoseOfAll) {
  auto features = testing::synthetic_features({2, 600, 0.5, 1.0}, 24);
  auto labels = labels_in_turn(600, 3);
  labels.narrow(0, 0, 60).fill_(3).narrow(0, 0, 48).fill_(0);
  features += labels.unsqueeze(1).to(at::kFloat);
  EXPECT_THAT(class_counts(labels, 5), ElementsAre(228, 180, 180, 12, 0));
  auto all = class_moments(features, labels, 0);
  for (int64_t label = 1; label < 4; ++label) {
    merge(all, class_moments(features, labels, label));
  }
  const auto want = moments_of(features);
  EXPECT_EQ(all.count, 600);
  EXPECT_THAT(all.mean, TensorNear(want.mean, 1e-12));
  EXPECT_THAT(all.covariance, TensorNear(want.covariance, 1e-12));
}

TEST(ClassMoments, OfOneRowThereAreNone) {
  const auto features = testing::synthetic_features({3, 5, 0.5, 1.0}, 4);
  EXPECT_THAT(message_of<core::DataError>([&] { class_moments(features, labels_in_turn(5, 3), 2); }),
              HasSubstr("2"));
  EXPECT_THROW(class_counts(labels_in_turn(5, 3), 2), core::LogicError);
}

}  // namespace
}  // namespace ddpm_eval::metrics
