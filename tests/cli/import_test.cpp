#include "base/data/safetensors.h"
#include "tests/support/run_fixture.h"
#include "tests/support/tensor_matchers.h"

#include <filesystem>
#include <fstream>

// Models to and from other programs, through the program.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::run_program;
using testing::TensorEq;

constexpr const char* kWeights = "diffusion_pytorch_model.safetensors";

/// 28 x 28, for the built-in features.
const std::string kImages =
    "[data]\nsource = 'gaussian-noise:28x28x1?num=16'\n"
    "[model.unet]\nbase_channels = 8\nmultipliers = [1, 2]\nres_blocks = 1\nattention_resolutions = [14]\n"
    "groups = 4\n"
    "[process]\nsteps = 10\n"
    "[train]\nsteps = 2\nbatch_size = 4\nwarmup_steps = 1\n"
    "[sample]\nspacing = 'leading'\nmicro_batch = 4\n";
const std::string kPoints =
    "[data]\nsource = 'swiss-roll'\npoints = 100\n[model]\nkind = 'mlp'\n[process]\nsteps = 10\n"
    "[train]\nsteps = 1\nbatch_size = 4\nflip = false\n[sample]\nclip = false\n";

class InterchangeTest : public testing::RunFixture {
 protected:
  void train(const std::string& run, const std::string& config,
             const std::vector<std::string>& settings = {}) {
    std::ofstream(dir_ / "c.toml") << config;
    std::vector<std::string> arguments = {"train", "--config", path("c.toml"), "--out", path(run)};
    for (const auto& setting : settings) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    done(arguments);
  }
};

TEST_F(InterchangeTest, AnExportedRunComesBackTheSame) {
  train("run", kImages);
  EXPECT_THAT(done({"export", "--run", path("run"), "--out", path("model")}), HasSubstr("UNet2DModel"));
  done({"import", path("model"), "--out", path("back"), "--data", "noise"});
  const auto before = data::read_safetensors(dir_ / "run/checkpoint.safetensors").tensors;
  const auto after = data::read_safetensors(dir_ / "back/checkpoint.safetensors").tensors;
  int averaged = 0;
  for (const auto& [name, values] : after) {
    EXPECT_THAT(values, TensorEq(tensor::find(before, name))) << name;
    averaged += name.starts_with("ema.") ? 1 : 0;
  }
  EXPECT_EQ(static_cast<size_t>(averaged + 1), after.size()) << "the averages and data.shape";

  done({"export", "--run", path("back"), "--out", path("again")});
  for (const char* file : {"config.json", "scheduler_config.json", "model_index.json", kWeights}) {
    EXPECT_EQ(bytes_of(dir_ / "again" / file), bytes_of(dir_ / "model" / file)) << file;
  }
  for (const char* run : {"run", "back"}) {
    done({"sample", "--run", path(run), "--num", "3", "--out", path(std::string(run) + "-png")});
  }
  EXPECT_EQ(bytes_of(dir_ / "back-png/000002.png"), bytes_of(dir_ / "run-png/000002.png"));
  done({"export", "--run", path("run"), "--out", path("last"), "--last-weights"});
  EXPECT_NE(bytes_of(dir_ / "last" / kWeights), bytes_of(dir_ / "model" / kWeights));
}

TEST_F(InterchangeTest, ScoresOfAnImportedRunSayWhereItComesFrom) {
  train("run", kImages);
  const auto exported =
      nlohmann::json::parse(done({"export", "--run", path("run"), "--out", path("model"), "--json", "-"}));
  const auto imported =
      nlohmann::json::parse(done({"import", path("model"), "--out", path("back"), "--json", "-"}));
  EXPECT_EQ(imported["origin"]["files"][0]["sha256"], exported["weights_sha256"]);
  EXPECT_EQ(imported["parameters"], exported["parameters"]);
  for (const char* file : {"config.json", kWeights}) {
    const auto before = bytes_of(dir_ / "model" / file);
    const auto kept = run_program(
        {"import", path("model"), "--out", path("third"), "--json", path(std::string("model/") + file)});
    EXPECT_EQ(kept.exit_code, 2) << kept.err;
    EXPECT_EQ(bytes_of(dir_ / "model" / file), before);
  }
  const auto stored = nlohmann::json::parse(bytes_of(dir_ / "back/import.json"));
  EXPECT_EQ(stored["origin"], imported["origin"]);
  const auto score = nlohmann::json::parse(
      done({"fid", "--real", "gaussian-noise:28x28x1?num=20", "--fake",
            "run:" + path("back") + "?num=4&steps=2", "--features", "fashion-mnist-small", "--json", "-"}));
  EXPECT_EQ(score["fake"]["context"]["origin"], imported["origin"]);
  EXPECT_TRUE(score["fake"]["context"]["step"].is_null()) << "no such thing is known";
  const auto bound =
      nlohmann::json::parse(done({"nll", "--run", path("back"), "--data", "gaussian-noise:28x28x1?num=2",
                                  "--out", path("nll"), "--json", "-"}));
  EXPECT_EQ(bound["origin"], imported["origin"]);
}

TEST_F(InterchangeTest, AnImportedRunIsNotTrainedOn) {
  const auto golden = (testing::source_dir() / "tests/golden/diffusers").string();
  EXPECT_THAT(done({"import", golden, "--out", path("run")}), HasSubstr("for images of 8 x 8 x 3"));
  refused(2, {"train", "--out", path("run"), "--resume"},
          "was imported, and has no state of an optimiser to go on from");
  refused(3, {"sample", "--run", path("run"), "--num", "1", "--out", path("o"), "--last-weights"},
          "was imported, and has the averaged weights alone");
  refused(2, {"import", golden, "--out", path("run")}, "run: is there already; choose another name");
  refused(2, {"export", "--run", path("run"), "--out", path("run")}, "--out");
}

TEST_F(InterchangeTest, RefusalsLeaveNothingBehind) {
  train("mu", kImages, {"objective.prediction='mu'"});
  train("points", kPoints);
  refused(2, {"export", "--run", path("mu"), "--out", path("a")},
          "objective.prediction: diffusers has nothing");
  refused(2, {"export", "--run", path("points"), "--out", path("b")}, "model.kind: diffusers has nothing");
  refused(3, {"export", "--run", path("none"), "--out", path("c")}, "checkpoint.safetensors");
  fs::create_directory(dir_ / "model");
  refused(3, {"import", path("model"), "--out", path("d")},
          "model: has no config.json, nor has its folder unet");
  for (const auto& entry : fs::directory_iterator(dir_.path())) {
    EXPECT_THAT(entry.path().filename().string(), ::testing::AnyOf("c.toml", "mu", "points", "model"));
  }
}

}  // namespace
}  // namespace ddpm_eval
