#include "base/core/file_io.h"
#include "base/core/file_lock.h"
#include "tests/support/ablate_fixture.h"

#include <filesystem>

// What lies in a grid's folder: whose it is, what it still stands for, and who works on it.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::error_line;
using testing::grid_head;
using testing::grid_text;
using ::testing::HasSubstr;
using testing::json_of;
using testing::kEpsCell;
using testing::kGridBase;
using testing::kMuCell;
using testing::kShortCell;
using testing::put_file;
using testing::run_program;
using testing::with;

class AblateFolderTest : public testing::AblateFixture {
 protected:
  void put_json(const std::string& file, const nlohmann::ordered_json& value) const {
    put_file(dir_ / file, value.dump());
  }

  /// With its keys in the file's order, which a table takes over.
  static nlohmann::ordered_json ordered_of(const fs::path& path) {
    return nlohmann::ordered_json::parse(bytes_of(path));
  }

  /// `from` takes the place of `to`: every command refuses it by name; then `to` is put back.
  void expect_foreign(const std::string& from, const std::string& to, const std::string& why) const {
    const auto own = bytes_of(dir_ / to);
    put_file(dir_ / to, bytes_of(dir_ / from));
    for (const auto& result : {ablate("out"), run_program({"ablate", "status", path("out")})}) {
      EXPECT_EQ(result.exit_code, 3) << to;
      EXPECT_THAT(error_line(result), HasSubstr(to + ": " + why));
    }
    put_file(dir_ / to, own);
  }
};

TEST_F(AblateFolderTest, FilesOfAnotherCellOrSeedAreRefused) {
  ASSERT_EQ(ablate("out").exit_code, 0);
  const auto before = tables("out");
  const std::string advice = "; put the job's own back, or remove its folder to do the job again";
  expect_foreign("out/mu/seed-0/record.json", "out/mu/seed-1/record.json",
                 "is of cell \"mu\", seed 0" + advice);
  expect_foreign("out/eps/seed-1/record.json", "out/short/seed-1/record.json",
                 "is of cell \"eps\", seed 1" + advice);
  expect_foreign("out/eps/seed-0/training.json", "out/mu/seed-0/training.json",
                 "is of cell \"eps\", seed 0" + advice);
  expect_foreign("out/eps/seed-0/definition.json", "out/mu/seed-0/definition.json",
                 "is of cell \"eps\", seed 0" + advice);

  // The same cell and seed of another grid.
  put_file(dir_ / "longer.toml", grid_text(21));
  ASSERT_EQ(ablate("longer", {}, {}, "longer.toml").exit_code, 0);
  const std::string another =
      "was made from another definition than that of definition.json beside it" + advice;
  expect_foreign("longer/mu/seed-0/record.json", "out/mu/seed-0/record.json", another);
  expect_foreign("longer/eps/seed-0/training.json", "out/eps/seed-0/training.json", another);

  fs::rename(dir_ / "out/mu/seed-0/definition.json", dir_ / "definition.json");
  EXPECT_THAT(refusal("out", "grid.toml", 3),
              HasSubstr("mu/seed-0/record.json: has no definition.json beside it"));
  fs::rename(dir_ / "definition.json", dir_ / "out/mu/seed-0/definition.json");
  ASSERT_EQ(ablate("out").exit_code, 0);
  EXPECT_EQ(tables("out"), before);
}

TEST_F(AblateFolderTest, RecordsOfEarlierVersionsAreReadAndHeldToWhatTheyTell) {
  ASSERT_EQ(ablate("out").exit_code, 0);
  const auto before = tables("out");
  for (const char* cell : {"eps", "short", "mu"}) {
    for (const char* seed : {"seed-0", "seed-1"}) {
      const auto folder = std::string("out/") + cell + "/" + seed;
      auto record = ordered_of(dir_ / folder / "record.json");
      record.erase("definition_sha256");
      put_json(folder + "/record.json", record);
      if (fs::exists(dir_ / folder / "training.json")) {
        auto training = ordered_of(dir_ / folder / "training.json");
        for (const char* key : {"cell", "seed", "definition_sha256"}) {
          training.erase(key);
        }
        put_json(folder + "/training.json", training);
      }
      auto definition = ordered_of(dir_ / folder / "definition.json");
      definition["config"]["sample"].erase("rounding");  // as before there was such a key
      definition["config"]["train"].erase("accumulate");
      put_json(folder + "/definition.json", definition);
    }
  }
  const auto again = ablate("out");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(tables("out"), before);

  for (const auto& [key, value, told] :
       {std::tuple{"/training/step", nlohmann::ordered_json(21), "config.train.steps is 20 and was 21"},
        std::tuple{"/run/objective/loss", nlohmann::ordered_json("simple"),
                   "config.objective.loss is \"bound\" and was \"simple\""},
        std::tuple{"/score/count", nlohmann::ordered_json(61), "score.num is 60 and was 61"}}) {
    const auto file = dir_ / "out/mu/seed-0/record.json";
    const auto own = bytes_of(file);
    auto record = nlohmann::ordered_json::parse(own);
    record[nlohmann::ordered_json::json_pointer(key)] = value;
    put_json("out/mu/seed-0/record.json", record);
    EXPECT_THAT(refusal("out", "grid.toml", 3),
                HasSubstr(std::string("record.json: was made from another definition: ") + told + " there;"));
    put_file(file, own);
  }
}

