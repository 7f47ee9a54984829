#include "eval/comparability.h"

#include "base/core/error.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

Json features(const char* name) { return {{"name", name}}; }

TEST(Comparability, TheKeyOfADistanceTellsTheFeatures) {
  EXPECT_EQ(frechet_key(features("inception-v3-fid"), 2048), "frechet_inception_distance");
  EXPECT_EQ(frechet_key(features("inception-v3-fid/spatial"), 2023), "spatial_frechet_inception_distance");
  for (const char* other :
       {"inception-v3-fid/64", "inception-v3-fid/192", "inception-v3-fid/768", "fashion-mnist-small"}) {
    EXPECT_EQ(frechet_key(features(other), 2048), "frechet_distance") << other;
  }
}

TEST(Comparability, StatisticsThatDoNotSayWhatTheyAreAreTakenByTheirNumber) {
  EXPECT_TRUE(uses_fid_inception(Json(), 2048));
  EXPECT_EQ(frechet_key(Json(), 2048), "frechet_inception_distance");
  EXPECT_EQ(frechet_key(Json(), 2023), "spatial_frechet_inception_distance");
  EXPECT_EQ(frechet_key(Json(), 768), "frechet_distance");
}

TEST(Comparability, LayersAreNotComparable) {
  auto notes = Json::array();
  EXPECT_THROW(require_same_features(features("inception-v3-fid"), features("inception-v3-fid/768"),
                                     /*allow_mismatch=*/false, notes),
               core::NotComparableError);
}

}  // namespace
}  // namespace ddpm_eval::eval
