#include "base/tensor/runtime.h"
#include "tests/support/ablate_fixture.h"
#include "tests/support/procs_fixture.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include <signal.h>

// The ablation grid through the program, on a network small enough for a test.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::error_line;
using testing::grid_text;
using ::testing::HasSubstr;
using testing::kGridBase;
using testing::ProgramResult;
using testing::put_file;
using testing::run_launched;
using testing::run_program;
using testing::with;

/// A process whose command line has all of `words`, or 0.
pid_t find_process(const std::vector<std::string>& words) {
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const auto line = bytes_of(it->path() / "cmdline");
    const bool all = std::ranges::all_of(
        words, [&](const std::string& word) { return line.find(word) != std::string::npos; });
    if (!line.empty() && all) {
      return std::atoi(it->path().filename().c_str());
    }
  }
  return 0;
}

/// Whether `condition` comes true within a minute.
template <class Condition>
bool eventually(const Condition& condition) {
  const auto start = std::chrono::steady_clock::now();
  while (!condition()) {
    if (std::chrono::steady_clock::now() - start > std::chrono::seconds(60)) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

/// The program beside the test, which knows its process by the words of its command line.
class Background {
 public:
  template <class Call>
  Background(const Call& call, std::vector<std::string> words)
      : words_(std::move(words)), thread_([this, call] {
          result_ = call();
          ended_ = true;
        }) {}
  ~Background() {
    if (thread_.joinable()) {  // the test has failed
      kill_once([] { return true; }, SIGKILL);
      thread_.join();
    }
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// Nothing if the program has ended before.
  template <class Condition>
  void kill_once(const Condition& condition, int signal) {
    pid_t process = 0;
    eventually([&] { return ended_ || (condition() && (process = find_process(words_)) != 0); });
    if (process != 0) {
      ::kill(process, signal);
    }
  }

  const ProgramResult& end() {
    thread_.join();
    return result_;
  }

 private:
  std::vector<std::string> words_;
  ProgramResult result_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

using AblateTest = testing::AblateFixture;

// They never meet: each takes the next job that nobody has.
TEST_F(AblateTest, ProcessesOfALauncherShareTheJobs) {
  ASSERT_EQ(ablate("one").exit_code, 0);
  const auto launched = [&](const std::string& grid, const std::string& out, const std::string& threads) {
    const auto results =
        run_launched(3, {"ablate", "--grid", path(grid), "--out", path(out), "--threads", threads});
    for (const auto& result : results) {
      EXPECT_EQ(result.exit_code, 0) << result.err;
    }
    EXPECT_THAT(results[0].out, HasSubstr("# Tiny"));
    EXPECT_EQ(results[1].out + results[2].out, "");
  };
  launched("grid.toml", "three", "1");
  EXPECT_EQ(tables("one"), tables("three"));

  // Where nothing says how many threads a job has, those of a machine are shared by its two processes.
  put_file(dir_ / "free.toml", with(grid_text(20), "threads = 1\n", ""));
  launched("free.toml", "free", "0");
  EXPECT_EQ(nlohmann::json::parse(bytes_of(dir_ / "free/eps/seed-0/record.json"))["runtime"]["threads"],
            std::max(1, tensor::available_processors() / 2));
}

TEST_F(AblateTest, JobsSideBySideAndAgainGiveTheSameBytes) {
  const auto one = ablate("one", {"--jobs", "1"});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_THAT(one.out, HasSubstr("# Tiny\n\n| cell | sliced Wasserstein ↓ | difference |"));
  const auto two = ablate("two", {"--jobs", "2"});
  ASSERT_EQ(two.exit_code, 0) << two.err;
  EXPECT_EQ(tables("one"), tables("two"));

  // Cells that differ in sampling alone have one training, whose bound they share.
  EXPECT_TRUE(fs::exists(dir_ / "one/eps/seed-1/run/checkpoint.safetensors"));
  EXPECT_FALSE(fs::exists(dir_ / "one/short/seed-1/run"));
  const auto table = nlohmann::json::parse(bytes_of(dir_ / "one/table.json"));
  EXPECT_EQ(table["cells"][1]["results"]["nats_per_dim"]["values"],
            table["cells"][0]["results"]["nats_per_dim"]["values"]);
  EXPECT_NE(table["cells"][1]["results"]["energy_distance"]["values"],
            table["cells"][0]["results"]["energy_distance"]["values"]);
  EXPECT_EQ(table["floor"]["draws"], 5);

  // What is there is not done again, and a dry run tells what that is.
  const auto planned = ablate("one", {"--dry-run"});
  EXPECT_EQ(planned.exit_code, 0) << planned.err;
  EXPECT_THAT(planned.out, HasSubstr("\nIn " + path("one") + ":\ndone      eps, seed 0: "));
  const auto record = bytes_of(dir_ / "one/mu/seed-0/record.json");
  fs::remove(dir_ / "one/table.md");
  const auto again = ablate("one");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(bytes_of(dir_ / "one/mu/seed-0/record.json"), record);
  EXPECT_EQ(tables("one"), tables("two"));

  const auto status = run_program({"ablate", "status", path("one")});
  EXPECT_EQ(status.exit_code, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("done      mu, seed 1: "));
  EXPECT_THAT(status.out, HasSubstr("6 of 6 jobs done, 0 diverged, 0 running, 0 waiting, 0 failed\n"));
}

TEST_F(AblateTest, KilledAtAnyMomentItEndsInTheSameBytes) {
  put_file(dir_ / "grid.toml", grid_text(100));
  ASSERT_EQ(ablate("whole").exit_code, 0);
  int kills = 0;
  for (const char* until :
       {"parts/grid.toml", "parts/eps/seed-0/definition.json", "parts/eps/seed-0/run/checkpoint.safetensors",
        "parts/eps/seed-0/training.json", "parts/mu/seed-0/record.json"}) {
    Background program([&] { return ablate("parts"); }, {path("parts"), "--grid"});
    program.kill_once([&] { return fs::exists(dir_ / until); }, SIGKILL);
    const int code = program.end().exit_code;
    EXPECT_TRUE(code == 128 + SIGKILL || code == 0) << until << ": " << code;
    kills += code == 0 ? 0 : 1;
  }
  EXPECT_GE(kills, 4);
  const auto interrupted =
      ablate("parts", {}, {.interrupt_once_there = dir_ / "parts/mu/seed-1/definition.json"});
  EXPECT_EQ(interrupted.exit_code, 130) << interrupted.err;
  EXPECT_THAT(error_line(interrupted), HasSubstr("of 6 jobs; the same command goes on"));
  EXPECT_FALSE(fs::exists(dir_ / "parts/table.md"));
  const auto end = ablate("parts");
  ASSERT_EQ(end.exit_code, 0) << end.err;
  EXPECT_EQ(tables("parts"), tables("whole"));
}

TEST_F(AblateTest, AJobWhoseWorkerIsKilledIsDoneOnceMore) {
  put_file(dir_ / "long.toml", grid_text(200'000'000));
  Background program(
      [&] {
        return ablate("out", {"--jobs", "1"}, {}, "long.toml");
      },
      {path("out"), "--grid"});
  // The first job cannot end by itself. Its worker is killed twice, and then the job is given up.
  const std::vector<std::string> worker = {path("out"), "--worker"};
  const auto job = dir_ / "out/eps/seed-0";
  ASSERT_TRUE(eventually([&] { return fs::exists(job / "definition.json"); }));
  ::kill(find_process(worker), SIGKILL);
  ASSERT_TRUE(eventually([&] { return fs::exists(job / "failed.json"); }));
  const auto log = bytes_of(job / "log.txt");
  ASSERT_TRUE(eventually([&] { return bytes_of(job / "log.txt") != log && find_process(worker) != 0; }));
  ::kill(find_process(worker), SIGKILL);
  // It goes on with the next job.
  ASSERT_TRUE(eventually([&] { return fs::exists(dir_ / "out/mu/seed-0/definition.json"); }));
  const auto status = run_program({"ablate", "status", path("out")});
  EXPECT_THAT(status.out, HasSubstr("failed    eps, seed 0: the worker was ended by signal 9 (Killed)"));
  EXPECT_THAT(status.out, HasSubstr("needs the training of eps"));
  EXPECT_THAT(status.out, HasSubstr("running   mu, seed 0"));
  program.kill_once([] { return true; }, SIGINT);
  const auto& result = program.end();
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(result.err,
              HasSubstr("eps, seed 0: the worker was ended by signal 9 (Killed); it is done once more"));
}

TEST_F(AblateTest, DivergenceIsAResult) {
  put_file(dir_ / "base.toml", with(kGridBase, "warmup_steps", "learning_rate = 1e30\nwarmup_steps"));
  const auto result = ablate("out");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto record = nlohmann::json::parse(bytes_of(dir_ / "out/short/seed-0/record.json"));
  EXPECT_EQ(record["outcome"], "diverged");
  EXPECT_THAT(result.out, HasSubstr("2 of 2 trainings diverged: seed 0, first bad step "));
  EXPECT_THAT(run_program({"ablate", "status", path("out")}).out, HasSubstr("6 diverged"));
}

TEST_F(AblateTest, ADryRunDoesNothing) {
  const auto result = ablate("out", {"--dry-run"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  // 3 x 20 steps of 8 rows; 60 samples in 10 steps; 20 points over 10 steps.
  EXPECT_THAT(result.out, HasSubstr("eps           480         600         200  \n"));
  EXPECT_THAT(result.out, HasSubstr("short      shared         240           -  sample.steps = 4\n"));
  EXPECT_THAT(result.out, HasSubstr("3 cells, 2 seeds, 20 steps each"));
  EXPECT_FALSE(fs::exists(dir_ / "out"));
}

TEST_F(AblateTest, AnotherGridsResultsAreLeftAlone) {
  ASSERT_EQ(ablate("out").exit_code, 0);
  const auto before = tables("out");
  put_file(dir_ / "edited.toml", grid_text(21));
  EXPECT_THAT(
      refusal("out", "edited.toml"),
      HasSubstr("definition.json: cell 'eps' has run with another definition: config.train.steps is 21 and "
                "was 20; choose another --out"));
  put_file(dir_ / "other.toml", with(grid_text(20), "'short'", "'brief'"));
  EXPECT_THAT(refusal("out", "other.toml"), HasSubstr("holds 'short', which is no cell of this grid"));
  put_file(dir_ / "seeds.toml", with(grid_text(20), "seeds = 2", "seeds = 1"));
  EXPECT_THAT(refusal("out", "seeds.toml"), HasSubstr("seed-1: is of a seed that the grid does not have"));
  fs::create_directory(dir_ / "photographs");
  put_file(dir_ / "photographs/a.txt", "mine");
  EXPECT_THAT(refusal("photographs"), HasSubstr("is not empty and holds no grid"));
  EXPECT_THAT(fs::exists(dir_ / "photographs/grid.toml"), false);
  EXPECT_EQ(tables("out"), before);
  EXPECT_EQ(bytes_of(dir_ / "out/grid.toml"), grid_text(20));

  // Words that no number depends on may change, and seeds may be added.
  put_file(dir_ / "more.toml", with(with(grid_text(20), "'Tiny'", "'Less tiny'"), "seeds = 2", "seeds = 3"));
  const auto grown = ablate("out", {}, {}, "more.toml");
  EXPECT_EQ(grown.exit_code, 0) << grown.err;
  EXPECT_THAT(grown.out, HasSubstr("# Less tiny\n"));
  EXPECT_TRUE(fs::exists(dir_ / "out/mu/seed-2/record.json"));
}

TEST_F(AblateTest, RecordsOfAnotherSchemaOrKindAreTold) {
  ASSERT_EQ(ablate("out").exit_code, 0);
  const auto file = dir_ / "out/mu/seed-1/record.json";
  auto record = nlohmann::json::parse(bytes_of(file));
  record["schema"] = 99;
  put_file(file, record.dump());
  auto result = ablate("out");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(error_line(result),
              HasSubstr("mu/seed-1/record.json: written by a newer ddpm-eval (schema 99"));
  put_file(file, "{\"schema\": 1, \"kind\": \"score\"}");
  result = ablate("out");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(error_line(result), HasSubstr("mu/seed-1/record.json: is not the record of an ablation job"));
}

TEST_F(AblateTest, BadRequestsAreRefusedBeforeAnyWork) {
  EXPECT_THAT(testing::refusal({"ablate", "--out", path("out")}, 2), HasSubstr("--grid is needed"));
  EXPECT_THAT(testing::refusal({"ablate", "--grid", path("grid.toml")}, 2), HasSubstr("--out is needed"));
  EXPECT_THAT(
      testing::refusal({"ablate", "--grid", path("grid.toml"), "--out", path("out"), "--jobs", "-1"}, 2),
      HasSubstr("--jobs -1"));
  EXPECT_THAT(testing::refusal({"ablate", "status", path("nothing")}, 3), HasSubstr("holds no grid"));
  put_file(dir_ / "axes.toml", grid_text(20, "[axes]\nsampel.steps = [4]\n"));
  EXPECT_THAT(refusal("out", "axes.toml"), HasSubstr("unknown key 'sampel'; did you mean 'sample'?"));
  put_file(dir_ / "images.toml", with(grid_text(20), "'swiss-roll?num=60&seed=1'", "'fashion-mnist:test'"));
  EXPECT_THAT(refusal("refused", "images.toml"), HasSubstr("score.real: fashion-mnist:test holds no points"));
  EXPECT_FALSE(fs::exists(dir_ / "refused/eps"));
  EXPECT_FALSE(fs::exists(dir_ / "out"));
}

}  // namespace
}  // namespace ddpm_eval
