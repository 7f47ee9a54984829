#include "metrics/inception.h"
#include "tests/support/files.h"
#include "tests/support/idx_files.h"
#include "tests/support/loopback_server.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>

// `data` and `weights` through the program, from an empty home folder and a server on this machine. How a
// download is resumed and judged is in tests/data.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using testing::Answer;
using testing::error_line;
using ::testing::HasSubstr;
using testing::LoopbackServer;
using testing::put_file;
using testing::ServedRequest;
using testing::TempDir;

constexpr const char* kWeightsFile = "pt_inception-2015-12-05-6726825d.pth";
constexpr uint64_t kWeightsBytes = 95'628'359;

class CatalogueCommandTest : public ::testing::Test {
 protected:
  testing::ProgramResult run(const std::vector<std::string>& arguments) const {
    return testing::run_program(
        arguments, {.environment = {"DDPM_EVAL_HOME=" + home_.path().string(), "no_proxy=127.0.0.1"}});
  }

  void expect_error(const testing::ProgramResult& result, int exit_code, const std::string& substance) const {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_THAT(error_line(result), HasSubstr(substance));
  }

  fs::path weights() const {
    fs::create_directories(home_ / "weights");
    return home_ / "weights" / kWeightsFile;
  }

  static std::string line(const std::string& name, const std::string& state, const fs::path& path) {
    return fmt::format("{:<14} {:<8} {}\n", name, state, path.string());
  }

  TempDir home_;
};

TEST_F(CatalogueCommandTest, TheListSaysWhatIsKnownAndWhereItWouldBe) {
  const auto data = run({"data", "list"});
  EXPECT_EQ(data.exit_code, 0) << data.err;
  EXPECT_THAT(data.out, AllOf(HasSubstr(line("cifar10", "missing", home_ / "data/cifar-10-batches-bin")),
                              HasSubstr("60,000 images of 32 x 32; 170 MB to fetch"),
                              HasSubstr("\nfashion-mnist "), HasSubstr("\nmnist ")));
  const auto weights = run({"weights", "list"});
  EXPECT_EQ(weights.exit_code, 0) << weights.err;
  EXPECT_THAT(weights.out,
              AllOf(HasSubstr(line("inception-fid", "missing", home_ / "weights" / kWeightsFile)),
                    HasSubstr("96 MB to fetch")));
}

TEST_F(CatalogueCommandTest, AbsentWeightsDoNotVerify) {
  expect_error(run({"weights", "verify"}), 3, "nothing to verify is here; see 'ddpm-eval weights list'");
  const auto named = run({"weights", "verify", "inception-fid"});
  expect_error(named, 3, "missing or damaged: inception-fid; run 'ddpm-eval weights fetch inception-fid'");
  EXPECT_EQ(named.out, line("inception-fid", "missing", home_ / "weights" / kWeightsFile));
}

