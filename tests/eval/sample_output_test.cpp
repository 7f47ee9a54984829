#include "eval/sample_output.h"

#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

using testing::put_file;
using testing::TempDir;

TEST(SampleProvenance, OfAFolderIsWhatItsFileSays) {
  const TempDir dir;
  EXPECT_TRUE(read_sample_provenance(dir.path()).is_null());
  put_file(dir / "samples.json", R"({"schema": 1, "seed": 3})");
  EXPECT_EQ(read_sample_provenance(dir.path())["seed"], 3);
}

// It goes into the score's record, which is written by recursion.
TEST(SampleProvenance, DamagedTextAndManyBracketsAreNone) {
  const TempDir dir;
  put_file(dir / "samples.json", "{\"seed\": ");
  EXPECT_TRUE(read_sample_provenance(dir.path()).is_null());
  put_file(dir / "samples.json", "{\"seed\": " + std::string(500'000, '[') + std::string(500'000, ']') + "}");
  EXPECT_TRUE(read_sample_provenance(dir.path()).is_null());
}

TEST(HoldsSamples, OnlyThoseOfTheVeryProvenance) {
  const TempDir dir;
  const auto file = dir / "points.npy";
  const core::Json provenance = {{"schema", 1}, {"kind", "samples"}, {"seed", 3}};
  EXPECT_FALSE(holds_samples(file, provenance));
  write_points(file, torch::zeros({2, 2}), provenance);
  EXPECT_TRUE(holds_samples(file, provenance));
  auto other = provenance;
  other["seed"] = 4;
  EXPECT_FALSE(holds_samples(file, other));
  put_file(file, "replaced");
  EXPECT_FALSE(holds_samples(file, provenance)) << "the file is no longer the one that the text is of";
}

}  // namespace
}  // namespace ddpm_eval::eval
