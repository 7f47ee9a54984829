#include "tests/support/ablate_fixture.h"

#include <filesystem>

// What of a grid is refused before any work, by --dry-run too.
namespace ddpm_eval {
namespace {

using testing::grid_head;
using testing::grid_text;
using ::testing::HasSubstr;
using testing::kEpsCell;
using testing::kGridBase;
using testing::put_file;
using testing::with;

class AblateBoundsTest : public testing::AblateFixture {
 protected:
  /// The dry run, which checks what the command itself checks first, refuses the grid in one line.
  void expect_refusal(const std::string& grid, const std::string& substance) const {
    put_file(dir_ / "grid.toml", grid);
    refused(2, {"ablate", "--grid", path("grid.toml"), "--out", path("out"), "--dry-run"}, substance);
  }
};

TEST_F(AblateBoundsTest, NumbersBeyondReason) {
  const auto grid = grid_text(20);
  expect_refusal(with(grid, "threads = 1", "threads = 1025"),
                 "grid.toml: threads: expected a number from 0 (those of --threads) to 1024, found 1025");
  expect_refusal(with(grid, "num = 60", "num = 100000001"),
                 "grid.toml: score.num: 100000001 is above 100000000, the most points that are made up");
  expect_refusal(with(grid, "num=20&seed=2'", "num=20&seed=2'\nmicro_batch = 0"),
                 "grid.toml: likelihood.micro_batch: 0 is not within 1..");
  expect_refusal(with(grid, "num=20&seed=2'", "num=20&seed=2'\nstrata = 11"),
                 "grid.toml: likelihood.strata: 11 is neither 0 (every t) nor within 2..10 (cell 'eps')");
  expect_refusal(with(grid, "num=20&seed=2", "num=0"),
                 "grid.toml: likelihood.data: source 'swiss-roll?num=0': num=0 leaves nothing");
  expect_refusal(with(grid, "num=60&seed=1", "num=1"),
                 "grid.toml: score.real: swiss-roll?num=1: num must be at least 2");
  for (const char* jobs : {"1025", "99999999999"}) {
    refused(2, {"ablate", "--grid", path("grid.toml"), "--out", path("out"), "--dry-run", "--jobs", jobs},
            jobs);
  }
}

TEST_F(AblateBoundsTest, SourcesOfTheWrongKind) {
  const auto grid = grid_text(20);
  expect_refusal(
      with(grid, "'swiss-roll?num=20&seed=2'", "'fashion-mnist:test'"),
      "grid.toml: likelihood.data: fashion-mnist:test is no made-up set of points, and the cells make "
      "points");
  expect_refusal(with(grid, "'swiss-roll?num=60&seed=1'", "'fashion-mnist:test'"),
                 "grid.toml: score.real: fashion-mnist:test holds no points in the plane");
  expect_refusal(with(grid, "'swiss-roll?num=60&seed=1'", "'moon'"), "grid.toml: score.real: ");
}

TEST_F(AblateBoundsTest, NetworksThatCannotBe) {
  put_file(dir_ / "base.toml", with(kGridBase, "width = 8", "width = 7"));
  const std::string odd = "grid.toml: cell 'eps': model.mlp.width: 7 is not an even number";
  expect_refusal(grid_text(20), odd);
  EXPECT_THAT(refusal("out"), HasSubstr(odd)) << "not by the dry run alone";
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out"));
  put_file(dir_ / "base.toml",
           "[data]\nsource = 'cifar10:train'\n[model.unet]\nbase_channels = 12\ngroups = 5\n[process]\n"
           "steps = 10\n");
  expect_refusal(
      "config = 'base.toml'\nbaseline = 'a'\nseeds = 1\n[budget]\nsteps = 2\n[score]\nnum = 4\nreal = "
      "'cifar10:test'\n[[cells]]\nname = 'a'\n",
      "grid.toml: cell 'a': model.unet.groups: 5 groups do not divide 12 base channels");
}

TEST_F(AblateBoundsTest, NamesThatNoFolderCanHave) {
  const auto cell = [](const std::string& name) {
    return grid_head(20) + kEpsCell + "[[cells]]\nname = '" + name + "'\nset = { sample.steps = 3 }\n";
  };
  for (const char* name : {"table.md", "base.toml"}) {
    expect_refusal(cell(name), std::string("grid.toml: cell '") + name + "': name: is that of a file");
  }
  expect_refusal(cell("table.md.tmp-0"), "cell 'table.md.tmp-0': name: is as those of temporary files");
  expect_refusal(cell(std::string(256, 'n')), "': name: has 256 bytes, and a folder's name 255 at most");
  put_file(dir_ / "grid.toml", cell(std::string(255, 'n')));
  EXPECT_EQ(ablate("out", {"--dry-run"}).exit_code, 0);
}

TEST_F(AblateBoundsTest, LabelsOfSeveralLines) {
  const auto grid = grid_text(20);
  const std::string why = " holds a control character; write it as one line of plain text";
  expect_refusal(with(grid, "'Tiny'", "\"Ti\\nny\""), "grid.toml: title: 'Ti\\nny'" + why);
  expect_refusal(with(grid, "name = 'eps'", "name = 'eps'\nrow = \"a\\rb\""),
                 "grid.toml: cell 'eps': row: 'a\\x0db'" + why);
  expect_refusal(with(grid, "name = 'eps'", "name = 'eps'\ncolumn = \"a\\u0007\""),
                 "grid.toml: cell 'eps': column: 'a\\x07'" + why);
  expect_refusal(with(grid, "name = 'eps'", "name = 'eps'\npublished = { nats_per_dim = \"1\\n2\" }"),
                 "grid.toml: cell 'eps': published.nats_per_dim: '1\\n2'" + why);
}

TEST_F(AblateBoundsTest, ADryRunKnowsTheSizesOfSets) {
  put_file(dir_ / "grid.toml", with(grid_text(20), "swiss-roll?num=20&seed=2", "swiss-roll"));
  // 2,000 points over ten steps.
  EXPECT_THAT(done({"ablate", "--grid", path("grid.toml"), "--dry-run"}),
              HasSubstr("eps           480         600        20 k  \n"));
  put_file(dir_ / "base.toml", "[data]\nsource = 'cifar10:train'\n[process]\nsteps = 10\n");
  put_file(dir_ / "grid.toml",
           "config = 'base.toml'\nbaseline = 'a'\nseeds = 1\n[budget]\nsteps = 2\n[score]\nnum = 4\nreal = "
           "'cifar10:test'\n[likelihood]\ndata = 'cifar10:test'\n[[cells]]\nname = 'a'\n");
  EXPECT_THAT(done({"ablate", "--grid", path("grid.toml"), "--dry-run"}),
              HasSubstr("a            768          40       100 k  \n"))
      << "10,000 images, which need not be there";
}

}  // namespace
}  // namespace ddpm_eval
