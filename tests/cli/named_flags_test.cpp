#include "tests/support/run_fixture.h"

// A value that does not suit is told before any work, by the flag, or the file and the key, that gave it.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::kTinyImages;
using testing::kTinyPoints;

class NamedFlags : public testing::RunFixture {
 protected:
  Arguments training(const std::string& config, const Arguments& settings = {}) const {
    testing::put_file(dir_ / "c.toml", config);
    Arguments arguments = {"train", "--config", path("c.toml"), "--out", path("refused")};
    for (const auto& setting : settings) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    return arguments;
  }

  Arguments show(const std::string& what, const Arguments& more) const {
    Arguments arguments = {"show", what, "--strip", path("s.png")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

TEST_F(NamedFlags, SizesBeyondReason) {
  const std::string many = "99999999999";
  train("images", kTinyImages);
  train("points", kTinyPoints);
  refused(2, {"nll", "--run", path("points"), "--data", "moons", "--out", path("n"), "--micro-batch", many},
          "--micro-batch 99999999999: 99999999999 is not within 1..1000000");
  refused(2, {"nll", "--run", path("points"), "--data", "moons", "--out", path("n"), "--micro-batch", "0"},
          "--micro-batch 0: 0 is not within 1..");
  const auto source = "run:" + path("images") + "?num=2&micro_batch=" + many;
  refused(2, {"is", "--fake", source}, "source '" + source + "': micro_batch: 99999999999 is not within 1..");
  refused(2, {"features", "train", "--out", path("n.safetensors"), "--batch-size", many},
          "--batch-size 99999999999: 99999999999 is not within 2..1000000");
  refused(2, training(kTinyPoints + "[score]\nevery = 1\nnum = 9\nreal = 'moons'\n", {"score.num=" + many}),
          "--set score.num=99999999999: 99999999999 is above 10000000");
  refused(2, {"is", "--fake", "gaussian-noise:28x28x1?num=" + many}, "num=99999999999 is above 100000000");
  refused(2, {"score", "--real", "moons", "--fake", "moons?num=" + many},
          "num=99999999999 is above 100000000");
  refused(2, {"sample", "--run", path("points"), "--num", many, "--out", path("p.npy")},
          "--num 99999999999: is above 100000000");
  refused(7, training(kTinyImages, {"data.source='gaussian-noise:2048x2048x3?num=100000000'"}),
          "data.source='gaussian-noise:2048x2048x3?num=100000000': 100000000 takes 1.258e+06 GB at least");
  refused(7,
          {"nll", "--run", path("images"), "--data", "gaussian-noise:2048x2048x3?num=100000000", "--out",
           path("n")},
          "--data gaussian-noise:2048x2048x3?num=100000000: 100000000 takes");
  EXPECT_FALSE(fs::exists(dir_ / "refused"));
  EXPECT_FALSE(fs::exists(dir_ / "n"));
}

TEST_F(NamedFlags, SourcesOfAConfiguration) {
  const auto config = path("c.toml");
  refused(2, training("[data]\nsource = 'cifra'\n"), config + ": data.source: unknown source 'cifra'");
  refused(3, training("[data]\nsource = '/no/such'\n"), config + ": data.source: /no/such: no such file");
  refused(2, training(kTinyPoints + "[score]\nevery = 1\nnum = 9\nreal = 'mons'\n"),
          config + ": score.real: unknown source 'mons'; did you mean 'moons'?");
  refused(2, training(kTinyImages, {"data.source=cifra"}), "--set data.source=cifra: unknown source");
  refused(2, {"features", "train", "--out", path("n.safetensors"), "--data", "cifra"},
          "--data cifra: unknown source");
}

TEST_F(NamedFlags, WhatContradictsItself) {
  const auto config = path("c.toml");
  refused(2, training(kTinyImages, {"model.kind=gated-mlp"}),
          "--set model.kind=gated-mlp: 'gated-mlp' is for points, and data.source "
          "'gaussian-noise:28x28x1?num=16' "
          "has images; use 'unet'");
  refused(2, training("[data]\nsource = 'moons'\n"),
          config + ": model.kind: 'unet' is for images, and data.source 'moons' has points");
  refused(
      2, training(kTinyImages, {"sample.weights=best"}),
      "--set sample.weights=best: 'best' is the weights that scored best, and score.every = 0 scores none");
  refused(2, training(kTinyImages, {"train.steps=0"}), "--set train.steps=0: 0 is below 1");
  refused(2, training(kTinyImages + "[objective]\nvariance = 'learned'\n"),
          config + ": objective.variance: 'learned' is not trained by");
  EXPECT_FALSE(fs::exists(dir_ / "refused"));
}

TEST_F(NamedFlags, OptionsWithoutEffect) {
  train("points", kTinyPoints);
  refused(2, {"nll", "--run", path("points"), "--data", "moons", "--out", path("n"), "--no-clip"},
          "--no-clip: has no effect on points");
  refused(2, {"nll", "--run", path("points"), "--data", "moons", "--out", path("n"), "--precision", "bf16"},
          "--precision bf16: networks for points have 'float32' alone");
  refused(2, {"nll", "--run", path("points"), "--data", "moons", "--out", path("n"), "--precision", "fp16"},
          "--precision fp16: 'fp16' is not one of float32 or bf16");
  for (const char* flag : {"--frames", "--delay", "--hold", "--colours"}) {
    refused(2, show("forward", {"--data", "moons", flag, "20"}),
            std::string(flag) + ": has no effect without --gif");
  }
  refused(2, {"show", "forward", "--data", "moons", "--gif", path("g.gif"), "--columns", "4"},
          "--columns: has no effect without --strip");
  refused(2, {"show", "interpolate", "--run", path("points"), "--gif", path("g.gif"), "--lambda", "0.5"},
          "--lambda: has no effect without --strip");
  refused(2, show("forward", {"--data", "moons", "--schedule", "cosine", "--beta-start", "0.1"}),
          "--beta-start 0.1: has no effect on the schedule 'cosine'");
  refused(2, show("forward", {"--data", "moons", "--schedule", "cosine", "--rescale", "true"}),
          "--rescale true: has no effect on the schedule 'cosine'");
  refused(2, show("forward", {"--data", "moons", "--beta-start", "0.5"}),
          "--beta-start 0.5: needs 0 < beta_start <= beta_end, found 0.5 and 0.02");
  refused(2, show("forward", {"--data", "moons", "--set", "train.steps=5"}),
          "--set train.steps=5: has no effect on the forward process");
  EXPECT_FALSE(fs::exists(dir_ / "s.png"));
}

TEST_F(NamedFlags, AShortSourceIsShownWhole) {
  const auto shown = [&](const Arguments& more) {
    auto arguments = show("forward", {"--columns", "2", "--scale", "1"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return record_of(arguments)["count"];
  };
  train("run", kTinyImages);
  done({"sample", "--run", path("run"), "--num", "3", "--out", path("three")});
  EXPECT_EQ(shown({"--data", path("three")}), 3);
  EXPECT_EQ(shown({"--data", "gaussian-noise:8x8x1?num=20"}), 20) << "as many as it says";
  refused(2, show("forward", {"--data", path("three"), "--num", "4"}), "num=4 does not fit");
}

TEST_F(NamedFlags, ARunThatCannotBeExportedNamesItsNetwork) {
  train("gated", kTinyPoints, {"--set", "model.kind=gated-mlp"});
  refused(2, {"export", "--run", path("gated"), "--out", path("e")},
          "model.kind: diffusers has nothing like 'gated-mlp'");
  EXPECT_FALSE(fs::exists(dir_ / "e"));
}

}  // namespace
}  // namespace ddpm_eval
