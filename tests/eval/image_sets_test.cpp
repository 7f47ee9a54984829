#include "eval/image_sets.h"

#include "ddpm/run_config.h"
#include "eval/training_data.h"

#include <gtest/gtest.h>

namespace ddpm_eval::eval {
namespace {

TEST(ImageSets, ASetIsLoadedOnce) {
  ImageSets sets;
  const core::Key key{"data.source"};
  const auto spec = data::parse_source("gaussian-noise:8x8x3?num=4");
  const auto& first = sets.load(key, spec);
  EXPECT_EQ(&sets.load(key, spec), &first);
  EXPECT_EQ(first.images_u8.size(0), 4);
  const auto other = sets.load(key, data::parse_source("gaussian-noise:8x8x3?num=4&seed=1"));
  EXPECT_NE(other.images_u8.data_ptr(), first.images_u8.data_ptr());
  EXPECT_FALSE(other.images_u8.equal(first.images_u8));
}

TEST(ImageSets, TrainingsShareTheirImages) {
  ImageSets sets;
  ddpm::RunConfig config;
  config.data.source = "gaussian-noise:8x8x3?num=4";
  const auto one = load_training_data(config, &sets);
  const auto two = load_training_data(config, &sets);
  EXPECT_EQ(one.data.data_ptr(), two.data.data_ptr());
  EXPECT_NE(load_training_data(config).data.data_ptr(), one.data.data_ptr());
  EXPECT_TRUE(load_training_data(config).data.equal(one.data));
}

}  // namespace
}  // namespace ddpm_eval::eval