TEST_F(AblateFolderTest, ACheckpointOfAnotherSeedIsNotSampled) {
  ASSERT_EQ(ablate("out").exit_code, 0);
  fs::remove(dir_ / "out/mu/seed-1/record.json");
  put_file(dir_ / "out/mu/seed-1/run/checkpoint.safetensors",
           bytes_of(dir_ / "out/mu/seed-0/run/checkpoint.safetensors"));
  EXPECT_THAT(
      refusal("out", "grid.toml", 3),
      HasSubstr("mu/seed-1/run/checkpoint.safetensors: is of another run: train.seed is 0 there, 1 here"));
}

TEST_F(AblateFolderTest, AnEvaluationOfAnotherRunIsNotTaken) {
  ASSERT_EQ(ablate("out").exit_code, 0);
  for (const char* file : {"record.json", "training.json"}) {
    fs::remove(dir_ / "out/mu/seed-1" / file);
  }
  put_file(dir_ / "out/mu/seed-1/nll/nll.json", bytes_of(dir_ / "out/mu/seed-0/nll/nll.json"));
  EXPECT_THAT(refusal("out", "grid.toml", 3),
              HasSubstr("mu/seed-1/nll/nll.json: is of an evaluation with another "
                        "checkpoint_sha256; choose another --out, or remove it"));
}

TEST_F(AblateFolderTest, ADamagedStateOfAnEvaluationIsPutAside) {
  ASSERT_EQ(ablate("out").exit_code, 0);
  const auto before = tables("out");
  for (const char* file : {"record.json", "training.json", "nll/nll.json"}) {
    fs::remove(dir_ / "out/mu/seed-1" / file);
  }
  put_file(dir_ / "out/mu/seed-1/nll/state.safetensors", "damaged");
  ASSERT_EQ(ablate("out").exit_code, 0);
  EXPECT_EQ(tables("out"), before);
}

TEST_F(AblateFolderTest, NumbersThatAreNotFiniteAreFindings) {
  put_file(dir_ / "base.toml", with(kGridBase, "warmup_steps", "learning_rate = 1e30\nwarmup_steps"));
  put_file(dir_ / "grid.toml", with(grid_text(1), "seeds = 2", "seeds = 1"));
  const auto result = ablate("out");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto problems = json_of(dir_ / "out/eps/seed-0/record.json")["problems"];
  EXPECT_THAT(problems["sliced_wasserstein_distance"].dump(), HasSubstr("samples that are not finite"));
  EXPECT_THAT(problems["nats_per_dim"].dump(), HasSubstr("a bound that is not a finite number"));
  EXPECT_THAT(result.out, HasSubstr("No number for seeds 0: the network gives samples that are not finite"));
}

TEST_F(AblateFolderTest, KeysThatNoNumberDependsOnMayChange) {
  ASSERT_EQ(ablate("out").exit_code, 0);
  const auto before = tables("out");
  const auto record = bytes_of(dir_ / "out/mu/seed-0/record.json");
  put_file(dir_ / "base.toml", with(with(kGridBase, "log_every = 5", "log_every = 7"), "checkpoint_every = 5",
                                    "tensorboard = true"));
  fs::remove(dir_ / "out/mu/seed-1/record.json");
  const auto again = ablate("out");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(bytes_of(dir_ / "out/mu/seed-0/record.json"), record);
  EXPECT_EQ(tables("out").at("table.csv"), before.at("table.csv"));

  put_file(dir_ / "base.toml", with(kGridBase, "batch_size = 8", "batch_size = 8\naccumulate = 2"));
  EXPECT_THAT(refusal("out"), HasSubstr("config.train.accumulate is 2 and was 1"));
}

TEST_F(AblateFolderTest, ADefinitionThatNothingWasMadeFromMayChange) {
  put_file(dir_ / "longer.toml", grid_text(21));
  ASSERT_EQ(ablate("longer", {}, {}, "longer.toml").exit_code, 0);
  ASSERT_EQ(ablate("out").exit_code, 0);
  const auto before = tables("out");
  fs::remove_all(dir_ / "out/mu/seed-0");
  fs::create_directory(dir_ / "out/mu/seed-0");  // as after a job that failed at once
  put_file(dir_ / "out/mu/seed-0/definition.json", bytes_of(dir_ / "longer/mu/seed-0/definition.json"));
  const auto again = ablate("out");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(tables("out"), before);
  EXPECT_EQ(json_of(dir_ / "out/mu/seed-0/definition.json")["config"]["train"]["steps"], 20);
}

