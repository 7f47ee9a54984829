#include "eval/ablation/grid_folder.h"

#include "base/core/error.h"
#include "base/core/record.h"
#include "eval/ablation/grid_definition.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

using core::Json;
using ::testing::HasSubstr;
using testing::message_of;
using testing::put_file;
using testing::TempDir;

class GridFolderTest : public ::testing::Test {
 protected:
  GridFolderTest() {
    put_file(dir_ / "base.toml",
             "[data]\nsource = 'swiss-roll'\n[model]\nkind = 'mlp'\n[process]\nsteps = 10\n[train]\nflip = "
             "false\n[sample]\nclip = false\n");
    put_grid("[[cells]]\nname = 'a'\n[[cells]]\nname = 'b'\nset = { sample.steps = 5 }\n");
  }

  void put_grid(const std::string& cells) const {
    put_file(
        dir_ / "grid.toml",
        "config = 'base.toml'\nseeds = 2\nbaseline = 'a'\n[budget]\nsteps = 20\n[score]\nnum = 30\nreal = "
        "'swiss-roll'\n" +
            cells);
  }

  GridFolder create() const { return GridFolder::create(dir_ / "out", dir_ / "grid.toml"); }

  /// A job that is done, as its folder has it.
  static fs::path do_job(const GridFolder& folder, const GridJob& job) {
    const auto place = folder.job_folder(job);
    fs::create_directories(place);
    const auto definition = job_definition(folder.grid(), job);
    put_file(place / kDefinitionFile, core::record_text(definition));
    auto record = core::new_record(kJobKind);
    record["cell"] = definition["cell"];
    record["seed"] = job.seed;
    record[kDefinitionDigest] = definition_digest(definition);
    record["outcome"] = "trained";
    record["metrics"] = Json::object();
    record["problems"] = Json::object();
    put_file(place / kJobRecordFile, core::record_text(record));
    return place / kJobRecordFile;
  }

  TempDir dir_;
};

TEST_F(GridFolderTest, ARecordIsReadOnce) {
  const auto folder = create();
  const GridJob job{0, 1};
  EXPECT_EQ(folder.record(job), nullptr);
  EXPECT_EQ(folder.state(job), JobState::kWaiting);
  const auto file = do_job(folder, job);
  const auto* record = folder.record(job);
  ASSERT_NE(record, nullptr);
  fs::remove(file);
  EXPECT_EQ(folder.record(job), record);
  EXPECT_EQ(folder.state(job), JobState::kDone);
}

TEST_F(GridFolderTest, ARecordIsOfTheJobWhoseFolderHoldsIt) {
  const auto folder = create();
  const auto file = do_job(folder, {0, 1});
  const auto other = do_job(folder, {1, 0});
  fs::copy_file(file, other, fs::copy_options::overwrite_existing);
  EXPECT_THAT(message_of<core::DataError>([&] {
                folder.record({1, 0});
              }),
              HasSubstr("b/seed-0/record.json: is of cell \"a\", seed 1"));
  EXPECT_THAT(message_of<core::DataError>([&] { folder.state({1, 0}); }), HasSubstr("is of cell"));
  EXPECT_THAT(message_of<core::DataError>([&] { folder.check(); }), HasSubstr("is of cell"));
}

TEST_F(GridFolderTest, ARecordWithoutWhatIsReadOfItIsDamaged) {
  const auto folder = create();
  const auto file = do_job(folder, {0, 0});
  auto record = core::read_record(file);
  record["outcome"] = "diverged";
  put_file(file, core::record_text(record));
  EXPECT_THAT(message_of<core::DataError>([&] {
                folder.record({0, 0});
              }),
              HasSubstr("is not the record of an ablation job; remove it to do the job again"));
}

TEST_F(GridFolderTest, WhatWaitsForAFailedTrainingHasFailed) {
  const auto folder = create();
  EXPECT_EQ(folder.state({1, 0}), JobState::kWaiting);
  fs::create_directories(folder.job_folder({0, 0}));
  put_file(folder.job_folder({0, 0}) / kFailureFile,
           R"({"schema": 1, "kind": "ablation failure", "code": 1, "message": "m", "attempts": 1})");
  EXPECT_EQ(folder.state({0, 0}), JobState::kFailed);
  EXPECT_EQ(folder.state({1, 0}), JobState::kFailed);
  EXPECT_EQ(folder.state({1, 1}), JobState::kWaiting) << "of another seed";
}

TEST_F(GridFolderTest, ATrainingThatDoesNotSayWhoseItIsDoesNotCount) {
  const auto folder = create();
  do_job(folder, {0, 0});
  auto training = core::new_record(kTrainingKind);
  training["outcome"] = "trained";
  training["step"] = 20;
  training["parameters"] = 1;
  training["seconds"] = 1.0;
  training["seconds_here"] = 1.0;
  training["metrics"] = Json::object();
  training["problems"] = Json::object();
  const auto file = folder.job_folder({0, 0}) / kTrainingFile;
  put_file(file, core::record_text(training));
  EXPECT_EQ(folder.training({1, 0}), nullptr);
  training["cell"] = "a";
  training["seed"] = 0;
  training[kDefinitionDigest] = definition_digest(job_definition(folder.grid(), {0, 0}));
  put_file(file, core::record_text(training));
  EXPECT_NE(folder.training({1, 0}), nullptr);
}

TEST_F(GridFolderTest, TheCellThatHasTrainedOwnsTheTraining) {
  EXPECT_EQ(create().owner_folder({1, 0}), dir_ / "out" / "a" / "seed-0");
  fs::create_directories(dir_ / "out" / "b" / "seed-1" / "run");
  EXPECT_EQ(create().owner_folder({0, 0}), dir_ / "out" / "b" / "seed-0");
  EXPECT_EQ(GridFolder::open(dir_ / "out").owner_folder({0, 1}), dir_ / "out" / "b" / "seed-1");
  fs::create_directories(dir_ / "out" / "a" / "seed-0" / "run");  // both have: the first of them
  EXPECT_EQ(create().owner_folder({1, 0}), dir_ / "out" / "a" / "seed-0");
}

TEST(DefinitionDifference, IsOfKeysThatNumbersDependOn) {
  const Json now = Json::parse(R"({"config": {"train": {"batch_size": 8, "log_every": 1, "steps": 20},
                                              "sample": {"eta": 0.5}}, "score": {"num": 5}})");
  auto then = now;
  then["config"]["train"]["log_every"] = 100;
  EXPECT_EQ(definition_difference(now, then), "");
  then["config"]["sample"].erase("eta");
  EXPECT_EQ(definition_difference(now, then), "config.sample.eta is 0.5 and was not set");
  then = now;
  then["config"]["train"]["steps"] = 10;
  EXPECT_EQ(definition_difference(now, then), "config.train.steps is 20 and was 10");
  then = now;
  then["score"]["inception_score"] = true;
  EXPECT_EQ(definition_difference(now, then), "score.inception_score is not set and was true");
}

}  // namespace
}  // namespace ddpm_eval::eval
