#include "base/core/file_io.h"
#include "tests/support/run_fixture.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

// Training and sampling through the program, on networks small enough for a test.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::error_line;
using ::testing::HasSubstr;
using testing::run_program;

/// A U-Net with every kind of layer, dropout and attention among them.
const std::string kConfig =
    "[data]\nsource = 'gaussian-noise:8x8x3?num=32'\n"
    "[model.unet]\nbase_channels = 8\nmultipliers = [1, 2]\nres_blocks = 1\nattention_resolutions = [4]\n"
    "dropout = 0.1\ngroups = 4\n"
    "[process]\nsteps = 10\n"
    "[train]\nsteps = 8\nbatch_size = 4\nwarmup_steps = 2\nlog_every = 2\ncheckpoint_every = 3\n"
    "grid_every = 4\ngrid_samples = 4\n"
    "[sample]\nsampler = 'ddim'\nsteps = 3\nmicro_batch = 4\n";

/// 28 x 28, for the built-in features.
const std::vector<std::string> kBuiltInSize = {"--set", "data.source='gaussian-noise:28x28x1?num=16'",
                                               "--set", "model.unet.attention_resolutions=[14]"};

class RunTest : public testing::RunFixture {
 protected:
  RunTest() { std::ofstream(dir_ / "c.toml") << kConfig; }

