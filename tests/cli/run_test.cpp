#include "base/core/file_io.h"
#include "tests/support/small_unet_fixture.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

// Training through the program, on networks small enough for a test.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::error_line;
using ::testing::HasSubstr;
using testing::run_program;

using RunTest = testing::SmallUNetFixture;

TEST_F(RunTest, AResumedRunEndsInTheBytesOfAnUnbrokenOne) {
  train("whole");
  train("parts", {"--set", "train.steps=4"});
  EXPECT_NE(bytes_of(dir_ / "parts/checkpoint.safetensors"), bytes_of(dir_ / "whole/checkpoint.safetensors"));
  train("parts", {"--resume"});
  EXPECT_EQ(bytes_of(dir_ / "parts/grids/step-0000008.png"), bytes_of(dir_ / "whole/grids/step-0000008.png"));
  sample("whole", "whole.npz");
  sample("parts", "parts.npz");
  EXPECT_EQ(bytes_of(dir_ / "parts.npz"), bytes_of(dir_ / "whole.npz"));
  EXPECT_EQ(bytes_of(dir_ / "parts/checkpoint.safetensors"), bytes_of(dir_ / "whole/checkpoint.safetensors"));
}

TEST_F(RunTest, AFolderOfPhotographsTrains) {
  const auto photographs = dir_ / "photographs";
  fs::create_directory(photographs);
  for (int i = 0; i < 6; ++i) {  // wide, tall and square ones
    const int width = 16 + 5 * (i % 3), height = 20;
    std::ofstream file(photographs / ("p" + std::to_string(i) + ".ppm"), std::ios::binary);
    file << "P6 " << width << " " << height << " 255\n";
    for (int byte = 0; byte < 3 * width * height; ++byte) {
      file.put(static_cast<char>(37 * i + byte % 101));
    }
  }
  train("run", {"--set", "data.source='" + photographs.string() + "?crop=center&side=8'"});
  const auto record = nlohmann::json::parse(bytes_of(dir_ / "run/run.json"));
  EXPECT_EQ(record["data"]["count"], 6);
  EXPECT_EQ(record["data"]["source"], photographs.string() + "?crop=center&side=8");
  sample("run", "samples");
  EXPECT_TRUE(fs::exists(dir_ / "samples/000005.png"));
  const auto uncropped = run_program({"train", "--config", path("c.toml"), "--out", path("other"), "--set",
                                      "data.source='" + photographs.string() + "'"});
  EXPECT_EQ(uncropped.exit_code, 3);
  EXPECT_THAT(error_line(uncropped), HasSubstr("training needs one size, as ?crop=center&side=64 makes it"));
}

TEST_F(RunTest, InBfloat16AResumedRunEndsInTheSameBytesToo) {
  train("float32");
  train("whole", {"--set", "train.precision=bf16"});
  train("parts", {"--set", "train.precision=bf16", "--set", "train.steps=4"});
  train("parts", {"--resume", "--set", "train.precision=bf16"});
  EXPECT_EQ(bytes_of(dir_ / "parts/checkpoint.safetensors"), bytes_of(dir_ / "whole/checkpoint.safetensors"));
  EXPECT_NE(bytes_of(dir_ / "float32/checkpoint.safetensors"),
            bytes_of(dir_ / "whole/checkpoint.safetensors"));
  sample("whole", "float32.npz");
  sample("whole", "a.npz", {"--precision", "bf16"});
  sample("parts", "b.npz", {"--precision", "bf16"});
  EXPECT_EQ(bytes_of(dir_ / "a.npz"), bytes_of(dir_ / "b.npz"));
  EXPECT_NE(bytes_of(dir_ / "a.npz"), bytes_of(dir_ / "float32.npz"));
}

TEST_F(RunTest, ARunIsNeverOverwrittenByAFreshOne) {
  train("run");
  const auto again = run_program({"train", "--config", path("c.toml"), "--out", path("run")});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(error_line(again), HasSubstr("--resume goes on with it"));
}

TEST_F(RunTest, ADamagedRecordOfACompleteRunIsMadeAnew) {
  train("run");
  const auto whole = nlohmann::json::parse(bytes_of(dir_ / "run/run.json"));
  const std::vector<std::string> resume = {"train", "--out", path("run"), "--resume"};
  for (const char* damaged :
       {R"({"schema": 1, "step": 8})", R"({"schema": 1, "step": 8, "parameters": "many"})",
        R"({"schema": 1, "step": 8, "parameters": 5, "loss": null})"}) {
    core::write_file(dir_ / "run/run.json", damaged);
    const auto result = run_program(resume);
    EXPECT_EQ(result.exit_code, 0) << damaged << "\n" << result.err;
    const auto record = nlohmann::json::parse(bytes_of(dir_ / "run/run.json"));
    EXPECT_EQ(record["parameters"], whole["parameters"]);
    EXPECT_EQ(record["step"], 8);
  }
  core::write_file(dir_ / "run/run.json", "{\"schema\"");
  const auto refused = run_program(resume);
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(error_line(refused), HasSubstr("run.json: not a record"));
}

