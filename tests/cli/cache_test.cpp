#include "tests/support/environment.h"
#include "tests/support/idx_files.h"
#include "tests/support/run_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramResult;
using testing::run_program;

/// Scores with a cache of their own. The built-in features are 128, so that 150 images may be kept.
class Cache : public testing::RunFixture {
 protected:
  static constexpr const char* kReal = "gaussian-noise:28x28x1?num=150&seed=1";
  static constexpr const char* kFake = "gaussian-noise:28x28x1?num=150&seed=2";

  ProgramResult call(const Arguments& arguments) const {
    return run_program(arguments, {.environment = {"DDPM_EVAL_CACHE", "DDPM_EVAL_HOME=" + path("home")}});
  }

  json score(const std::string& real, const std::string& fake, const Arguments& more = {}) const {
    Arguments words = {"fid",    "--real", real, "--fake", fake, "--features", "fashion-mnist-small",
                       "--json", "-"};
    words.insert(words.end(), more.begin(), more.end());
    const auto result = call(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    said_ = result.err;
    return json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  std::vector<fs::path> entries() const {
    std::vector<fs::path> files;
    if (fs::exists(path("home/cache/moments"))) {
      for (const auto& entry : fs::directory_iterator(path("home/cache/moments"))) {
        files.push_back(entry.path());
      }
    }
    return files;
  }

  mutable std::string said_;  ///< by the last score
};

double distance(const json& record) { return record["metrics"]["frechet_distance"].get<double>(); }

bool cached(const json& record, const char* side) { return record[side].contains("cached"); }

TEST_F(Cache, ASecondScoreIsTheSameToTheBitAndMeasuresNothing) {
  const auto first = score(kReal, kFake);
  EXPECT_FALSE(cached(first, "real"));
  EXPECT_EQ(entries().size(), 2U);
  const auto second = score(kReal, kFake);
  EXPECT_TRUE(cached(second, "real"));
  EXPECT_TRUE(cached(second, "fake"));
  EXPECT_THAT(said_, HasSubstr("note: real: the moments of these 150 images were in the cache"));
  EXPECT_EQ(distance(second), distance(first));
  for (const char* part : {"mean_term", "route", "trace_real", "trace_fake", "trace_sqrt"}) {
    EXPECT_EQ(second["parts"]["frechet"][part], first["parts"]["frechet"][part]) << part;
  }
  EXPECT_EQ(second["real"]["count"], 150);
  EXPECT_EQ(second["real"]["seconds"]["forward"], 0);
  // Whichever side it is of.
  const auto turned = score(kFake, kReal);
  EXPECT_TRUE(cached(turned, "real") && cached(turned, "fake"));
  const auto anew = score(kReal, kFake, {"--no-cache"});
  EXPECT_FALSE(cached(anew, "real"));
  EXPECT_EQ(distance(anew), distance(first));
  EXPECT_EQ(entries().size(), 2U);
}

TEST_F(Cache, OneOtherPixelIsAnotherSet) {
  testing::write_banded_digits(path("digits"), "train", 150);
  const auto source = "mnist:train@" + path("digits");
  const auto before = score(kReal, source);
  EXPECT_TRUE(cached(score(kReal, source), "fake"));
  auto file = path("digits/train-images-idx3-ubyte");
  auto bytes = testing::bytes_of(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x40);
  testing::put_file(file, bytes);
  const auto after = score(kReal, source);
  EXPECT_FALSE(cached(after, "fake"));
  EXPECT_TRUE(cached(after, "real"));
  EXPECT_NE(distance(after), distance(before));
  // Nor do the same pixels in another order, or some of them, count as the set.
  EXPECT_FALSE(cached(score(kReal, source + "?num=149"), "fake"));
}

TEST_F(Cache, OtherFeaturesThreadsAndRowsAreNotMixed) {
  score(kReal, kFake);
  EXPECT_FALSE(cached(score(kReal, kFake, {"--threads", "2"}), "real"));
  // Fewer images than features are scored from their rows, and an Inception Score from its logits.
  score(kReal, "gaussian-noise:28x28x1?num=50&seed=2");
  EXPECT_FALSE(cached(score(kReal, "gaussian-noise:28x28x1?num=50&seed=2"), "fake"));
  const auto both =
      call({"score", "--real", kReal, "--fake", kFake, "--features", "fashion-mnist-small", "--json", "-"});
  const auto record = json::parse(both.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(cached(record, "real"));
  EXPECT_FALSE(cached(record, "fake"));
}

TEST_F(Cache, AnotherProgramMeasuresAnew) {
  score(kReal, kFake);
  // The same program but for a byte after its end.
  const auto libexec = fs::path(std::getenv("DDPM_EVAL_BINARY")).parent_path().parent_path() / "libexec";
  fs::create_directories(path("other/bin"));
  fs::create_directories(path("other/libexec"));
  fs::copy_file(std::getenv("DDPM_EVAL_BINARY"), path("other/bin/ddpm-eval"));
  fs::copy_file(libexec / "ddpm-eval-program", path("other/libexec/ddpm-eval-program"));
  const testing::Environment other("DDPM_EVAL_BINARY", path("other/bin/ddpm-eval"));
  EXPECT_TRUE(cached(score(kReal, kFake), "real"));
  std::ofstream(path("other/libexec/ddpm-eval-program"), std::ios::app) << '\n';
  EXPECT_FALSE(cached(score(kReal, kFake), "real"));
}

TEST_F(Cache, DamageIsToldAndMeasuredAnew) {
  const auto first = score(kReal, kFake);
  for (const auto& entry : entries()) {
    fs::resize_file(entry, fs::file_size(entry) / 2);
  }
  const auto second = score(kReal, kFake);
  EXPECT_THAT(said_, HasSubstr("; measured anew"));
  EXPECT_FALSE(cached(second, "real"));
  EXPECT_EQ(distance(second), distance(first));
  EXPECT_TRUE(cached(score(kReal, kFake), "real"));
  // An entry under another's name is found out.
  const auto files = entries();
  ASSERT_EQ(files.size(), 2U);
  fs::copy_file(files[0], files[1], fs::copy_options::overwrite_existing);
  EXPECT_EQ(distance(score(kReal, kFake)), distance(first));
  EXPECT_THAT(said_, HasSubstr("is of another context or of other images than its name says; measured anew"));
  const auto wrong =
      files[0].parent_path() / (std::string(16, '0') + files[0].filename().string().substr(16));
  fs::rename(files[0], wrong);
  EXPECT_EQ(distance(score(kReal, kFake)), distance(first));
  // Where nothing can be kept, the score is told all the same.
  fs::remove_all(path("home/cache"));
  testing::put_file(path("home/cache"), "in the way");
  EXPECT_EQ(distance(score(kReal, kFake)), distance(first));
  EXPECT_THAT(said_, HasSubstr("warning: the cache does not keep these moments"));
}

TEST_F(Cache, IsListedAndPruned) {
  EXPECT_THAT(call({"cache", "list"}).out, HasSubstr("cache/moments: 0 entries, 0.0 MB"));
  score(kReal, kFake);
  const auto listed = call({"cache", "list"});
  EXPECT_THAT(listed.out,
              HasSubstr("150 images of " + std::string(kReal) + ", fashion-mnist-small (ddpm-eval)"));
  EXPECT_THAT(listed.out, HasSubstr("cache/moments: 2 entries"));
  const auto record = json::parse(call({"cache", "list", "--json", "-"}).out, nullptr, false);
  ASSERT_EQ(record["entries"].size(), 2U);
  EXPECT_EQ(record["entries"][0]["count"], 150);
  const auto damaged = "home/cache/moments/" + std::string(16, '0') + "-" + std::string(16, 'a') + "-" +
                       std::string(64, 'f') + ".npz";
  testing::put_file(path(damaged), "PK");
  EXPECT_THAT(call({"cache", "list"}).out, HasSubstr(".npz: damaged"));
  EXPECT_THAT(call({"cache", "prune"}).out, HasSubstr("cache/moments: 0 entries removed"));
  const auto now = fs::file_time_type::clock::now();
  fs::last_write_time(path(damaged), now - std::chrono::hours(31 * 24));
  EXPECT_THAT(call({"cache", "prune"}).out, HasSubstr("cache/moments: 1 entry removed"));
  EXPECT_EQ(entries().size(), 2U);
  // A file of the future, by a clock that was wrong, would else be the last to go.
  fs::last_write_time(entries()[0], now + std::chrono::hours(400 * 24));
  fs::last_write_time(entries()[1], now + std::chrono::minutes(10));
  EXPECT_THAT(call({"cache", "list"}).out,
              AllOf(HasSubstr("last used at an unknown time"), HasSubstr("used 0 days ago")));
  EXPECT_THAT(call({"cache", "prune"}).out, HasSubstr("cache/moments: 1 entry removed"));
  EXPECT_THAT(call({"cache", "list"}).out, HasSubstr("cache/moments: 1 entry, "));
  EXPECT_THAT(call({"cache", "prune", "--unused-for", "0"}).out, HasSubstr("1 entry removed"));
  EXPECT_EQ(entries().size(), 0U);
  refused(2, {"cache", "prune", "--unused-for", "-1"}, "--unused-for");
  refused(2, {"cache"}, "a command is needed: cache list or cache prune");
}

TEST_F(Cache, WhatItDidNotWriteIsLeftAlone) {
  score(kReal, kFake);
  const auto files = entries();
  ASSERT_EQ(files.size(), 2U);
  testing::put_file(path("home/cache/moments/mine.npz"), "PK");
  fs::copy_file(files[0], path("home/cache/moments/copy-" + files[0].filename().string()));
  fs::remove(files[1]);
  fs::create_directories(files[1] / "below");  // in an entry's place
  EXPECT_THAT(call({"cache", "list"}).out, HasSubstr("cache/moments: 1 entry, "));
  score(kReal, kFake);
  EXPECT_THAT(said_, HasSubstr("warning: the cache does not keep these moments"));
  const auto pruned = call({"cache", "prune", "--unused-for", "0"});
  EXPECT_EQ(pruned.exit_code, 0) << pruned.err;
  EXPECT_THAT(pruned.out, HasSubstr("cache/moments: 1 entry removed"));
  EXPECT_EQ(entries().size(), 3U);
}

TEST_F(Cache, IsOffByAnyCommonWord) {
  for (const char* word : {"off", "OFF", "Off", "0", "false", "no"}) {
    const auto result = run_program(
        {"fid", "--real", kReal, "--fake", kFake, "--features", "fashion-mnist-small"},
        {.environment = {std::string("DDPM_EVAL_CACHE=") + word, "DDPM_EVAL_HOME=" + path("home")}});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(entries().empty()) << word;
  }
  const auto unknown =
      run_program({"fid", "--real", kReal, "--fake", kFake, "--features", "fashion-mnist-small"},
                  {.environment = {"DDPM_EVAL_CACHE=offline", "DDPM_EVAL_HOME=" + path("home")}});
  EXPECT_EQ(unknown.exit_code, 2) << unknown.err;
  EXPECT_EQ(testing::error_line(unknown),
            "DDPM_EVAL_CACHE=offline in the environment: choose off, 0, false, no, on, 1, true or yes");
}

TEST_F(Cache, AHomeThatIsNoFolderIsTold) {
  EXPECT_THAT(call({"cache", "list"}).out, HasSubstr("cache/moments: 0 entries"));
  const auto refused_everywhere = [&] {
    for (const Arguments& words :
         {Arguments{"cache", "list"}, {"cache", "list", "--json", "-"}, {"cache", "prune"}}) {
      const auto result = call(words);
      EXPECT_EQ(result.exit_code, 3) << result.err;
      EXPECT_EQ(result.out, "");
      EXPECT_EQ(testing::error_line(result),
                path("home/cache/moments") +
                    ": cannot be read: Not a directory; $DDPM_EVAL_HOME names the folder that it lies in");
    }
  };
  testing::put_file(path("home"), "a file");
  refused_everywhere();
  fs::remove(path("home"));
  fs::create_directories(path("home/cache"));
  testing::put_file(path("home/cache/moments"), "a file");
  refused_everywhere();
}

}  // namespace
}  // namespace ddpm_eval
