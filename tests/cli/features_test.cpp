#include "base/core/digest.h"
#include "base/core/file_io.h"
#include "tests/support/idx_files.h"
#include "tests/support/run_fixture.h"

#include <filesystem>

// Small feature networks through the program: trained, interrupted, listed and scored with.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;
using ::testing::AllOf;
using testing::error_line;
using ::testing::HasSubstr;
using testing::run_program;
using ::testing::StartsWith;

class FeaturesTest : public testing::RunFixture {
 protected:
  FeaturesTest() {
    testing::write_banded_digits(dir_ / "digits", "train", 64);
    testing::write_banded_digits(dir_ / "digits", "t10k", 40);
  }

  std::string digits(const std::string& split) const { return "mnist:" + split + "@" + path("digits"); }

  /// `features train` of a network with 32 features.
  testing::ProgramResult train(const std::string& out, const std::vector<std::string>& extra = {},
                               const testing::ProgramOptions& options = {}) const {
    std::vector<std::string> arguments = {"features",     "train", "--data", digits("train"), "--test",
                                          digits("test"), "--out", out,      "--width",       "8",
                                          "--batch-size", "16"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    return run_program(arguments, options);
  }

  void expect_refused(const testing::ProgramResult& result, int exit_code,
                      const std::string& substance) const {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_THAT(error_line(result), HasSubstr(substance));
    EXPECT_EQ(result.out, "");
  }
};

TEST_F(FeaturesTest, ATrainedNetworkHasItsRecordAndScores) {
  const auto trained = train(path("nets/bands.safetensors"), {"--steps", "60", "--seed", "3", "--json", "-"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const auto record = json::parse(trained.out);
  const auto sha256 = core::sha256_of_file(dir_ / "nets/bands.safetensors");
  EXPECT_EQ(record["kind"], "features");
  EXPECT_EQ(record["name"], "bands");
  EXPECT_EQ(record["sha256"], sha256);
  EXPECT_EQ(record["data"], (json{{"source", digits("train")}, {"count", 64}}));
  EXPECT_EQ(record["test_data"], (json{{"source", digits("test")}, {"count", 40}}));
  EXPECT_GE(record["test_accuracy"].get<double>(), 0.9);
  EXPECT_EQ(record["dim"], 32);
  EXPECT_EQ(record["step"], 60);
  EXPECT_EQ(record["epochs"], 15.0);
  const auto& config = record["config"];
  EXPECT_EQ(config["data"]["train"], digits("train"));
  EXPECT_EQ(config["net"], (json{{"channels", 1}, {"side", 28}, {"classes", 10}, {"width", 8}}));
  EXPECT_EQ(config["classifier"], (json{{"batch_size", 16}, {"max_shift", 1}, {"flip", true}, {"seed", 3}}));
  EXPECT_EQ(config["loop"]["learning_rate"], 3e-3);
  EXPECT_EQ(config["loop"]["steps"], 60);
  EXPECT_EQ(record["runtime"]["threads"], 1);
  EXPECT_EQ(json::parse(core::read_text(dir_ / "nets/bands.run/run.json")), record);

  const auto scored = run_program({"fid", "--real", digits("train"), "--fake", digits("test"), "--features",
                                   path("nets/bands.safetensors"), "--json", "-"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  const auto score = json::parse(scored.out);
  EXPECT_EQ(score["features"]["name"], "bands");
  EXPECT_EQ(score["features"]["weights_sha256"], sha256);
  EXPECT_EQ(score["features"]["dim"], 32);
  EXPECT_GT(score["metrics"]["frechet_distance"].get<double>(), 0.0);
}

TEST_F(FeaturesTest, TheListHasTheNetworksOfTheProgram) {
  const auto listed = run_program({"features", "list"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_THAT(listed.out,
              AllOf(StartsWith("inception "), HasSubstr("`weights fetch`"),
                    HasSubstr("\nfashion-mnist-small "), HasSubstr("91.66 % on fashion-mnist:test")));
  const auto record = json::parse(run_program({"features", "list", "--json", "-"}).out);
  EXPECT_EQ(record["kind"], "features-list");
  ASSERT_EQ(record["features"].size(), 2U);
  EXPECT_EQ(record["features"][1]["name"], "fashion-mnist-small");
}

TEST_F(FeaturesTest, AnInterruptedTrainingEndsInTheBytesOfAnUnbrokenOne) {
  const std::vector<std::string> steps = {"--steps", "250"};
  const auto whole = train(path("whole/n.safetensors"), steps);
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  EXPECT_THAT(whole.out, StartsWith(path("whole/n.safetensors") + ": "));
  EXPECT_THAT(whole.out, HasSubstr(" % on " + digits("test") + ", 32 features, "));

  const auto broken =
      train(path("parts/n.safetensors"), steps, {.interrupt_once_there = dir_ / "parts/n.run/log.jsonl"});
  EXPECT_EQ(broken.exit_code, 130) << broken.err;
  EXPECT_THAT(error_line(broken), AllOf(StartsWith("interrupted after step "), HasSubstr(" of 250; "),
                                        HasSubstr(path("parts/n.run")), HasSubstr("go on with --resume")));
  EXPECT_FALSE(fs::exists(dir_ / "parts/n.safetensors"));
  expect_refused(train(path("parts/n.safetensors"), steps), 2, "--resume goes on with it");
  expect_refused(train(path("parts/n.safetensors"), {"--resume", "--seed", "1"}), 2,
                 "classifier.seed was 0 and is 1 now");

  // What the command line leaves out comes from the checkpoint.
  const auto resumed = run_program({"features", "train", "--out", path("parts/n.safetensors"), "--resume"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("note: resumed at step "));
  EXPECT_EQ(core::read_text(dir_ / "parts/n.safetensors"), core::read_text(dir_ / "whole/n.safetensors"));
  EXPECT_EQ(core::read_text(dir_ / "parts/n.run/checkpoint.safetensors"),
            core::read_text(dir_ / "whole/n.run/checkpoint.safetensors"));

  const auto record = core::read_text(dir_ / "parts/n.run/run.json");
  const auto again =
      run_program({"features", "train", "--out", path("parts/n.safetensors"), "--resume", "--json", "-"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out, record) << "a complete training is not repeated";
}

TEST_F(FeaturesTest, ACompleteTrainingIsMeasuredAnewOnAnotherTestSet) {
  const auto out = path("n.safetensors");
  ASSERT_EQ(train(out, {"--steps", "20"}).exit_code, 0);
  const auto first = json::parse(core::read_text(dir_ / "n.run/run.json"));
  const std::vector<std::string> other = {"features", "train",         "--out",  out, "--resume",
                                          "--test",   digits("train"), "--json", "-"};
  const auto measured = run_program(other);
  ASSERT_EQ(measured.exit_code, 0) << measured.err;
  const auto second = json::parse(measured.out);
  EXPECT_EQ(second["test_data"], (json{{"source", digits("train")}, {"count", 64}}));
  EXPECT_EQ(second["step"], first["step"]);
  EXPECT_EQ(second["sha256"], core::sha256_of_file(out));
  EXPECT_NE(second["sha256"], first["sha256"]) << "the file's card names the test set";
  EXPECT_EQ(json::parse(core::read_text(dir_ / "n.run/run.json")), second);

  core::write_file(dir_ / "n.run/run.json", R"({"schema": 1, "step": 20})");
  const auto rebuilt = run_program(other);
  ASSERT_EQ(rebuilt.exit_code, 0) << rebuilt.err;
  const auto third = json::parse(rebuilt.out);
  EXPECT_EQ(third["test_accuracy"], second["test_accuracy"]);
  EXPECT_EQ(third["sha256"], second["sha256"]);
}

TEST_F(FeaturesTest, WhatCannotBeWrittenIsRefusedBeforeTraining) {
  const std::vector<std::string> endless = {"--steps", "100000000"};
  expect_refused(train(path("net.pth"), endless), 2, "net.pth: the name must end in .safetensors");
  expect_refused(train("/dev/null", endless), 2, "/dev/null: the name must end in .safetensors");
  for (const char* name : {"inception", "inception:768", "inception-v3-fid", "fashion-mnist-small"}) {
    expect_refused(train(path(name + std::string(".safetensors")), endless), 2,
                   "'" + std::string(name) + "' is a network that the program has already");
  }
  testing::put_file(dir_ / "file", "in the way");
  expect_refused(train(path("file/n.safetensors"), endless), 7, "file");
  expect_refused(train("/proc/none/n.safetensors", endless), 7, "/proc/none");
  fs::create_directories(dir_ / "folder.safetensors");
  expect_refused(train(path("folder.safetensors"), endless), 7, "is a folder where a file is to be written");
}

TEST_F(FeaturesTest, SettingsAndDataThatDoNotFitAreRefused) {
  const auto out = path("n.safetensors");
  expect_refused(train(out, {"--steps", "0"}), 2, "--steps 0: 0 is below 1");
  expect_refused(train(out, {"--learning-rate", "nan"}), 2,
                 "--learning-rate nan: expected a finite number, found nan");
  expect_refused(train(out, {"--max-shift", "65"}), 2, "--max-shift 65: 65 is not within 0..64 pixels");
  const auto with_width = [&](const std::string& width) {
    return run_program({"features", "train", "--data", digits("train"), "--out", out, "--width", width});
  };
  expect_refused(with_width("12"), 2, "--width 12: 12 is no multiple of 8");
  const auto with_data = [&](const std::string& data) {
    return run_program({"features", "train", "--data", data, "--test", digits("test"), "--out", out});
  };
  expect_refused(with_data("gaussian-noise:28x28x1?num=4"), 3,
                 "gaussian-noise:28x28x1?num=4 has no labels, and a classifier needs them");
  expect_refused(with_data("mnist:train@" + path("none")), 3, path("none"));
  EXPECT_FALSE(fs::exists(dir_ / "n.run"));
}

}  // namespace
}  // namespace ddpm_eval
