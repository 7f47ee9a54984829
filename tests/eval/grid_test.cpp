#include "eval/ablation/grid.h"

#include "base/core/file_io.h"
#include "eval/ablation/grid_check.h"
#include "eval/ablation/grid_folder.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddpm_eval::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using testing::message_of;

const std::string kBase =
    "[data]\nsource = 'swiss-roll'\n[model]\nkind = 'mlp'\n[process]\nsteps = 10\n[objective]\nvariance = "
    "'fixedsmall'\n"
    "[train]\nflip = false\nbatch_size = 8\n[sample]\nclip = false\nsteps = 5\n";

/// What every grid must have.
const std::string kHead =
    "config = 'base.toml'\nseeds = 2\nbaseline = '@'\n[budget]\nsteps = 20\n[score]\nnum = 30\nreal = "
    "'swiss-roll'\n";

std::string head(const std::string& baseline) {
  auto text = kHead;
  return text.replace(text.find('@'), 1, baseline);
}

Grid grid_of(const std::string& toml) { return read_grid({toml, "g.toml"}, {kBase, "base.toml"}); }

std::string refusal_of(const std::string& toml) {
  return message_of<core::UsageError>([&] { grid_of(toml); });
}

std::vector<std::string> names(const Grid& grid) {
  std::vector<std::string> list;
  for (const auto& cell : grid.cells) {
    list.push_back(cell.name);
  }
  return list;
}

const std::string kTwoCells =
    "[[cells]]\nname = 'a'\n[[cells]]\nname = 'b'\nset = { objective.loss = 'bound' }\nrow = 'B'\n";

TEST(Grid, CellsAreTheBaseWithTheirOwnKeys) {
  const auto grid = grid_of(head("a") + kTwoCells);
  EXPECT_THAT(grid.seeds, ElementsAre(0, 1));
  EXPECT_THAT(names(grid), ElementsAre("a", "b"));
  EXPECT_EQ(grid.cells[0].row, "a");
  EXPECT_EQ(grid.cells[1].row, "B");
  EXPECT_EQ(grid.cells[0].config.objective.loss, ddpm::Loss::kSimple);
  EXPECT_EQ(grid.cells[1].config.objective.loss, ddpm::Loss::kBound);
  EXPECT_EQ(grid.cells[1].config.train.loop.steps, 20);
  EXPECT_EQ(grid.config_of(1, 7).train.seed, 7);
  EXPECT_EQ(grid.cells[1].owner, 1);
}

TEST(Grid, AxesAreCrossedInTheFilesOrderAndNotByName) {
  const auto grid = grid_of(head("steps=10_spacing=uniform") +
                            "[axes]\nsample.steps = [10, 5]\nsample.spacing = ['uniform', 'quad']\n");
  EXPECT_THAT(names(grid), ElementsAre("steps=10_spacing=uniform", "steps=10_spacing=quad",
                                       "steps=5_spacing=uniform", "steps=5_spacing=quad"));
  EXPECT_EQ(grid.cells[1].row, "steps = 10");
  EXPECT_EQ(grid.cells[1].column, "spacing = quad");
  EXPECT_EQ(grid.cells[3].config.sample.steps, 5);
  EXPECT_EQ(grid.cells[3].config.sample.spacing, ddpm::Spacing::kQuad);
}

TEST(Grid, CellsAreCrossedWithAxes) {
  const auto grid = grid_of(head("b_steps=4") + kTwoCells + "[axes]\nsample.steps = [4, 3]\n");
  EXPECT_THAT(names(grid), ElementsAre("a_steps=4", "a_steps=3", "b_steps=4", "b_steps=3"));
  EXPECT_EQ(grid.cells[3].row, "B");
  EXPECT_EQ(grid.cells[3].column, "steps = 3");
  EXPECT_EQ(grid.cells[3].config.objective.loss, ddpm::Loss::kBound);
}

TEST(Grid, CellsThatDifferInTheirSamplesAloneShareATraining) {
  const auto grid = grid_of(head("a_steps=4") + kTwoCells + "[axes]\nsample.steps = [4, 3]\n");
  std::vector<size_t> owners;
  for (const auto& cell : grid.cells) {
    owners.push_back(cell.owner);
  }
  EXPECT_THAT(owners, ElementsAre(0, 0, 2, 2));
  // 20 steps of 8 rows, three times each; 30 samples in 4 steps.
  EXPECT_EQ(cost_of(grid, 0).training, 480);
  EXPECT_EQ(cost_of(grid, 1).training, 0);
  EXPECT_EQ(cost_of(grid, 0).sampling, 120);
  EXPECT_EQ(cost_of(grid, 3).sampling, 90);
}

