#include "base/data/sinks.h"
#include "tests/support/idx_files.h"
#include "tests/support/run_fixture.h"
#include "tests/support/synthetic_features.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

// `--by-class`: the distance of each class, by the labels of both sides.
namespace ddpm_eval {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ByClass : public testing::RunFixture {
 protected:
  /// `count` images into dir/class, as bright as `level` says.
  void put_class(const std::string& dir, const std::string& name, int64_t count, uint64_t seed, int level) {
    std::filesystem::create_directories(dir_ / dir);
    const auto noise = testing::synthetic_features({seed, count, 0.0, 20.0}, 3 * 28 * 28);
    const auto images = (noise.view({count, 3, 28, 28}) + level).clamp(0, 255).to(torch::kUInt8);
    const auto sink = data::make_png_folder_sink((dir_ / dir / name).string());
    sink->write(images);
    sink->finish();
  }

  Arguments command(const std::string& real, const std::string& fake,
                    const Arguments& flags = {"--by-class"}) {
    Arguments words = {"fid",      "--real",     path(real),           "--fake",
                       path(fake), "--features", "fashion-mnist-small"};
    words.insert(words.end(), flags.begin(), flags.end());
    return words;
  }

  void put_pair() {
    put_class("real", "cat", 20, 1, 80);
    put_class("real", "dog", 30, 2, 160);
    put_class("fake", "cat", 25, 3, 90);
    put_class("fake", "dog", 15, 4, 150);
  }
};

TEST_F(ByClass, EachDistanceIsThatOfTheClassAlone) {
  put_pair();
  const auto record = record_of(command("real", "fake"));
  const auto& classes = record["parts"]["classes"];
  EXPECT_EQ(classes["matched_by"], "name");
  ASSERT_EQ(classes["each"].size(), 2U);
  double sum = 0.0;
  for (const auto& one : classes["each"]) {
    const auto name = one["class"].get<std::string>();
    const auto alone = record_of(command("real/" + name, "fake/" + name, {}));
    const double want = alone["metrics"]["frechet_distance"];
    EXPECT_NEAR(one["frechet_distance"].get<double>(), want, 1e-9 * want) << name;
    EXPECT_EQ(one["real_count"], alone["real"]["count"]);
    EXPECT_EQ(one["fake_count"], alone["fake"]["count"]);
    sum += want;
  }
  EXPECT_NEAR(record["metrics"]["intra_frechet_distance"].get<double>(), sum / 2, 1e-9 * sum);
  const auto whole = record_of(command("real", "fake", {}));
  EXPECT_EQ(record["metrics"]["frechet_distance"], whole["metrics"]["frechet_distance"]);
  EXPECT_THAT(record["notes"].dump(), HasSubstr("by class: 20 to 30 real and 15 to 25 fake images each"));
}

TEST_F(ByClass, IsPrintedWithTheCounts) {
  put_pair();
  auto words = command("real", "fake");
  words[0] = "score";
  const auto printed = done(words);
  EXPECT_THAT(printed, HasSubstr("intra_frechet_distance"));
  EXPECT_THAT(printed, ::testing::ContainsRegex("  cat +20 +25  [0-9.]+\n  dog +30 +15  [0-9.]+\n"));
}

TEST_F(ByClass, MatchesByNumberWhereOneSideHasNoNames) {
  testing::write_banded_digits(dir_ / "digits", "train", 48);
  for (int digit = 0; digit < 4; ++digit) {
    put_class("fake", std::to_string(digit), 5, 10 + digit, 100);
  }
  auto words = command("", "fake");
  words[2] = "mnist:train@" + path("digits");
  const auto classes = record_of(words)["parts"]["classes"];
  EXPECT_EQ(classes["matched_by"], "number");
  ASSERT_EQ(classes["each"].size(), 4U) << "the other six digits have no image on either side";
  EXPECT_EQ(classes["each"][3]["class"], "3");
  EXPECT_EQ(classes["each"][3]["real_count"], 12);
  put_class("fake", "7", 5, 20, 100);
  refused(3, words, "class '7' has 0 real and 5 fake images; each class needs at least 2");
}

TEST_F(ByClass, SaysThatNamesOfOneSideAloneWereNotCompared) {
  put_pair();
  put_class("numbered", "0", 5, 1, 100);
  put_class("numbered", "1", 5, 2, 100);
  EXPECT_THAT(record_of(command("real", "numbered"))["notes"].dump(),
              HasSubstr("the fake side knows its classes by number alone, so that they are matched by "
                        "number, which on the other side is 0 = cat, 1 = dog: see"));
  EXPECT_THAT(record_of(command("real", "fake"))["notes"].dump(), Not(HasSubstr("by number alone")));
}

TEST_F(ByClass, RefusesWhatHasNoSuchScores) {
  put_pair();
  refused(2, command("real", "fake/cat"), "--by-class: --fake " + path("fake/cat") + " has no labels: ");
  put_class("fake", "cow", 2, 5, 10);
  refused(2, command("real", "fake"), "on the real side alone none, on the fake side alone 'cow'");
  std::filesystem::remove_all(dir_ / "fake" / "cow");
  refused(2, command("real", "fake", {"--by-class", "--yardstick", path("real")}),
          "--by-class and --yardstick");
  auto words = command("real", "fake", {"--by-class", "--metrics", "is"});
  words[0] = "score";
  refused(2, words, "--by-class: is for fid");
  std::filesystem::remove_all(dir_ / "fake" / "dog");
  put_class("fake", "dog", 1, 4, 150);
  refused(3, command("real", "fake"), "class 'dog' has 30 real and 1 fake images");
  done({"stats", "--data", path("real"), "--out", path("s.npz"), "--features", "fashion-mnist-small"});
  refused(2, command("s.npz", "fake"), "has no labels: it is no set of images");
}

}  // namespace
}  // namespace ddpm_eval
