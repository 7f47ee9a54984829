#include "base/core/digest.h"
#include "base/data/npy.h"
#include "base/data/npz.h"
#include "base/data/safetensors.h"
#include "tests/support/run_fixture.h"

#include <algorithm>

#include <torch/types.h>

// What runs and samples say of themselves, and what is done where they do not: the right weights, nothing of
// others replaced.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::json_of;
using testing::kTinyImages;
using testing::kTinyPoints;

class OwnSamples : public testing::RunFixture {
 protected:
  Arguments sample(const std::string& run, const std::string& out, const Arguments& more = {}) const {
    Arguments arguments = {"sample", "--run", path(run), "--out", path(out)};
    if (std::find(more.begin(), more.end(), "--num") == more.end()) {
      arguments.insert(arguments.end(), {"--num", "3"});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  /// Rewrites the configuration that a checkpoint keeps.
  template <class Change>
  void change_config(const std::string& checkpoint, const Change& change) const {
    auto file = data::read_safetensors(dir_ / checkpoint);
    auto config = nlohmann::ordered_json::parse(file.metadata.at("config"));
    change(config);
    file.metadata["config"] = config.dump();
    file.metadata["config_sha256"] = core::sha256_hex(file.metadata["config"]);
    data::write_safetensors(dir_ / checkpoint, file.tensors, file.metadata);
  }
};

TEST_F(OwnSamples, ARunOfAnEarlierVersionIsGoneOnWith) {
  train("whole", kTinyImages, {"--set", "train.steps=2"});
  train("older", kTinyImages);
  change_config("older/checkpoint.safetensors", [](auto& config) {
    config["train"].erase("precision");
    config["model"].erase("gated_mlp");
    config["sample"].erase("precision");
    config.erase("score");
  });
  const Arguments resume = {"train", "--config", path("older.toml"), "--out", path("older"), "--resume"};
  auto changed = resume;
  changed.insert(changed.end(), {"--set", "train.precision=bf16"});
  refused(2, changed, "train.precision was not set and is \"bf16\" now");
  auto longer = resume;
  longer.insert(longer.end(), {"--set", "train.steps=2"});
  done(longer);
  EXPECT_EQ(bytes_of(dir_ / "older/checkpoint.safetensors"), bytes_of(dir_ / "whole/checkpoint.safetensors"));
}

TEST_F(OwnSamples, BestWeightsOfAnotherRunAreNotSampled) {
  const std::string scored = kTinyPoints + "[score]\nevery = 2\nnum = 40\nreal = 'moons?num=50&seed=9'\n";
  train("run", scored);
  train("other", scored, {"--set", "train.seed=1"});
  done(sample("run", "own.npy", {"--weights", "best"}));
  fs::copy_file(dir_ / "other/best.safetensors", dir_ / "run/best.safetensors",
                fs::copy_options::overwrite_existing);
  refused(
      3, sample("run", "o.npy", {"--weights", "best"}),
      "run/best.safetensors: is of another run than checkpoint.safetensors beside it: train.seed is 1 there "
      "and 0 here");
  refused(3, {"train", "--out", path("run"), "--resume", "--set", "train.steps=6"}, "is of another run");
}

TEST_F(OwnSamples, RecordsHaveTheSamplerAsItWasResolved) {
  train("run", kTinyImages);
  const auto sampler = [&](const std::string& out, const Arguments& more) {
    return record_of(sample("run", out, more))["sampler"];
  };
  const auto ancestral = sampler("a", {"--sampler", "ancestral", "--steps", "0"});
  EXPECT_EQ(ancestral["steps"], 4);
  EXPECT_EQ(ancestral["visited"], 4);
  EXPECT_EQ(ancestral["variance"], "fixedlarge") << "the model's own";
  const auto ddim = sampler("b", {"--spacing", "quad", "--steps", "4"});
  EXPECT_EQ(ddim["steps"], 4);
  EXPECT_EQ(ddim["visited"], 3) << "0, 0, 1, 3: steps that coincide are visited once";
  EXPECT_FALSE(ddim.contains("variance")) << "which only the ancestral sampler has";
  EXPECT_EQ(json_of(dir_ / "a/samples.json")["sampler"], ancestral);
}

TEST_F(OwnSamples, AFolderOfAnEarlierVersionIsGoneOnWith) {
  train("run", kTinyImages, {"--set", "sample.steps=0", "--set", "sample.sampler=ancestral"});
  done(sample("run", "samples"));
  auto provenance = nlohmann::ordered_json::parse(bytes_of(dir_ / "samples/samples.json"));
  auto& sampler = provenance["sampler"];
  sampler["steps"] = 0;
  sampler["variance"] = "model";
  sampler.erase("visited");
  sampler.erase("precision");
  testing::put_file(dir_ / "samples/samples.json", provenance.dump());
  done(sample("run", "samples"));
  refused(2, sample("run", "samples", {"--variance", "fixedsmall"}), "holds samples with another sampler");
}

TEST_F(OwnSamples, PointsSayHowTheyWereMadeAndSoDoTheirScores) {
  train("run", kTinyPoints);
  done(sample("run", "p.npy", {"--num", "30"}));
  const auto provenance = json_of(dir_ / "p.samples.json");
  EXPECT_EQ(provenance["count"], 30);
  EXPECT_EQ(provenance["npy_sha256"], core::sha256_of_file(dir_ / "p.npy"));
  const Arguments score = {"score", "--real", "moons?num=30", "--fake", path("p.npy")};
  auto record = record_of(score);
  EXPECT_EQ(record["fake"]["context"], provenance);
  EXPECT_EQ(record["precision"], "float32 points, float64 distances");
  const auto drawn =
      record_of({"score", "--real", "moons?num=30", "--fake", "run:" + path("run") + "?num=30"});
  EXPECT_EQ(drawn["fake"]["context"]["checkpoint_sha256"], provenance["checkpoint_sha256"]);
  EXPECT_EQ(drawn["metrics"], record["metrics"]);

  testing::put_file(dir_ / "p.npy", data::to_npy(torch::zeros({30, 2})));
  record = record_of(score);
  EXPECT_FALSE(record["fake"].contains("context")) << "it is of other points";
}

TEST_F(OwnSamples, FilesOfUnknownOriginAreNotReplaced) {
  train("images", kTinyImages);
  train("points", kTinyPoints);
  for (const auto& [run, file] : {std::pair{"images", "x.npz"}, std::pair{"points", "x.npy"}}) {
    testing::put_file(dir_ / file, "a year's work");
    refused(2, sample(run, file), "--out " + path(file) + ": is there, and not samples of this program");
    EXPECT_EQ(bytes_of(dir_ / file), "a year's work");
    fs::remove(dir_ / file);
    done(sample(run, file));
    const auto before = bytes_of(dir_ / file);
    done(sample(run, file, {"--seed", "1"}));
    EXPECT_NE(bytes_of(dir_ / file), before) << "its own it replaces";
  }
}

TEST_F(OwnSamples, AFileWhereTheirMakingWouldBeToldIsNotReplaced) {
  train("run", kTinyPoints);
  for (const auto* foreign : {"{\"kind\": \"score\"}", "[1, 2]", "a year's work"}) {
    testing::put_file(dir_ / "x.samples.json", foreign);
    refused(2, sample("run", "x.npy"), "would go into " + path("x.samples.json") + ", which is there");
    EXPECT_EQ(bytes_of(dir_ / "x.samples.json"), foreign);
    EXPECT_FALSE(fs::exists(dir_ / "x.npy"));
  }
}

TEST_F(OwnSamples, PointsAreNotRounded) {
  train("run", kTinyPoints);
  refused(2, sample("run", "x.npy", {"--rounding", "truncate"}),
          "--rounding truncate: has no effect on points");
}

TEST_F(OwnSamples, FoldersOfModelsAreNotMixedWith) {
  train("run", kTinyImages);
  refused(2, sample("run", "run"),
          "--out " + path("run") + ": is the folder of a model (checkpoint.safetensors");
  EXPECT_FALSE(fs::exists(dir_ / "run/000000.png"));
  done({"export", "--run", path("run"), "--out", path("model")});
  refused(2, sample("run", "model"), "is the folder of a model (model_index.json");
  refused(2, {"import", path("model"), "--out", path("model/run")}, "lies in the folder of the source");
  refused(2, {"import", path("model"), "--out", path("run/imported")}, "is the folder of a model");
  done(sample("run", "run/samples"));
}

TEST_F(OwnSamples, ARecordThatCannotBeWrittenLeavesNoModel) {
  train("run", kTinyImages);
  done({"export", "--run", path("run"), "--out", path("model")});
  for (const char* target : {"/dev/full", "-"}) {
    for (const auto& arguments : {Arguments{"export", "--run", path("run"), "--out", path("new")},
                                  Arguments{"import", path("model"), "--out", path("new")}}) {
      auto call = arguments;
      call.insert(call.end(), {"--json", target});
      const auto result = testing::run_program(call, {.standard_output = "/dev/full"});
      EXPECT_EQ(result.exit_code, 7) << result.err;
      EXPECT_FALSE(fs::exists(dir_ / "new"));
    }
  }
  for (const auto& entry : fs::directory_iterator(dir_.path())) {
    EXPECT_THAT(entry.path().filename().string(), ::testing::AnyOf("run", "run.toml", "model"));
  }
}

}  // namespace
}  // namespace ddpm_eval