TEST_F(RunTest, ResumingWithAnotherConfigurationNamesTheKey) {
  train("run");
  const auto result = run_program(
      {"train", "--config", path("c.toml"), "--out", path("run"), "--resume", "--set", "train.batch_size=2"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("train.batch_size"));
}

TEST_F(RunTest, AnOwedGridIsDrawnOnResume) {
  train("run");
  const auto grid = bytes_of(dir_ / "run/grids/step-0000008.png");
  fs::remove(dir_ / "run/grids/step-0000008.png");  // as after an interrupt while it was drawn
  train("run", {"--resume"});
  EXPECT_EQ(bytes_of(dir_ / "run/grids/step-0000008.png"), grid);
}

TEST_F(RunTest, AnInterruptWhileTheLastGridIsDrawnLeavesItToTheResumedRun) {
  const auto arguments = [&](const std::string& run, const std::string& sampler_steps) {
    return std::vector<std::string>{"train",
                                    "--config",
                                    path("c.toml"),
                                    "--out",
                                    path(run),
                                    "--set",
                                    "train.steps=1",
                                    "--set",
                                    "train.log_every=1",
                                    "--set",
                                    "train.grid_every=1",
                                    "--set",
                                    "process.steps=1000",
                                    "--set",
                                    "sample.steps=" + sampler_steps};
  };
  fs::create_directory(dir_ / "run");
  std::ofstream(dir_ / "run/run.json") << R"({"schema": 1, "step": 0})";  // of a shorter training
  const auto stopped =
      run_program(arguments("run", "1000"), {.interrupt_once_there = dir_ / "run/log.jsonl"});
  EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
  EXPECT_THAT(error_line(stopped), HasSubstr("interrupted after step 1 of 1; the state is saved in "));
  EXPECT_FALSE(fs::exists(dir_ / "run/grids"));
  auto again = arguments("run", "2");
  again.emplace_back("--resume");
  const auto resumed = run_program(again);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr("run: step 1, "));
  EXPECT_EQ(nlohmann::json::parse(bytes_of(dir_ / "run/run.json"))["step"], 1);
  EXPECT_EQ(run_program(arguments("whole", "2")).exit_code, 0);
  EXPECT_EQ(bytes_of(dir_ / "run/grids/step-0000001.png"), bytes_of(dir_ / "whole/grids/step-0000001.png"));
}

TEST_F(RunTest, OfTwoFreshStartsAtOnceOneTrains) {
  const std::vector<std::string> start = {"train", "--config", path("c.toml"), "--out", path("run")};
  std::array<testing::ProgramResult, 2> results;
  std::thread other([&] { results[0] = run_program(start); });
  results[1] = run_program(start);
  other.join();
  const auto& winner = results[0].exit_code == 0 ? results[0] : results[1];
  const auto& loser = results[0].exit_code == 0 ? results[1] : results[0];
  EXPECT_EQ(winner.exit_code, 0) << winner.err;
  EXPECT_THAT(loser.exit_code, ::testing::AnyOf(2, 7)) << loser.err;
  EXPECT_THAT(error_line(loser), ::testing::AnyOf(HasSubstr("run: another process is writing there"),
                                                  HasSubstr("run: holds a run already")));
  train("alone");
  EXPECT_EQ(bytes_of(dir_ / "run/checkpoint.safetensors"), bytes_of(dir_ / "alone/checkpoint.safetensors"));
  EXPECT_EQ(nlohmann::json::parse(bytes_of(dir_ / "run/run.json"))["step"], 8);
}

TEST_F(RunTest, AFolderHasOneWriterAtATime) {
  fs::create_directory(dir_ / "run");
  const core::FolderLock lock(dir_ / "run");
  const auto result = run_program({"train", "--config", path("c.toml"), "--out", path("run")});
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_THAT(error_line(result), HasSubstr("run: another process is writing there"));
}

TEST_F(RunTest, TheLogAndTheRecordSayWhatHappened) {
  train("run");
  std::istringstream lines(bytes_of(dir_ / "run/log.jsonl"));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto entry = nlohmann::json::parse(line);
    EXPECT_EQ(entry["step"], 2 * (count + 1));
    EXPECT_GT(entry["loss"].get<double>(), 0.0);
    EXPECT_GT(entry["grad_norm"].get<double>(), 0.0);
    EXPECT_TRUE(entry.contains("images_per_second"));
  }
  EXPECT_EQ(count, 4);
  const auto record = nlohmann::json::parse(bytes_of(dir_ / "run/run.json"));
  EXPECT_EQ(record["step"], 8);
  EXPECT_EQ(record["config"]["train"]["batch_size"], 4);
  EXPECT_EQ(record["data"]["count"], 32);
  const auto page = run_program({"report", path("run")});
  EXPECT_EQ(page.exit_code, 0) << page.err;
  EXPECT_THAT(bytes_of(dir_ / "run/index.html"), HasSubstr("<th scope=\"row\">8</th>"));
}

TEST_F(RunTest, CtrlCSavesAndSaysHowToGoOn) {
  const auto result = run_program({"train", "--config", path("c.toml"), "--out", path("run"), "--set",
                                   "train.steps=100000000", "--set", "train.grid_every=0"},
                                  {.interrupt_once_there = dir_ / "run/log.jsonl"});
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("--resume"));
  EXPECT_TRUE(fs::exists(dir_ / "run/checkpoint.safetensors"));
}

TEST_F(RunTest, DivergenceIsExitCode5) {
  const auto result =
      run_program({"train", "--config", path("c.toml"), "--out", path("run"), "--set",
                   "train.learning_rate=1e30", "--set", "train.clip_norm=0", "--set", "train.grid_every=0"});
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("step"));
}

}  // namespace
}  // namespace ddpm_eval