TEST_F(AblateFolderTest, ACellThatIsAddedBeforeItsTwinUsesTheTwinsTraining) {
  put_file(dir_ / "few.toml", grid_head(20) + kEpsCell + kMuCell);
  ASSERT_EQ(ablate("out", {}, {}, "few.toml").exit_code, 0);
  const auto training = bytes_of(dir_ / "out/eps/seed-0/training.json");
  put_file(dir_ / "more.toml",
           with(grid_head(20), "seeds = 2", "seeds = 3") + kShortCell + kEpsCell + kMuCell);
  const auto result = ablate("out", {"--jobs", "2"}, {}, "more.toml");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* seed : {"seed-0", "seed-1", "seed-2"}) {
    EXPECT_FALSE(fs::exists(dir_ / "out/short" / seed / "run")) << seed;
    EXPECT_EQ(json_of(dir_ / "out/short" / seed / "record.json")["training"]["cell"], "eps") << seed;
  }
  EXPECT_EQ(bytes_of(dir_ / "out/eps/seed-0/training.json"), training);
  EXPECT_EQ(json_of(dir_ / "out/table.json")["cells"][0]["training"], "eps");
}

TEST_F(AblateFolderTest, StatusIsARecordToo) {
  ASSERT_EQ(ablate("out").exit_code, 0);
  fs::remove_all(dir_ / "out/eps/seed-1");
  fs::remove(dir_ / "out/short/seed-1/record.json");
  fs::remove(dir_ / "out/mu/seed-1/record.json");
  put_file(dir_ / "out/mu/seed-0/failed.json", "{}");
  const auto status = record_of({"ablate", "status", path("out")});
  EXPECT_EQ(status["kind"], "ablation status");
  ASSERT_EQ(status["jobs"].size(), 6U);
  EXPECT_EQ(status["jobs"][0]["cell"], "eps");
  EXPECT_EQ(status["jobs"][0]["state"], "done");
  EXPECT_GT(status["jobs"][0]["seconds"].get<double>(), 0.0);
  EXPECT_EQ(status["jobs"][3]["state"], "waiting");
  EXPECT_EQ(status["jobs"][4]["needs"], "eps");
  EXPECT_EQ(status["jobs"][5]["trained"], true);
  EXPECT_EQ(status["counts"],
            nlohmann::json::parse(R"({"waiting": 3, "running": 0, "done": 3, "diverged": 0, "failed": 0})"));
  EXPECT_GT(status["seconds_left"].get<double>(), 0.0);
  refused(2, {"ablate", "status"}, "ablate status: names no folder; it is the --out of the grid");
  refused(2, {"ablate", "status", path("out"), "--json", path("out/table.json")}, "--json");
}

TEST_F(AblateFolderTest, AJobIsLockedByAFileOfItsOwn) {
  ASSERT_EQ(ablate("out").exit_code, 0);
  const auto job = dir_ / "out/mu/seed-1";
  EXPECT_TRUE(fs::exists(job / "job.lock")) << "which stays, and means nothing";
  fs::remove(job / "record.json");
  const auto state = [&] { return record_of({"ablate", "status", path("out")})["jobs"][5]["state"]; };
  EXPECT_EQ(state(), "waiting");
  {
    const auto lock = core::FileLock::take(job / "job.lock");
    ASSERT_TRUE(lock);
    EXPECT_EQ(state(), "running");
  }
  {
    const core::FolderLock lock(job);  // as earlier versions do
    EXPECT_EQ(state(), "running");
  }
  ASSERT_EQ(ablate("out").exit_code, 0);
  EXPECT_EQ(state(), "done");
}

TEST_F(AblateFolderTest, AWorkerTellsWhyItEnds) {
  ASSERT_EQ(ablate("out").exit_code, 0);
  fs::remove(dir_ / "out/mu/seed-1/record.json");
  put_file(dir_ / "out/base.toml", with(kGridBase, "'swiss-roll'", "'" + path("gone") + "'"));
  const auto worker = run_program({"ablate", "--worker", "--out", path("out")});
  EXPECT_EQ(worker.exit_code, 2) << worker.err;
  EXPECT_THAT(worker.out, HasSubstr("error 2 "));
  EXPECT_THAT(worker.out, HasSubstr("data.source '" + path("gone")));
}

}  // namespace
}  // namespace ddpm_eval
