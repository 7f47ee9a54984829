#include "eval/ablation/grid_table.h"

#include "base/core/record.h"
#include "eval/report/table_html.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddpm_eval::eval {
namespace {

using core::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kTableBase =
    "[data]\nsource = 'swiss-roll'\n[model]\nkind = 'mlp'\n[train]\nflip = false\n[sample]\nclip = false\n";

Grid small_grid(int seeds, const std::string& cells) {
  return read_grid(
      {fmt::format("title = 'A | B'\nconfig = 'b.toml'\nseeds = {}\nbaseline = 'a'\n", seeds) +
           "source = 'a paper'\n[budget]\nsteps = 20\n[score]\nnum = 30\nreal = 'swiss-roll'\n" + cells,
       "g.toml"},
      {kTableBase, "b.toml"});
}

JobOutcome done(double sliced, double nats) {
  return {{{"outcome", "done"},
           {"metrics", {{"sliced_wasserstein_distance", sliced}, {"nats_per_dim", nats}}},
           {"problems", Json::object()}},
          ""};
}

JobOutcome diverged(int64_t step, const char* reason, const Json& value) {
  return {{{"outcome", "diverged"},
           {"divergence", {{"first_step", step}, {"reason", reason}, {"loss", value}, {"grad_norm", "nan"}}}},
          ""};
}

const std::string kThree =
    "[[cells]]\nname = 'a'\npublished = { sliced_wasserstein_distance = 0.5 }\n"
    "[[cells]]\nname = 'b'\nrow = 'B_1'\nunstable = true\nset = { objective.loss = 'bound' }\n"
    "[[cells]]\nname = 'c'\nset = { objective.prediction = 'x_0' }\n"
    "published = { nats_per_dim = 1 }\nnot_comparable = 'it is in bits'\n";

TEST(GridTable, MeansDifferencesDashesAndNotesByHand) {
  const auto table =
      make_grid_table(small_grid(2, kThree), {{done(0.1, 1), done(0.3, 2)},
                                              {done(0.2, 1.5), done(0.5, 3.5)},
                                              {diverged(7, "loss", "nan"), diverged(9, "limit", 1e9)}});
  // b - a: 0.1 and 0.2 in the distance, mean 0.15 with error 0.05; 0.5 and 1.5 nats.
  EXPECT_EQ(
      table_markdown(table),
      "# A \\| B\n"
      "\n"
      "| cell | sliced Wasserstein ↓ | difference | sliced Wasserstein published | nats/dim ↓ | difference "
      "|\n"
      "|:--|--:|--:|--:|--:|--:|\n"
      "| a | 0.20 ± 0.14 | baseline | 0.5 | 1.50 ± 0.71 | baseline |\n"
      "| B_1 [1] | 0.35 ± 0.21 | +0.150 ± 0.050 | – | 2.5 ± 1.4 | +1.00 ± 0.50 |\n"
      "| c [2] [3] [4] | – | – | – | – | – |\n"
      "\n"
      "Mean ± standard deviation over 2 seeds; 20 training steps each; 30 samples against swiss-roll.\n"
      "\n"
      "Difference: paired by seed, to the baseline (a), ± its standard error.\n"
      "\n"
      "Significance is not stated: with 2 seeds the smallest p of a paired sign-flip test is 1 by Holm's "
      "correction over the table's 2 comparisons; 7 seeds would do.\n"
      "\n"
      "Published numbers: a paper.\n"
      "\n"
      "[1] Published as a cell that is unstable to train; here every seed trained.\n"
      "\n"
      "[2] 2 of 2 trainings diverged: seed 0, first bad step 7, loss nan; seed 1, first bad step 9, loss "
      "1e+09 "
      "above the limit of [stop].\n"
      "\n"
      "[3] Published as a cell that trains.\n"
      "\n"
      "[4] The published numbers are not set beside these: it is in bits\n");
  EXPECT_EQ(table_csv(table),
            "cell,row,column,metric,count,mean,sd,difference,difference_error,p,p_holm,significant,diverged,"
            "published,values\n"
            "a,a,,sliced_wasserstein_distance,2,0.2,0.1414213562373095,,,,,,0,0.5,0.1 0.3\n"
            "a,a,,nats_per_dim,2,1.5,0.7071067811865476,,,,,,0,,1 2\n"
            "b,B_1,,sliced_wasserstein_distance,2,0.35,0.21213203435596426,0.15000000000000002,0.05,0.5,1,,0,"
            ",0.2 0.5\n"
            "b,B_1,,nats_per_dim,2,2.5,1.4142135623730951,1,0.5,0.5,1,,0,,1.5 3.5\n"
            "c,c,,sliced_wasserstein_distance,0,,,,,,,,2,,- -\n"
            "c,c,,nats_per_dim,0,,,,,,,,2,,- -\n");
  const auto latex = table_latex(table);
  EXPECT_THAT(
      latex,
      HasSubstr("\\caption{A \\textbar{} B}\n\\begin{tabular}{lrrrrr}\n\\toprule\ncell & sliced Wasserstein "
                "$\\downarrow$ & difference"));
  EXPECT_THAT(latex, HasSubstr("B\\_1 [1] & 0.35 $\\pm$ 0.21 & +0.150 $\\pm$ 0.050 & -- &"));
  EXPECT_THAT(core::record_text(table), Not(HasSubstr("created")));
}

std::vector<JobOutcome> ten(double offset, double jitter) {
  std::vector<JobOutcome> list;
  for (int seed = 0; seed < 10; ++seed) {
    list.push_back(done(0.01 * seed + offset + jitter * (seed % 2 == 0 ? 1 : -1), 1));
  }
  return list;
}

TEST(GridTable, SignificanceIsStatedWhereTheSeedsAllowIt) {
  const auto grid =
      small_grid(10,
                 "[[cells]]\nname = 'a'\n[[cells]]\nname = 'b'\nset = { objective.loss = 'bound' }\n"
                 "[[cells]]\nname = 'c'\nset = { objective.prediction = 'x_0' }\n");
  const auto table = make_grid_table(grid, {ten(0, 0), ten(0.1, 0), ten(0, 0.02)});
  // Four comparisons: b's distance reaches 4 x 2/1024; c's ups and downs cancel, and nats are all equal.
  const auto difference = [&](int cell, const char* metric) {
    return table["cells"][cell]["results"][metric]["difference"];
  };
  EXPECT_EQ(difference(1, "sliced_wasserstein_distance")["p"], 2.0 / 1024);
  EXPECT_EQ(difference(1, "sliced_wasserstein_distance")["p_holm"], 8.0 / 1024);
  EXPECT_EQ(difference(1, "sliced_wasserstein_distance")["significant"], true);
  EXPECT_EQ(difference(2, "sliced_wasserstein_distance")["p"], 1);
  EXPECT_EQ(difference(2, "sliced_wasserstein_distance")["significant"], false);
  EXPECT_EQ(difference(2, "nats_per_dim")["p_holm"], 1);
  const auto text = table_markdown(table);
  EXPECT_THAT(text, HasSubstr("| b | 0.145 ± 0.030\\* | +0.1 |"));
  EXPECT_THAT(text, HasSubstr("| c | 0.045 ± 0.034 | 0.0000 ± 0.0067 |"));
  EXPECT_THAT(text, HasSubstr("\\* differs from the baseline (a): p &lt; 0.05"));
}

TEST(GridTable, SeedsThatDivergedLeaveThePairsOfTheOthers) {
  const auto table =
      make_grid_table(small_grid(3, kThree), {{done(1, 1), done(2, 1), done(3, 1)},
                                              {done(2, 1), diverged(4, "gradient", 0.5), done(5, 1)},
                                              {{Json(), "no space"}, {Json(), ""}, done(9, 1)}});
  const auto& b = table["cells"][1]["results"]["sliced_wasserstein_distance"];
  EXPECT_EQ(b["values"], Json::parse("[2.0, null, 5.0]"));
  EXPECT_EQ(b["difference"]["count"], 2);
  EXPECT_EQ(b["difference"]["mean"], 1.5);
  const auto text = table_markdown(table);
  EXPECT_THAT(text, HasSubstr("1 of 3 trainings diverged: seed 1, first bad step 4, gradient norm nan."));
  EXPECT_THAT(text, HasSubstr("Failed for seeds 0: no space"));
  EXPECT_THAT(text, HasSubstr("Not run yet for seeds 1."));
}

TEST(GridTable, AMetricThatNoCellHasIsADashWithItsReason) {
  JobOutcome odd = done(4, 1);
  odd.record["metrics"].erase("nats_per_dim");
  odd.record["problems"]["nats_per_dim"] = "a term is not finite";
  const auto table = make_grid_table(small_grid(1, kThree), {{odd}, {odd}, {odd}});
  EXPECT_EQ(table["metrics"], Json::parse(R"(["sliced_wasserstein_distance", "nats_per_dim"])"));
  EXPECT_THAT(table_markdown(table), HasSubstr("No number for seeds 0: a term is not finite"));
}

TEST(GridTable, TheRemarkCountsPairsAndNotSeeds) {
  const auto grid =
      small_grid(10,
                 "[[cells]]\nname = 'a'\n[[cells]]\nname = 'b'\nset = { objective.loss = 'bound' }\n"
                 "[[cells]]\nname = 'c'\nset = { objective.prediction = 'x_0' }\n");
  // Four comparisons need 4 x 2 / 2^n < 0.05, eight seeds; of c five are left.
  auto few = ten(0.1, 0);
  for (size_t i = 0; i < 5; ++i) {
    few[i] = diverged(3, "loss", "nan");
  }
  auto table = make_grid_table(grid, {ten(0, 0), ten(0.1, 0), few});
  EXPECT_THAT(
      table_markdown(table),
      HasSubstr("over the table's 4 comparisons. Of 2 of them it is not stated, as fewer than 8 seeds "
                "have both numbers.\n"));
  EXPECT_THAT(table_markdown(make_grid_table(grid, {ten(0, 0), ten(0.1, 0), ten(0.1, 0)})),
              HasSubstr("over the table's 4 comparisons.\n"));

  table = make_grid_table(grid, {ten(0, 0), few, few});
  EXPECT_THAT(
      table_markdown(table),
      HasSubstr("Significance is not stated: with at most 5 of 10 seeds that have both numbers the "
                "smallest p of a paired sign-flip test is 0.25 by Holm's correction over the table's 4 "
                "comparisons; 8 such seeds would do."));
}

TEST(GridTable, ColumnsMakeATableForEachMetric) {
  const auto grid = read_grid({"config = 'b.toml'\nseeds = 1\nbaseline = 'variance=fixedlarge_steps=9'\n"
                               "[budget]\nsteps = 20\n[score]\nnum = 30\nreal = 'swiss-roll'\n[axes]\n"
                               "sample.variance = ['fixedlarge', 'fixedsmall']\nsample.steps = [9, 5]\n",
                               "g.toml"},
                              {kTableBase, "b.toml"});
  JobOutcome odd = done(4, 1);
  odd.record["metrics"].erase("nats_per_dim");
  odd.record["problems"]["nats_per_dim"] = "a term is not finite";
  const auto text = table_markdown(make_grid_table(grid, {{done(1, 1)}, {done(2, 1)}, {done(3, 1)}, {odd}}));
  EXPECT_THAT(text, HasSubstr("## sliced Wasserstein ↓\n\n|  | steps = 9 | steps = 5 |\n|:--|--:|--:|\n"
                              "| variance = fixedlarge | 1 | 2 |\n| variance = fixedsmall | 3 | 4 |\n"));
  EXPECT_THAT(text, HasSubstr("| variance = fixedsmall | 1 | – [1] |"));
  EXPECT_THAT(text, HasSubstr("[1] No number for seeds 0: a term is not finite"));
}

// Brackets in labels and published numbers are those of the paper's references.
TEST(GridTable, OnlyMarksOfNotesAreLinks) {
  const auto table = make_grid_table(
      small_grid(1,
                 "[[cells]]\nname = 'a'\nrow = 'Ho et al. [1]'\nunstable = true\n"
                 "published = { sliced_wasserstein_distance = '3.17 [2]' }\n"
                 "[[cells]]\nname = 'b'\nrow = 'mu [2]'\nset = { objective.prediction = 'mu' }\n"),
      {{done(1, 1)}, {{Json(), "no space"}}});
  EXPECT_THAT(table_markdown(table), AllOf(HasSubstr("| Ho et al. [1] [1] | 1 | baseline | 3.17 [2] | 1 |"),
                                           HasSubstr("| mu [2] [2] | – |")));
  const auto html = table_html(table).markup();
  EXPECT_THAT(html,
              AllOf(HasSubstr(">Ho et al. [1]<sup>"), HasSubstr(">3.17 [2]</td>"), HasSubstr(">mu [2]<sup>"),
                    HasSubstr("href=\"#note-1\" aria-label=\"note 1\">1</a>"),
                    HasSubstr("href=\"#note-2\" aria-label=\"note 2\">2</a>")));
}

TEST(GridTable, DeviationsAreShownToTwoDigits) {
  EXPECT_EQ(with_deviation(0.026234, 0.00112), "0.0262 ± 0.0011");
  EXPECT_EQ(with_deviation(123.4, 25.2), "123 ± 25");
  EXPECT_EQ(with_deviation(5, 0.0996), "5.00 ± 0.10");
  EXPECT_EQ(with_deviation(1234, 321), "1234 ± 321");
  EXPECT_EQ(with_deviation(0.0301234, 0), "0.030123");
}

}  // namespace
}  // namespace ddpm_eval::eval