TEST(Grid, TheCommonSettingsAreUnderTheCells) {
  const auto grid =
      grid_of(head("a") + "[set]\ntrain.learning_rate = 0.5\nobjective.loss = 'bound-sum'\n" + kTwoCells);
  EXPECT_EQ(grid.cells[0].config.train.loop.learning_rate, 0.5);
  EXPECT_EQ(grid.cells[0].config.objective.loss, ddpm::Loss::kBoundSum);
  EXPECT_EQ(grid.cells[1].config.objective.loss, ddpm::Loss::kBound);
}

TEST(Grid, UnknownKeysAreNamedWithTheNearest) {
  EXPECT_EQ(refusal_of(head("a") + kTwoCells + "[axis]\n"),
            "g.toml: unknown key 'axis'; did you mean 'axes'?");
  EXPECT_EQ(refusal_of("seed = 3\n" + head("a") + kTwoCells),
            "g.toml: unknown key 'seed'; did you mean 'seeds'?");
  EXPECT_EQ(refusal_of(head("a") + "[[cells]]\nname = 'a'\nrows = 'x'\n"),
            "g.toml: cells[0]: unknown key 'rows'; did you mean 'row'?");
  EXPECT_EQ(refusal_of(head("a") + "[[cells]]\nname = 'a'\nset = { objective.los = 'bound' }\n"),
            "g.toml: cell 'a': objective.los: unknown key 'objective.los'; did you mean 'loss'?");
  EXPECT_THAT(refusal_of(head("x") + "[axes]\nobjectiv.loss = ['simple']\n"),
              HasSubstr("unknown key 'objectiv'; did you mean 'objective'?"));
}

TEST(Grid, ValuesThatContradictTheBaseAreRefusedByCell) {
  EXPECT_THAT(refusal_of(head("x") + "[axes]\nprocess.steps = [10, 4]\n"),
              HasSubstr("g.toml: cell 'steps=4': sample.steps"));
  EXPECT_THAT(
      refusal_of(head("a") + "[[cells]]\nname = 'a'\nset = { objective.variance = 'learned' }\n"),
      HasSubstr(
          "g.toml: cell 'a': objective.variance: 'learned' is not trained by objective.loss = 'simple'"));
  EXPECT_THAT(refusal_of(head("a") + "[[cells]]\nname = 'a'\nset = { objective.loss = 'bond' }\n"),
              HasSubstr("g.toml: cell 'a': objective.loss: 'bond' is not one of"));
  EXPECT_THAT(refusal_of(head("x") + kTwoCells + "[axes]\nobjective.loss = ['simple']\n"),
              HasSubstr("axes.objective.loss: cell 'b' sets that key too"));
}

TEST(Grid, WhatTheGridFixesIsNotForACellToSet) {
  const auto cell = [](const std::string& set) {
    return refusal_of(head("a") + "[[cells]]\nname = 'a'\nset = { " + set + " }\n");
  };
  EXPECT_THAT(cell("train.seed = 1"), HasSubstr("train.seed is not for a cell to set"));
  EXPECT_THAT(cell("train.steps = 1"), HasSubstr("[budget] steps is the same for all cells"));
  EXPECT_THAT(cell("train.diverged_factor = 2.0"), HasSubstr("[stop] fixes the rule"));
  EXPECT_THAT(cell("score.num = 1"), HasSubstr("the grid's own [score]"));
  EXPECT_THAT(cell("train.learning_rate = 1.0"), HasSubstr("no cell is tuned by itself"));
  EXPECT_THAT(cell("sample.weights = 'best'"), HasSubstr("cell 'a': sample.weights"));
  EXPECT_THAT(refusal_of(head("a") + "[set]\ntrain.time_limit_s = 5.0\n" + kTwoCells),
              HasSubstr("a budget of time"));
}