  void train(const std::string& run, std::vector<std::string> extra = {}) const {
    std::vector<std::string> arguments = {"train", "--config", path("c.toml"), "--out", path(run)};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    const auto result = run_program(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }

  void sample(const std::string& run, const std::string& out, std::vector<std::string> extra = {}) const {
    std::vector<std::string> arguments = {"sample", "--run", path(run), "--out", path(out)};
    if (std::find(extra.begin(), extra.end(), "--num") == extra.end()) {
      extra.insert(extra.end(), {"--num", "6"});
    }
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    const auto result = run_program(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
};

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

TEST_F(RunTest, SamplesDependOnSeedAndIndexAlone) {
  train("run");
  sample("run", "a.npz");
  sample("run", "b.npz", {"--seed", "0"});
  sample("run", "c.npz", {"--seed", "1"});
  EXPECT_EQ(bytes_of(dir_ / "a.npz"), bytes_of(dir_ / "b.npz"));
  EXPECT_NE(bytes_of(dir_ / "a.npz"), bytes_of(dir_ / "c.npz"));
  sample("run", "folder");
  EXPECT_TRUE(fs::exists(dir_ / "folder/000005.png"));
  EXPECT_FALSE(fs::exists(dir_ / "folder/000006.png"));
}

TEST_F(RunTest, RoundingIsChosenAndToldInSamplesAndScores) {
  train("run", kBuiltInSize);
  sample("run", "near");
  sample("run", "below", {"--rounding", "truncate"});
  EXPECT_NE(bytes_of(dir_ / "near/000000.png"), bytes_of(dir_ / "below/000000.png"));
  const auto told = [&](const std::string& folder) {
    return nlohmann::json::parse(bytes_of(dir_ / folder / "samples.json"))["sampler"]["rounding"];
  };
  EXPECT_EQ(told("near"), "round");
  EXPECT_EQ(told("below"), "truncate");
  const auto scored = run_program({"fid", "--real", path("below"), "--fake",
                                   "run:" + path("run") + "?num=6&rounding=truncate", "--features",
                                   "fashion-mnist-small", "--json", "-"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  const auto record = nlohmann::json::parse(scored.out);
  EXPECT_EQ(record["fake"]["context"]["sampler"]["rounding"], "truncate");
  EXPECT_LT(record["metrics"]["frechet_distance"].get<double>(), 1e-6) << "the very same images";
  const auto refused =
      run_program({"sample", "--run", path("run"), "--num", "2", "--out", path("o"), "--rounding", "up"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(error_line(refused), HasSubstr("--rounding up: 'up' is not one of"));
}

TEST_F(RunTest, ScoringARunEqualsScoringItsSamples) {
  train("run", kBuiltInSize);
  sample("run", "folder");
  const auto score = [&](const std::string& fake) {
    const auto result = run_program({"fid", "--real", "gaussian-noise:28x28x1?num=20", "--fake", fake,
                                     "--features", "fashion-mnist-small", "--json", "-"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out)["metrics"]["frechet_distance"].get<double>();
  };
  EXPECT_EQ(score("run:" + path("run") + "?num=6"), score(path("folder")));
  // From the middle of a micro-batch on.
  EXPECT_EQ(score("run:" + path("run") + "?first=3&num=3"), score(path("folder") + "?first=3&num=3"));
}

TEST_F(RunTest, AFolderOfSamplesIsGoneOnWith) {
  train("run");
  sample("run", "whole", {"--grid", path("whole.png")});
  sample("run", "parts");
  for (const char* lost : {"000003.png", "000005.png"}) {  // as after a kill: files are written side by side
    fs::remove(dir_ / "parts" / lost);
  }
  std::ofstream(dir_ / "parts/000003.png.tmp-1-1") << "half";
  sample("run", "parts", {"--grid", path("parts.png")});
  for (int i = 0; i < 6; ++i) {
    const auto name = "00000" + std::to_string(i) + ".png";
    EXPECT_EQ(bytes_of(dir_ / "parts" / name), bytes_of(dir_ / "whole" / name)) << name;
  }
  EXPECT_FALSE(fs::exists(dir_ / "parts/000003.png.tmp-1-1"));
  EXPECT_EQ(bytes_of(dir_ / "parts/samples.json"), bytes_of(dir_ / "whole/samples.json"));
  EXPECT_EQ(bytes_of(dir_ / "parts.png"), bytes_of(dir_ / "whole.png"));

  const auto call = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"sample", "--run", path("run"), "--out", path("parts")});
    return run_program(arguments);
  };
  EXPECT_EQ(call({"--num", "9"}).exit_code, 0) << "more of the same samples";
  sample("run", "nine.npz", {"--num", "9"});
  auto result = call({"--num", "8"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("holds 9 samples already, more than --num 8"));
  result = call({"--num", "10", "--seed", "1"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("holds samples with another seed: 0 there, 1 here"));
  result = call({"--num", "10", "--steps", "2"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("another sampler"));
  fs::remove(dir_ / "parts/samples.json");
  result = call({"--num", "10"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("PNG files of unknown making"));
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

TEST_F(RunTest, ScoresOfSamplesSayHowTheyWereMade) {
  train("run", kBuiltInSize);
  sample("run", "samples");
  sample("run", "samples.npz");
  fs::remove(dir_ / "samples/000005.png");
  const auto fake = [&](const std::string& source) {
    const auto result = run_program({"fid", "--real", "gaussian-noise:28x28x1?num=20", "--fake", path(source),
                                     "--features", "fashion-mnist-small", "--json", "-"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out)["fake"];
  };
  const auto of_folder = fake("samples");
  EXPECT_EQ(of_folder["context"]["sampler"]["steps"], 3);
  EXPECT_EQ(of_folder["context"]["seed"], 0);
  EXPECT_EQ(of_folder["context"]["checkpoint_sha256"].get<std::string>().size(), 64U);
  EXPECT_THAT(of_folder["notes"].dump(), HasSubstr("5 of the 6 samples"));
  EXPECT_EQ(fake("samples.npz")["context"], of_folder["context"]);
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
  EXPECT_THAT(bytes_of(dir_ / "run/index.html"), HasSubstr("<td>8</td>"));
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

TEST_F(RunTest, TargetsThatCannotBeMeantAreRefusedBeforeAnyWork) {
  train("run");
  const auto expect_refusal = [&](int exit_code, const std::vector<std::string>& options,
                                  const std::string& substance) {
    std::vector<std::string> arguments = {"sample", "--run", path("run")};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_THAT(error_line(result), HasSubstr(substance));
  };
  for (const char* name : {"s.npy", "s.png", "s.jpg", "s.zip"}) {
    expect_refusal(2, {"--num", "2", "--out", path(name)},
                   std::string(name) + ": images are written to a folder or an .npz file");
  }
  expect_refusal(2, {"--num", "2", "--out", path("o"), "--grid", path("g.jpg")},
                 "g.jpg: the name must end in .png");
  expect_refusal(2, {"--num", "1000001", "--out", path("o")},
                 "--num 1000001: a folder holds at most 1000000 PNGs; write an .npz");
  expect_refusal(7, {"--num", "99999999999999999", "--out", path("o.npz")},
                 "o.npz: 99999999999999999 samples take 1.92e+10 GB, and ");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path()), {}), 2) << "the run and its configuration";
}

TEST_F(RunTest, BadSamplingOptionsAreRefused) {
  train("run");
  auto result =
      run_program({"sample", "--run", path("run"), "--num", "2", "--out", path("o"), "--steps", "11"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_EQ(error_line(result),
            "--steps 11: 11 is not within 1..10, the steps of the trained chain (0 means all of them)");
  result =
      run_program({"sample", "--run", path("run"), "--num", "2", "--out", path("o"), "--sampler", "dim"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("--sampler dim: 'dim' is not one of"));
  EXPECT_THAT(error_line(result), HasSubstr("ddim"));
  result = run_program({"sample", "--run", path("run"), "--num", "2", "--out", path("o"), "--steps", "x"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_EQ(error_line(result), "--steps x: expected an integer, found a string");
  const auto source = "run:" + path("run") + "?num=2&foo=1";
  result = run_program({"is", "--fake", source, "--features", "fashion-mnist-small"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_EQ(error_line(result), "source '" + source + "': foo: unknown key 'sample.foo'");
  result = run_program({"sample", "--run", path("none"), "--num", "2", "--out", path("o")});
  EXPECT_EQ(result.exit_code, 3) << result.err;
  result = run_program({"sample", "--run", path("run"), "--num", "0", "--out", path("o")});
  EXPECT_EQ(result.exit_code, 2) << result.err;
}

}  // namespace
}  // namespace ddpm_eval