TEST_F(CatalogueCommandTest, WeightsOfAnotherSizeAreDamaged) {
  put_file(weights(), "short");
  const auto listed = run({"weights", "list"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_THAT(listed.out, AllOf(HasSubstr(line("inception-fid", "damaged", weights())),
                                HasSubstr("it does not have 95628359 bytes")));
  const auto verified = run({"weights", "verify"});
  expect_error(verified, 3, "missing or damaged: inception-fid");
  EXPECT_THAT(verified.out, HasSubstr("it does not have 95628359 bytes"));
}

TEST_F(CatalogueCommandTest, WeightsOfTheRightSizeAndAnotherHashAreDamaged) {
  put_file(weights(), "");
  fs::resize_file(weights(), kWeightsBytes);
  EXPECT_THAT(run({"weights", "list"}).out, HasSubstr(line("inception-fid", "present", weights())));
  const auto verified = run({"weights", "verify"});
  expect_error(verified, 3, "missing or damaged: inception-fid");
  // sha256sum's, of so many zeros
  EXPECT_THAT(verified.out,
              HasSubstr("its SHA-256 is 4a8f4242f2b119c98458b568a34f20303e8827bdb3815f0dae69f9fbff49170d"));
}

TEST_F(CatalogueCommandTest, AMirrorWithOtherBytesInstallsNothing) {
  const LoopbackServer server([](const ServedRequest&, int) {
    Answer answer;
    answer.body = "not what was asked for";
    return answer;
  });
  const auto weights = run({"weights", "fetch", "inception-fid", "--mirror", server.url("w")});
  expect_error(weights, 3, "22 bytes where 95628359 are expected");
  EXPECT_THAT(error_line(weights), HasSubstr((home_ / "weights" / kWeightsFile).string() + ": not fetched"));
  EXPECT_EQ(weights.out, "");
  const auto digits = run({"data", "fetch", "mnist", "--mirror", server.url("d/")});
  expect_error(digits, 3, "train-images-idx3-ubyte.gz: not fetched");
  const auto images = run({"data", "fetch", "cifar10", "--mirror", server.url("c")});
  expect_error(images, 3, "cifar-10-binary.tar.gz: not fetched");

  std::vector<std::string> paths;
  for (const auto& request : server.requests()) {
    paths.push_back(request.path);
  }
  EXPECT_THAT(paths, ::testing::ElementsAre("/w/" + std::string(kWeightsFile),
                                            "/d/train-images-idx3-ubyte.gz", "/c/cifar-10-binary.tar.gz"));
  for (const char* name : {"weights", "data/mnist", "data"}) {
    for (const auto& entry : fs::directory_iterator(home_ / name)) {
      EXPECT_TRUE(entry.is_directory() || entry.path().extension() == ".part") << entry.path();
    }
  }
}

TEST_F(CatalogueCommandTest, TheWeightsAskedForAreThoseThatScoresKnow) {
  const TempDir mirror;
  put_file(mirror / kWeightsFile, "");
  fs::resize_file(mirror / kWeightsFile, kWeightsBytes);
  const auto result =
      run({"weights", "fetch", "inception-fid", "--mirror", "file://" + mirror.path().string()});
  expect_error(result, 3, fmt::format(", not {}", metrics::kPublishedInceptionSha256));
}

TEST_F(CatalogueCommandTest, AMirrorWithoutTheFileIsAResourceError) {
  const LoopbackServer server([](const ServedRequest&, int) {
    Answer answer;
    answer.status = 404;
    return answer;
  });
  const auto result = run({"data", "fetch", "mnist", "--mirror", server.url("d")});
  expect_error(result, 7, "not fetched, try again or use another mirror");
  EXPECT_THAT(error_line(result),
              AllOf(HasSubstr(server.url("d/train-images-idx3-ubyte.gz")), HasSubstr("404")));
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(CatalogueCommandTest, WhatIsThereAndRightIsNotFetched) {
  if (!fs::exists("/usr/share/datasets/fashion-mnist")) {
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  }
  const LoopbackServer server([](const ServedRequest&, int) { return Answer{}; });
  const auto fetched = run({"data", "fetch", "fashion-mnist", "--mirror", server.url("")});
  EXPECT_EQ(fetched.exit_code, 0) << fetched.err;
  EXPECT_THAT(fetched.out,
              AllOf(HasSubstr(line("fashion-mnist", "present", "/usr/share/datasets/fashion-mnist")),
                    HasSubstr("the official bytes")));
  EXPECT_TRUE(server.requests().empty());
  const auto verified = run({"data", "verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_EQ(verified.out, fetched.out) << "without names, what is here";
}

TEST_F(CatalogueCommandTest, DamagedDataIsNamedAndSoIsTheCommandThatMendsIt) {
  const auto folder = home_ / "data/mnist";
  testing::write_banded_digits(folder, "train", 8);
  testing::write_banded_digits(folder, "t10k", 8);
  const auto verified = run({"data", "verify", "mnist"});
  expect_error(verified, 3, "missing or damaged: mnist; run 'ddpm-eval data fetch mnist'");
  EXPECT_THAT(verified.out, AllOf(HasSubstr(line("mnist", "damaged", folder)),
                                  HasSubstr("8 entries where 60000 are expected")));
  fs::create_directories(home_ / "data/cifar-10-batches-bin");
  std::ofstream(home_ / "data/cifar-10-batches-bin/test_batch.bin") << "cut";
  const auto listed = run({"data", "list"});
  EXPECT_THAT(listed.out, AllOf(HasSubstr(line("cifar10", "damaged", home_ / "data/cifar-10-batches-bin")),
                                HasSubstr("data_batch_1.bin is missing")));
}

TEST_F(CatalogueCommandTest, WrongWordsAreUsageErrors) {
  expect_error(run({"data", "verify", "cifar01"}), 2, "did you mean 'cifar10'?");
  expect_error(run({"weights", "fetch", "inception"}), 2,
               "'inception' is not known here; there is inception-fid");
  expect_error(run({"data", "fetch"}), 2, "NAME is required");
  expect_error(run({"data", "fetch", "mnist", "--mirror", "ftp://example.org"}), 2,
               "not a URL that begins with http://, https:// or file://");
}

}  // namespace
}  // namespace ddpm_eval
