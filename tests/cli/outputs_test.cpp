#include "base/core/file_io.h"
#include "tests/support/run_fixture.h"

#include <filesystem>

// No command replaces what it reads, or one of its results by another: it refuses before the work.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using testing::error_line;
using ::testing::HasSubstr;
using testing::kTinyImages;
using testing::run_program;

const std::string kNoise = "gaussian-noise:28x28x1?num=20";

class Outputs : public testing::RunFixture {
 protected:
  /// A tiny run, and three of its samples in the folder "images" and in "i.npz".
  void make_run() const {
    train("run", kTinyImages);
    done({"sample", "--run", path("run"), "--num", "3", "--out", path("images")});
    done({"sample", "--run", path("run"), "--num", "3", "--out", path("i.npz")});
  }

  /// The call fails with one line that names both flags, and `file` is as before.
  void expect_refused(const std::vector<std::string>& arguments, const std::string& flag,
                      const std::string& other, const std::string& file = {}) const {
    const auto before = file.empty() ? std::string() : core::read_text(dir_ / file);
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(error_line(result), AllOf(HasSubstr(flag + " "), HasSubstr(" of " + other)));
    if (!file.empty()) {
      EXPECT_EQ(core::read_text(dir_ / file), before);
    }
  }
};

TEST_F(Outputs, AreNotTheSourcesOfAScore) {
  make_run();
  const auto npz = path("i.npz");
  const std::vector<std::string> score = {
      "fid", "--real", npz, "--fake", kNoise, "--features", "fashion-mnist-small"};
  const auto with_json = [&](const std::string& target) {
    auto arguments = score;
    arguments.insert(arguments.end(), {"--json", target});
    return arguments;
  };
  expect_refused(with_json(npz), "--json", "--real", "i.npz");
  expect_refused(with_json(path("images/../i.npz")), "--json", "--real", "i.npz");
  fs::create_symlink("i.npz", dir_ / "link.npz");
  expect_refused(with_json(path("link.npz")), "--json", "--real", "i.npz");
  expect_refused({"fid", "--real", kNoise, "--fake", npz + "?num=2", "--json", npz}, "--json", "--fake",
                 "i.npz");
  expect_refused({"is", "--fake", path("images"), "--json", path("images/samples.json")}, "--json", "--fake",
                 "images/samples.json");
  expect_refused({"is", "--fake", path("images"), "--json", path("images/000001.png")}, "--json", "--fake",
                 "images/000001.png");
  expect_refused(
      {"is", "--fake", "run:" + path("run") + "?num=2", "--json", path("run/checkpoint.safetensors")},
      "--json", "--fake", "run/checkpoint.safetensors");
  core::write_file(dir_ / "w.pth", "weights");
  expect_refused({"is", "--fake", kNoise, "--weights", path("w.pth"), "--json", path("w.pth")}, "--json",
                 "--weights", "w.pth");
  done(with_json(path("images/score.json")));
}

TEST_F(Outputs, AreNoImagesThatAListNames) {
  make_run();
  testing::put_file(path("list.txt"), "images/000000.png\nimages/000001.png\n");
  const auto list = "@" + path("list.txt");
  expect_refused(
      {"stats", "--data", list, "--out", path("images/000001.png"), "--features", "fashion-mnist-small"},
      "--out", "--data", "images/000001.png");
  expect_refused({"stats", "--data", list, "--out", path("list.txt"), "--features", "fashion-mnist-small"},
                 "--out", "--data", "list.txt");
}

TEST_F(Outputs, OfStatisticsAreNotTheirImages) {
  make_run();
  const auto npz = path("i.npz");
  expect_refused({"stats", "--data", npz, "--out", npz, "--features", "fashion-mnist-small"}, "--out",
                 "--data", "i.npz");
  expect_refused({"stats", "--data", kNoise, "--out", path("s.npz"), "--json", path("s.npz")}, "--out",
                 "--json");
  EXPECT_FALSE(fs::exists(dir_ / "s.npz"));
  done({"stats", "--data", npz, "--out", "/dev/null", "--json", "/dev/null", "--features",
        "fashion-mnist-small"});
  refused(2, {"stats", "--data", npz, "--out", path("s.txt"), "--features", "fashion-mnist-small"},
          "--out " + path("s.txt") + ": the name must end in .npz");
  refused(2, {"stats", "merge", path("1.npz"), path("2.npz"), "--out", path("s")},
          "--out " + path("s") + ": the name must end in .npz");
}

TEST_F(Outputs, OfSamplingStayApart) {
  make_run();
  const auto sample = [&](const std::string& out, const std::string& flag, const std::string& target) {
    return std::vector<std::string>{"sample", "--run",   path("run"), "--num",     "2",
                                    "--out",  path(out), flag,        path(target)};
  };
  expect_refused(sample("s.npz", "--grid", "s.npz"), "--out", "--grid");
  expect_refused(sample("new", "--grid", "new/grid.png"), "--grid", "--out");
  expect_refused(sample("new/", "--grid", "new/deep/grid.png"), "--grid", "--out");
  expect_refused(sample("new", "--json", "new/samples.json"), "--out", "--json");
  expect_refused(sample("s.npz", "--json", "run/checkpoint.safetensors"), "--json", "--run",
                 "run/checkpoint.safetensors");
  EXPECT_FALSE(fs::exists(dir_ / "new")) << "refused before the work";
  EXPECT_FALSE(fs::exists(dir_ / "s.npz"));
  done(sample("new", "--grid", "grid.png"));
  done(sample("new", "--json", "new/record.json"));
}

TEST_F(Outputs, OfTrainingStayApart) {
  make_run();
  expect_refused({"train", "--config", path("run.toml"), "--out", path("r"), "--json", path("run.toml")},
                 "--json", "--config", "run.toml");
  expect_refused({"train", "--config", path("run.toml"), "--out", path("r"), "--json", path("r/log.jsonl")},
                 "--json", "--out");
  expect_refused({"train", "--config", path("run.toml"), "--out", path("r"), "--json", path("r/run.json")},
                 "--json", "--out");
  expect_refused({"features", "train", "--out", path("n.safetensors"), "--json", path("n.safetensors")},
                 "--out", "--json");
  expect_refused({"features", "train", "--out", path("n.safetensors"), "--json", path("n.run/log.jsonl")},
                 "--json", "--out");
  expect_refused({"report", path("run"), "--out", path("run/run.json")}, "--out", "the report",
                 "run/run.json");
  core::write_file(dir_ / "run/score.json", "{}");
  expect_refused({"report", path("run"), "--out", path("run/score.json")}, "--out", "the report",
                 "run/score.json");
}

TEST_F(Outputs, OfTheLikelihoodStayApart) {
  make_run();
  const auto nll = [&](const std::string& data, const std::string& target) {
    return std::vector<std::string>{"nll",   "--run",     path("run"), "--data",    data,
                                    "--out", path("nll"), "--json",    path(target)};
  };
  expect_refused(nll(kNoise, "run/checkpoint.safetensors"), "--json", "--run", "run/checkpoint.safetensors");
  expect_refused(nll(kNoise, "nll/nll.json"), "--out", "--json");
  expect_refused(nll(kNoise, "nll/state.safetensors"), "--out", "--json");
  expect_refused(nll(path("i.npz"), "i.npz"), "--json", "--data", "i.npz");
  EXPECT_FALSE(fs::exists(dir_ / "nll")) << "refused before the work";
}

}  // namespace
}  // namespace ddpm_eval