TEST(Grid, DuplicatesAreRefused) {
  EXPECT_EQ(refusal_of(head("a") +
                       "[[cells]]\nname = 'a'\n[[cells]]\nname = 'a'\nset = { objective.loss = 'bound' }\n"),
            "g.toml: two cells are named 'a'");
  EXPECT_EQ(refusal_of(head("a") +
                       "[[cells]]\nname = 'a'\n[[cells]]\nname = 'b'\nset = { objective.loss = 'simple' }\n"),
            "g.toml: cells 'a' and 'b' are the same configuration");
  EXPECT_EQ(
      refusal_of(head("a") + "[[cells]]\nname = 'a'\nrow = 'same'\n[[cells]]\nname = 'b'\nrow = 'same'\n"
                             "set = { objective.loss = 'bound' }\n"),
      "g.toml: cells 'a' and 'b' have one place in the table: row 'same'");
}

TEST(Grid, TheHeadIsChecked) {
  EXPECT_THAT(refusal_of(head("c") + kTwoCells), HasSubstr("baseline: there is no cell 'c'"));
  EXPECT_THAT(refusal_of(head("a")), HasSubstr("neither [[cells]] nor [axes]"));
  EXPECT_THAT(refusal_of(head("a") + "[[cells]]\nname = 'a/b'\n"), HasSubstr("'a/b' must be of letters"));
  const auto with_seeds = [](const std::string& seeds) {
    auto text = head("a") + kTwoCells;
    return refusal_of(text.replace(text.find("seeds = 2"), 9, "seeds = " + seeds));
  };
  EXPECT_THAT(with_seeds("0"), HasSubstr("seeds: 0 is not a number of seeds from 1 to 40"));
  EXPECT_THAT(with_seeds("[1, 1]"), HasSubstr("seeds: 1 is no seed, or is there twice"));
  EXPECT_THAT(with_seeds("[]"), HasSubstr("seeds: expected a count or a list"));
  const auto without = [](const std::string& line) {
    auto text = head("a") + kTwoCells;
    return refusal_of(text.erase(text.find(line), line.size()));
  };
  EXPECT_THAT(without("steps = 20"), HasSubstr("budget.steps: must be set"));
  EXPECT_THAT(without("num = 30"), HasSubstr("score.num: must be set"));
  EXPECT_THAT(without("real = 'swiss-roll'"), HasSubstr("score.real: names no reference"));
}

TEST(Grid, ShippedGridsExpandToValidCells) {
  const auto read = [](const std::string& name) {
    return read_grid_file(testing::source_dir() / "configs" / (name + ".toml"));
  };
  for (const char* name : {"table2-swiss-roll", "table2-fashion-mnist", "table2-cifar10"}) {
    const auto grid = read(name);
    EXPECT_THAT(names(grid), ElementsAre("mu-bound-learned", "mu-bound-fixed", "mu-mse", "eps-bound-learned",
                                         "eps-bound-fixed", "eps-simple", "eps-hybrid-range"));
    EXPECT_EQ(grid.cells[5].published.at("frechet_inception_distance"), "3.17");
    EXPECT_TRUE(grid.cells[2].unstable && grid.cells[3].unstable);
    EXPECT_EQ(grid.cells[4].not_comparable.empty(), std::string(name) == "table2-cifar10");
  }
  EXPECT_EQ(read("table2-swiss-roll").seeds.size(), 10);
  EXPECT_EQ(read("table2-cifar10").cells[5].config.train.loop.steps, 800'000);
  const auto brief = read("table2-cifar10-short");
  EXPECT_THAT(names(brief), ElementsAreArray(names(read("table2-cifar10"))));
  EXPECT_EQ(brief.cells[6].config.train.loop.steps, 7000);
  EXPECT_TRUE(brief.cells[5].published.empty()) << "those are of 800,000 steps";
  EXPECT_EQ(read("variance-by-steps").cells.size(), 10);
  EXPECT_EQ(read("variance-by-steps").cells[9].owner, 0);
  EXPECT_EQ(read("schedules").cells.size(), 4);
  EXPECT_EQ(read("sampler-by-steps").cells.size(), 20);
  EXPECT_EQ(read("sampler-by-steps").cells[19].owner, 0);
  const auto ema = read("ema");
  EXPECT_EQ(ema.cells.size(), 6);
  EXPECT_EQ(ema.cells[3].owner, 2);
  size_t shipped = 0;
  for (const auto& file : std::filesystem::directory_iterator(testing::source_dir() / "configs")) {
    shipped += core::read_text(file.path()).find("\nconfig = ") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(shipped, 8) << "every shipped grid is read above";
}

}  // namespace
}  // namespace ddpm_eval::eval
