#include "base/core/file_lock.h"
#include "base/core/record.h"
#include "eval/ablation/grid_definition.h"
#include "eval/ablation/grid_folder.h"
#include "eval/report/grid_plots.h"
#include "eval/report/report.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

using core::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::put_file;
using testing::TempDir;

/// A table of one metric with a cell for each column.
Json table_of_columns(const std::vector<std::string>& columns) {
  Json table = {{"metrics", {"nats_per_dim"}}, {"seeds", {0}}, {"cells", Json::array()}};
  for (const auto& column : columns) {
    const Json result = {{"count", 1}, {"mean", 1.5}, {"sd", 0.0}, {"values", {1.5}}};
    table["cells"].push_back({{"row", "a"}, {"column", column}, {"results", {{"nats_per_dim", result}}}});
  }
  return table;
}

bool draws_lines(const std::vector<std::string>& columns) {
  return std::holds_alternative<CurvePlot>(score_figures(table_of_columns(columns)).at(0).plot);
}

TEST(ScoreFigures, ALineJoinsNumbersOfOneThingAlone) {
  EXPECT_TRUE(draws_lines({"steps = 10", "steps = 100"}));
  EXPECT_FALSE(draws_lines({"steps = 10", "eta = 0.5"}));
  EXPECT_FALSE(draws_lines({"steps = 10", "steps = all"}));
  EXPECT_FALSE(draws_lines({"steps = 10", ""}));
  EXPECT_FALSE(draws_lines({"10", "100"}));
  const auto figure = score_figures(table_of_columns({"steps = 100", "steps = 10"})).at(0);
  const auto& plot = std::get<CurvePlot>(figure.plot);
  EXPECT_EQ(plot.x_label, "steps");
  ASSERT_EQ(plot.series.size(), 1U);
  EXPECT_EQ(plot.series[0].points.at(0).x, 10);
  EXPECT_EQ(plot.series[0].points.at(1).x, 100);
}

class GridPage : public ::testing::Test {
 protected:
  explicit GridPage(int seeds = 2) {
    put_file(dir_ / "base.toml",
             "[data]\nsource = 'swiss-roll'\n[model]\nkind = 'mlp'\n[process]\nsteps = 10\n[train]\nflip = "
             "false\n[sample]\nclip = false\n");
    put_file(dir_ / "grid.toml",
             fmt::format("config = 'base.toml'\nseeds = {}\nbaseline = 'a'\n[budget]\nsteps = 20\n[score]\n"
                         "num = 30\nreal = 'swiss-roll'\n[[cells]]\nname = 'a'\n[[cells]]\nname = 'b'\n"
                         "set = {{ objective.prediction = 'mu' }}\n",
                         seeds));
    folder_ = GridFolder::create(dir_ / "out", dir_ / "grid.toml");
  }

  fs::path place_of(const GridJob& job) const {
    fs::create_directories(folder_->job_folder(job));
    return folder_->job_folder(job);
  }

  void do_job(const GridJob& job, int threads) const {
    const auto definition = job_definition(folder_->grid(), job);
    put_file(place_of(job) / kDefinitionFile, core::record_text(definition));
    auto record = core::new_record(kJobKind);
    record["cell"] = definition["cell"];
    record["seed"] = job.seed;
    record[kDefinitionDigest] = definition_digest(definition);
    record["outcome"] = "trained";
    record["metrics"] = {{"nats_per_dim", 1.0}};
    record["problems"] = Json::object();
    record["runtime"] = {{"device", "cpu"}, {"threads", threads}};
    put_file(place_of(job) / kJobRecordFile, core::record_text(record));
  }

  void fail_job(const GridJob& job) const {
    put_file(place_of(job) / kFailureFile,
             R"({"schema": 1, "code": 7, "message": "no space", "attempts": 1})");
  }

  std::string page() const { return grid_page(dir_ / "out", dir_ / "out" / "index.html").html; }

  TempDir dir_;
  std::optional<GridFolder> folder_;
};

class GridPageOfOneSeed : public GridPage {
 protected:
  GridPageOfOneSeed() : GridPage(1) {}
};

TEST_F(GridPage, AJobOnItsSecondTryIsRunning) {
  do_job({0, 0}, 1);
  fail_job({0, 1});
  fail_job({1, 0});
  EXPECT_THAT(page(), HasSubstr("1 of 4 jobs done, 2 failed, 1 not run yet."));
  const auto lock = core::FileLock::take(place_of({0, 1}) / kJobLockFile);
  ASSERT_TRUE(lock);
  EXPECT_THAT(page(), HasSubstr("1 of 4 jobs done, 1 running, 1 failed, 1 not run yet."));
}

TEST_F(GridPage, OnlyWhatAllRecordsSayIsSaidOfTheGrid) {
  do_job({0, 0}, 2);
  do_job({0, 1}, 2);
  EXPECT_THAT(page(), AllOf(HasSubstr("<dt>Threads</dt>\n<dd>2</dd>"), HasSubstr("<dd>cpu</dd>")));
  do_job({1, 0}, 4);
  EXPECT_THAT(page(), AllOf(HasSubstr("<dt>Threads</dt>\n<dd>several (see the notes)</dd>"),
                            HasSubstr("several numbers of threads"), HasSubstr("<dd>cpu</dd>")));
}

TEST_F(GridPageOfOneSeed, StandardErrorsOfABoundAreNotSpreadOverSeeds) {
  const std::string head = "first_t,steps,term,term_error,x_0_mse\n";
  fs::create_directories(place_of({0, 0}) / "nll");
  put_file(place_of({0, 0}) / "nll/curve.csv", head + "0,1,0.5,0.1,2\n1,1,0.25,0.1,3\n");
  auto figures = training_figures(*folder_);
  ASSERT_EQ(figures.size(), 2U);
  EXPECT_EQ(figures[1].caption, "One seed");
  for (const auto& point : std::get<CurvePlot>(figures[1].plot).series.at(0).points) {
    EXPECT_FALSE(std::isfinite(point.low) || std::isfinite(point.high));
  }

  auto text = head;
  for (int t = 0; t < 400; ++t) {
    text += fmt::format("{},1,{},0.1,2\n", t, t + 1);
  }
  put_file(place_of({0, 0}) / "nll/curve.csv", text);
  figures = training_figures(*folder_);
  EXPECT_EQ(figures[1].caption,
            "One seed; long curves as means of parts, with the least and the greatest in each");
  const auto& first = std::get<CurvePlot>(figures[1].plot).series.at(0).points.at(0);
  EXPECT_EQ(first.y, 1.5);
  EXPECT_EQ(first.low, 1);
  EXPECT_EQ(first.high, 2);
}

}  // namespace
}  // namespace ddpm_eval::eval
