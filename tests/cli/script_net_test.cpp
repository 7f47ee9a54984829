#include "base/core/digest.h"
#include "tests/support/files.h"
#include "tests/support/program.h"
#include "tests/support/records.h"
#include "tests/support/script_files.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

// TorchScript files as feature networks, through the program.
namespace ddpm_eval {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::record_of;
using testing::refusal;

const std::string kScriptReal = "gaussian-noise:20x20x3?num=60&seed=1";
const std::string kScriptFake = "gaussian-noise:20x20x3?num=70&seed=2";

class ScriptNets : public ::testing::Test {
 protected:
  ScriptNets() { put("pool.pt", testing::script_bytes(testing::kPoolNet)); }

  void put(const std::string& name, const std::string& text) const { testing::put_file(dir_ / name, text); }
  std::string path(const std::string& name) const { return (dir_ / name).string(); }

  static std::vector<std::string> fid(std::vector<std::string> more) {
    more.insert(more.begin(), {"fid", "--real", kScriptReal, "--fake", kScriptFake});
    return more;
  }
  std::vector<std::string> pool(std::vector<std::string> more) const {
    more.insert(more.begin(), {"--features", path("pool.pt")});
    return fid(more);
  }

  testing::TempDir dir_;
};

TEST_F(ScriptNets, AreScoredWithUnderTheirOwnName) {
  const auto record = record_of(pool({"--convention", "dinov2", "--trust-torchscript"}));
  EXPECT_GT(record["metrics"]["frechet_distance"].get<double>(), 0.0);
  EXPECT_EQ(record["metrics"].size(), 1u);
  const auto& features = record["features"];
  EXPECT_EQ(features["name"], "pool");
  EXPECT_EQ(features["weights_sha256"], core::sha256_of_file(dir_ / "pool.pt"));
  EXPECT_EQ(features["dim"], 48);
  EXPECT_EQ(features["preset"], "dinov2");
  EXPECT_EQ(features["convention"]["resize"], "pillow-bicubic-of-bytes");
  EXPECT_EQ(features["convention"]["mean"], (json{0.485, 0.456, 0.406}));

  // The same in a file beside it, which other options of the program then need not repeat.
  put("pool.toml", "convention = 'dinov2'\n");
  const auto beside = record_of(pool({"--trust-torchscript"}));
  EXPECT_EQ(beside["metrics"], record["metrics"]);
  EXPECT_EQ(beside["features"], features);
  put("small.toml", "size = 32\nresize = 'antialiased-bilinear'\nrange = 'signed'\nstd = 2\n");
  const auto small = record_of(pool({"--convention", path("small.toml"), "--trust-torchscript"}));
  EXPECT_EQ(small["features"]["convention"]["size"], 32);
  EXPECT_EQ(small["features"]["convention"]["std"], (json{2.0, 2.0, 2.0}));
  EXPECT_NE(small["metrics"], record["metrics"]);
}

TEST_F(ScriptNets, RunOnlyWhereTheyAreTrusted) {
  EXPECT_THAT(refusal(pool({"--convention", "dinov2"}), 2),
              AllOf(HasSubstr("pool.pt: is taken for a TorchScript file, whose code runs with your rights"),
                    HasSubstr("add --trust-torchscript"), HasSubstr(core::sha256_of_file(dir_ / "pool.pt"))));
  EXPECT_THAT(refusal(fid({"--features", "fashion-mnist-small", "--trust-torchscript"}), 2),
              HasSubstr("--trust-torchscript: the features 'fashion-mnist-small' are no TorchScript file"));
  EXPECT_THAT(refusal(fid({"--features", "fashion-mnist-small", "--convention", "clip"}), 2),
              HasSubstr("--convention clip: only a TorchScript file takes one"));
}

TEST_F(ScriptNets, StatisticsAndFeaturesKeepTheConvention) {
  const std::vector<std::string> net = {"--features", path("pool.pt"), "--trust-torchscript"};
  const auto stats = [&](const std::string& flag, const std::string& target, const std::string& convention) {
    auto words = net;
    words.insert(words.begin(),
                 {"stats", "--data", kScriptReal, flag, path(target), "--convention", convention});
    record_of(words);
    return path(target);
  };
  const auto against = [&](const std::string& real, const std::string& convention) {
    auto words = net;
    words.insert(words.begin(), {"fid", "--real", real, "--fake", kScriptFake, "--convention", convention});
    return words;
  };
  const auto rows = stats("--features-out", "real.safetensors", "dinov2");
  EXPECT_EQ(record_of(against(rows, "dinov2"))["metrics"],
            record_of(pool({"--convention", "dinov2", "--trust-torchscript"}))["metrics"]);
  const auto moments = stats("--out", "real.npz", "dinov2");
  EXPECT_THAT(refusal(against(moments, "vgg16"), 6),
              HasSubstr("preset of the features differs: real dinov2, fake vgg16"));
  put("other.toml", "convention = 'dinov2'\nsize = 112\n");
  put("same.toml", "convention = 'dinov2'\n");
  EXPECT_EQ(record_of(against(moments, path("same.toml")))["features"]["preset"], "dinov2");
  put("restated.toml", "convention = 'dinov2'\nsize = 224\n");
  const auto custom = stats("--out", "custom.npz", path("restated.toml"));
  EXPECT_THAT(refusal(against(custom, path("other.toml")), 6),
              HasSubstr("convention of the features differs"));
  EXPECT_THAT(refusal({"fid", "--real", moments, "--fake", kScriptFake}, 2),
              HasSubstr("was made with the network 'pool': name its file with --features"));
  // Files alone need no network to be scored.
  EXPECT_EQ(record_of({"fid", "--real", moments, "--fake", rows})["features"]["name"], "pool");
}

TEST_F(ScriptNets, APresetIsNoMoreThanItsRules) {
  const auto words = [&](const std::string& command, const std::string& preset) {
    return std::vector<std::string>{
        command,      "--real",        kScriptReal,    "--fake", kScriptFake,
        "--features", path("pool.pt"), "--convention", "dinov2", "--trust-torchscript",
        "--preset",   preset};
  };
  const auto record = record_of(words("prdc", "dgm-eval"));
  EXPECT_EQ(record["parts"]["neighbours"]["rules"], "dgm-eval");
  EXPECT_EQ(record["parts"]["neighbours"]["k"], 5);
  EXPECT_EQ(record["parts"]["neighbours"]["radius"], "excluded");
  EXPECT_EQ(record["features"]["preset"], "dinov2");
  EXPECT_EQ(record_of(words("kid", "dgm-eval"))["parts"]["kernel"]["subset_size"], 60) << "all there are";
  EXPECT_THAT(refusal(words("kid", "torch-fidelity"), 2), HasSubstr("a subset takes at least 1000"));
  EXPECT_THAT(refusal(words("fid", "dgm-eval"), 2),
              AllOf(HasSubstr("--preset dgm-eval: only the FID Inception has presets"),
                    HasSubstr("it chooses the rules of kid and prdc alone")));
}

TEST_F(ScriptNets, NvidiasInceptionIsKnownByNameAndBySignature) {
  put("inception-2015-12-05.pt", testing::script_bytes(testing::kNvidiaNet));
  const auto file = path("inception-2015-12-05.pt");
  const auto by_content = record_of(fid({"--features", file, "--trust-torchscript"}));
  EXPECT_EQ(by_content["features"]["preset"], "nvidia-inception");
  const auto by_name =
      record_of(fid({"--features", "nvidia-inception", "--weights", file, "--trust-torchscript"}));
  EXPECT_EQ(by_name["metrics"], by_content["metrics"]);
  EXPECT_EQ(by_name["features"]["name"], "nvidia-inception");
  EXPECT_TRUE(by_name["metrics"].contains("frechet_distance")) << "nothing vouches for the file";
  EXPECT_THAT(
      refusal(fid({"--features", "nvidia-inception", "--weights", path("none.pt"), "--trust-torchscript"}),
              3),
      HasSubstr("none.pt: NVIDIA's inception-2015-12-05.pt is not there; name the file with --weights"));
}

TEST_F(ScriptNets, WhatCannotBeUsedIsRefused) {
  const auto trusted = [&](std::vector<std::string> more, int exit_code) {
    more.emplace_back("--trust-torchscript");
    return refusal(fid(std::move(more)), exit_code);
  };
  const auto with_file = [&](const std::string& convention) {
    put("c.toml", convention);
    return trusted({"--features", path("pool.pt"), "--convention", path("c.toml")}, 2);
  };
  EXPECT_THAT(trusted({"--features", path("pool.pt")}, 2),
              HasSubstr("say what the network is given, by --convention"));
  EXPECT_THAT(trusted({"--features", path("pool.pt"), "--convention", "dinov"}, 2),
              HasSubstr("--convention dinov: there is no convention 'dinov'; did you mean 'dinov2'?"));
  EXPECT_THAT(with_file("size = 32\n"), HasSubstr("c.toml: says no resize; it needs size, resize and range"));
  EXPECT_THAT(with_file("convention = 'clip'\nmeans = 3\n"),
              HasSubstr("unknown key 'means'; did you mean 'mean'?"));
  EXPECT_THAT(with_file("convention = 'clip'\nstd = [1, 0, 1]\n"),
              HasSubstr("std = [1,0,1] is not a positive number"));
  EXPECT_THAT(with_file("convention = 'clip'\nresize = 'bicubic'\n"),
              HasSubstr("resize = 'bicubic' is not known"));
  EXPECT_THAT(with_file("convention = 'clip'\nsize = 0\n"), HasSubstr("size = 0 is not a number of pixels"));
  put("text.pt", "no archive");
  EXPECT_THAT(trusted({"--features", path("text.pt"), "--convention", "clip"}, 3),
              HasSubstr("text.pt: is no TorchScript file"));
  put("huge.pt", testing::script_bytes(testing::kHugeNet));
  EXPECT_THAT(trusted({"--features", path("huge.pt"), "--convention", "clip"}, 7),
              HasSubstr("out of memory"));
  put("inception-v3-fid.pt", testing::script_bytes(testing::kPoolNet));
  EXPECT_THAT(trusted({"--features", path("inception-v3-fid.pt"), "--convention", "clip"}, 2),
              HasSubstr("'inception-v3-fid' is a network that the program has already"));
  EXPECT_THAT(trusted({"--features", path("none.pt")}, 3),
              HasSubstr("none.pt: no such file of a feature network"));
  EXPECT_THAT(refusal({"is", "--fake", kScriptFake, "--features", path("pool.pt"), "--convention", "clip",
                       "--trust-torchscript"},
                      2),
              HasSubstr("these features have no classes to take an Inception Score of"));
}

}  // namespace
}  // namespace ddpm_eval
