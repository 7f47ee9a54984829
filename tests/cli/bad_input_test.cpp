#include "base/data/npy.h"
#include "base/data/statistics_file.h"
#include "tests/support/run_fixture.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <torch/types.h>
#include <unistd.h>

// What users do wrong ends in one clear line and the right exit code. The readers' own tests hold every way
// in which a file can be damaged; here is one of each kind, through the program.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using testing::error_line;
using ::testing::HasSubstr;
using testing::run_program;
using testing::TempDir;

const std::string kNoise = "gaussian-noise:28x28x1?num=20";

void put(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

testing::ProgramResult score(const std::string& fake, std::vector<std::string> extra = {}) {
  std::vector<std::string> arguments = {
      "fid", "--real", kNoise, "--fake", fake, "--features", "fashion-mnist-small"};
  arguments.insert(arguments.end(), extra.begin(), extra.end());
  return run_program(arguments);
}

void expect_refusal(const testing::ProgramResult& result, int exit_code, const std::string& substance) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr(substance));
  EXPECT_EQ(result.out, "") << "results and errors must not mix";
}

/// A run of the program that writes PNGs: three good ones.
void make_good_images(const fs::path& folder) {
  const TempDir dir;
  put(dir / "c.toml", testing::kTinyImages);
  auto result =
      run_program({"train", "--config", (dir / "c.toml").string(), "--out", (dir / "run").string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  result = run_program({"sample", "--run", (dir / "run").string(), "--num", "3", "--out", folder.string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
}

TEST(BadInput, AnEmptyFolder) {
  const TempDir dir;
  expect_refusal(score(dir.path().string()), 3, "no image");
}

TEST(BadInput, AFolderThatIsNotThere) { expect_refusal(score("/no/such/folder"), 3, "/no/such/folder"); }

TEST(BadInput, APipeAmongImagesIsToldAndNotWaitedFor) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe.png").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((dir / "tube.png").c_str(), 0600), 0);
  expect_refusal(score(dir.path().string()), 3, "pipe.png: is no regular file");
}

TEST(BadInput, OneImage) {
  const TempDir dir;
  make_good_images(dir.path());
  fs::remove(dir / "000001.png");
  fs::remove(dir / "000002.png");
  expect_refusal(score(dir.path().string()), 3, "at least 2");
}

TEST(BadInput, ATruncatedImageAmongGoodOnesIsAWarningOrWithStrictAnError) {
  const TempDir dir;
  make_good_images(dir.path());
  fs::resize_file(dir / "000001.png", fs::file_size(dir / "000001.png") - 20);
  const auto lenient = score(dir.path().string());
  EXPECT_EQ(lenient.exit_code, 0) << lenient.err;
  EXPECT_THAT(lenient.err,
              AllOf(HasSubstr("warning: fake: 1 unreadable file(s) left out"), HasSubstr("000001.png")));
  EXPECT_THAT(lenient.out, HasSubstr("N = 2"));
  expect_refusal(score(dir.path().string(), {"--strict"}), 3, "000001.png");
}

TEST(BadInput, TextNamedPng) {
  const TempDir dir;
  put(dir / "a.png", "hello");
  put(dir / "b.png", "world");
  expect_refusal(score(dir.path().string()), 3,
                 "not one of its 2 image files can be read; the first: " + (dir / "a.png").string() +
                     ": not a PNG, JPEG, WebP, TIFF, BMP or PNM image");
}

TEST(BadInput, ACutCifarBatch) {
  const TempDir dir;
  for (int i = 1; i <= 5; ++i) {
    put(dir / ("cifar-10-batches-bin/data_batch_" + std::to_string(i) + ".bin"),
        std::string(3073 * 2 - 5, '\1'));
  }
  expect_refusal(score(dir.path().string()), 3, "data_batch_1.bin");
}

TEST(BadInput, DamagedStatistics) {
  const TempDir dir;
  const auto stats = dir / "s.npz";
  const auto made =
      run_program({"stats", "--data", kNoise, "--out", stats.string(), "--features", "fashion-mnist-small"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  fs::resize_file(stats, fs::file_size(stats) / 2);
  const auto result = score(stats.string());
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("s.npz"));
}

TEST(BadInput, TruncatedWeights) {
  const TempDir dir;
  put(dir / "w.pth", std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46", 8));
  expect_refusal(
      run_program({"fid", "--real", kNoise, "--fake", kNoise, "--weights", (dir / "w.pth").string()}), 3,
      "w.pth");
}

TEST(BadInput, AConfigurationWithAWrongTypeOrKey) {
  const TempDir dir;
  put(dir / "type.toml", "[train]\nbatch_size = 'many'\n");
  expect_refusal(
      run_program({"train", "--config", (dir / "type.toml").string(), "--out", (dir / "r").string()}), 2,
      "train.batch_size: expected an integer, found a string");
  put(dir / "key.toml", "[train]\nbatchsize = 4\n");
  expect_refusal(
      run_program({"train", "--config", (dir / "key.toml").string(), "--out", (dir / "r").string()}), 2,
      "did you mean 'batch_size'?");
}

TEST(BadInput, SizesBeyondAllMemoryNameTheirKey) {
  const TempDir dir;
  const std::string kPoints =
      "[data]\nsource = 'moons'\n[model]\nkind = 'mlp'\n[train]\nflip = false\n[sample]\nclip = false\n";
  put(dir / "c.toml", kPoints);
  for (const char* key : {"data.points", "train.batch_size"}) {
    const std::string setting = std::string(key) + "=9000000000000000";
    expect_refusal(
        run_program({"train", "--config", (dir / "c.toml").string(), "--out", (dir / "r").string(), "--set",
                     setting}),
        7, "--set " + setting + ": 9000000000000000 takes 7.2e+07 GB at least, and this machine has ");
  }
}

TEST(BadInput, PointsHaveNoFid) {
  expect_refusal(run_program({"fid", "--real", "moons?num=10", "--fake", "swiss-roll?num=10"}), 2,
                 "ddpm-eval score");
}

TEST(BadInput, PointsAgainstImagesNameTheSideThatDiffers) {
  const std::string substance =
      "--real moons?num=10 holds points in the plane and --fake " + kNoise + " does not";
  expect_refusal(run_program({"score", "--real", "moons?num=10", "--fake", kNoise}), 2, substance);
  expect_refusal(run_program({"score", "--real", kNoise, "--fake", "moons?num=10"}), 2,
                 "--fake moons?num=10 holds points in the plane and --real " + kNoise);
}

TEST(BadInput, WholeNumbersAreNoPoints) {
  const TempDir dir;
  const auto npy = data::to_npy(torch::ones({60, 2}, torch::kInt64));
  put(dir / "pi.npy", npy);
  expect_refusal(run_program({"score", "--real", "swiss-roll?num=60", "--fake", (dir / "pi.npy").string()}),
                 3, "pi.npy: holds int64 [60, 2], where points are a float array [n, 2]");
}

TEST(BadInput, TooFewImagesForAnInceptionScore) {
  expect_refusal(
      run_program({"is", "--fake", "gaussian-noise:28x28x1?num=9", "--features", "fashion-mnist-small"}), 3,
      "9 usable image(s), at least 10 are needed for the 10 splits of an Inception Score");
}

TEST(BadInput, StatisticsOfDifferentOrImpossibleFeatures) {
  const TempDir dir;
  const auto write = [&](const char* name, const at::Tensor& sigma) {
    const auto mu = torch::zeros({sigma.size(0)}, torch::kFloat64);
    data::write_statistics(dir / name, {mu, sigma, {}, {}});
    return (dir / name).string();
  };
  const auto eight = write("eight.npz", torch::eye(8, torch::kFloat64));
  const auto nine = write("nine.npz", torch::eye(9, torch::kFloat64));
  expect_refusal(run_program({"fid", "--real", eight, "--fake", nine, "--allow-mismatch"}), 6,
                 "eight.npz holds statistics of 8 features and --fake " + nine + " of 9");
  auto indefinite = torch::eye(8, torch::kFloat64);
  // Each pair is possible, the three are not.
  indefinite[0][1] = indefinite[1][0] = 0.9;
  indefinite[1][2] = indefinite[2][1] = 0.9;
  indefinite[0][2] = indefinite[2][0] = -0.9;
  const auto bad = write("bad.npz", indefinite);
  const auto result = run_program({"fid", "--real", eight, "--fake", bad});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(error_line(result),
              AllOf(HasSubstr("eight.npz against " + bad), HasSubstr("negative eigenvalue")));
}

TEST(BadInput, ACheckpointThatIsNoFile) {
  const TempDir dir;
  fs::create_directories(dir / "run");
  ASSERT_EQ(::mkfifo((dir / "run/checkpoint.safetensors").c_str(), 0600), 0);
  expect_refusal(run_program({"train", "--resume", "--out", (dir / "run").string()}), 3,
                 "checkpoint.safetensors: is not a file");
}

TEST(BadInput, OutputsThatCannotBeWritten) {
  const TempDir dir;
  put(dir / "file", "in the way");
  expect_refusal(run_program({"stats", "--data", kNoise, "--out", (dir / "no/such/s.npz").string(),
                              "--features", "fashion-mnist-small"}),
                 7, "no/such/s.npz");
  expect_refusal(score(kNoise, {"--json", "/dev/full/x"}), 7, "/dev/full/x");
  put(dir / "c.toml",
      "[data]\nsource = 'swiss-roll'\npoints = 10\n[model]\nkind = 'mlp'\n[train]\nflip = false\n"
      "[sample]\nclip = false\n");
  expect_refusal(
      run_program({"train", "--config", (dir / "c.toml").string(), "--out", (dir / "file").string()}), 7,
      "file");
}

/// Every command with an output, and what it writes to `folder`.
std::vector<std::vector<std::string>> writing_commands(const fs::path& folder, const fs::path& run) {
  const auto in = [&](const char* name) { return (folder / name).string(); };
  return {{"stats", "--data", kNoise, "--features", "fashion-mnist-small", "--out", in("s.npz")},
          {"info", "--json", in("i.json")},
          {"report", run.string(), "--out", in("r.html")},
          {"train", "--config", (run / "c.toml").string(), "--out", in("run")},
          {"features", "train", "--data", kNoise, "--out", in("n.safetensors")},
          {"import", (testing::source_dir() / "tests/golden/diffusers").string(), "--out", in("imported")}};
}

TEST(BadInput, FoldersThatCannotBeWrittenAreResourceErrors) {
  const TempDir dir;
  put(dir / "run/log.jsonl", "{\"step\": 1}\n");
  put(dir / "run/c.toml",
      "[data]\nsource = 'swiss-roll'\npoints = 10\n[model]\nkind = 'mlp'\n[train]\nflip = false\n"
      "[sample]\nclip = false\n");
  put(dir / "file", "in the way");
  std::vector<fs::path> folders = {dir / "file/below", "/proc/none"};
  if (::geteuid() != 0) {  // nothing is read-only for root
    folders.push_back(dir / "locked");
    fs::create_directories(dir / "locked");
    fs::permissions(dir / "locked", fs::perms::owner_read | fs::perms::owner_exec);
  }
  for (const auto& folder : folders) {
    for (const auto& command : writing_commands(folder, dir / "run")) {
      SCOPED_TRACE(command[0] + " into " + folder.string());
      expect_refusal(run_program(command), 7, folder.string());
    }
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), {}), folders.size() == 3 ? 3 : 2);
}

TEST(BadInput, FewerImagesThanFeaturesIsANamedNote) {
  const auto result = score("gaussian-noise:28x28x1?num=20&seed=4");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("note: "));
  EXPECT_THAT(result.err, HasSubstr("20"));
}

}  // namespace
}  // namespace ddpm_eval
