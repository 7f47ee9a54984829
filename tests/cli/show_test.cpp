#include "base/core/file_io.h"
#include "base/data/image_codec.h"
#include "tests/support/gif_reader.h"
#include "tests/support/run_fixture.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include <torch/types.h>

// `show` through the program.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::read_gif;

const std::string kImages =
    "[data]\nsource = 'gaussian-noise:8x8x3?num=16'\n"
    "[model.unet]\nbase_channels = 8\nmultipliers = [1]\nres_blocks = 1\nattention_resolutions = []\n"
    "dropout = 0.0\ngroups = 4\n"
    "[process]\nsteps = 10\n[train]\nsteps = 2\nbatch_size = 4\nwarmup_steps = 1\n[sample]\nmicro_batch = "
    "4\n";

const std::string kPoints =
    "[data]\nsource = 'swiss-roll'\npoints = 200\n[model]\nkind = 'mlp'\n[model.mlp]\nwidth = 16\n"
    "[process]\nsteps = 20\nrescale = true\nbeta_end = 0.015\n"
    "[train]\nsteps = 3\nbatch_size = 32\nflip = false\nwarmup_steps = 1\n[sample]\nclip = false\n";

at::Tensor read_png(const fs::path& path) {
  const auto bytes = core::read_file(path);
  return data::decode_image(bytes).image_u8;
}

/// Where `image` is in `picture` (both uint8 [3, ...]) to the pixel: the left edges of all places.
std::vector<int64_t> lefts_of(const at::Tensor& image, const at::Tensor& picture) {
  const int64_t height = image.size(1), width = image.size(2);
  const auto windows = picture.unfold(1, height, 1).unfold(2, width, 1);  // [3, y, x, h, w]
  const auto equal = windows.eq(image.view({3, 1, 1, height, width})).all(4).all(3).all(0);
  const auto found = equal.nonzero().select(1, 1).contiguous();
  return {found.data_ptr<int64_t>(), found.data_ptr<int64_t>() + found.numel()};
}

class Show : public testing::RunFixture {
 protected:
  void train(const std::string& run, const std::string& config) const {
    std::ofstream(dir_ / "c.toml") << config;
    done({"train", "--config", path("c.toml"), "--out", path(run)});
  }
};

TEST_F(Show, ForwardNeedsNoRun) {
  const std::vector<std::string> arguments = {
      "show",     "forward",     "--data",     "gaussian-noise:8x8x3?num=3",
      "--steps",  "10",          "--schedule", "cosine",
      "--scale",  "1",           "--columns",  "6",
      "--frames", "3",           "--num",      "2",
      "--strip",  path("s.png"), "--gif",      path("g.gif")};
  const auto record = record_of(arguments);
  EXPECT_EQ(record["kind"], "pictures");
  EXPECT_EQ(record["shows"], "forward");
  EXPECT_EQ(record["process"]["kind"], "cosine");
  EXPECT_EQ(record["process"]["steps"], 10);
  EXPECT_EQ(record["count"], 2);
  EXPECT_THAT(record["pictures"]["strip"]["t"].get<std::vector<int>>(), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(record["pictures"]["gif"]["t"].get<std::vector<int>>(), ElementsAre(0, 5, 10));
  const auto gif = read_gif(dir_ / "g.gif");
  EXPECT_EQ(gif.frames_u8.size(0), 3);
  EXPECT_THAT(gif.delays, ElementsAre(100, 8, 100));
}

TEST_F(Show, ForwardOfAFolderShowsItsImages) {
  const auto image = torch::randint(0, 256, {3, 6, 6}, torch::kUInt8);
  fs::create_directory(dir_ / "faces");
  const auto png = data::encode_png(torch::constant_pad_nd(image, {2, 2}));
  core::write_file(dir_ / "faces/a.png", {png.data(), png.size()});
  done({"show", "forward", "--data", path("faces") + "?crop=center&side=6&num=1", "--steps", "50",
        "--rescale", "true", "--scale", "1", "--columns", "4", "--strip", path("s.png")});
  const auto strip = read_png(dir_ / "s.png");
  EXPECT_EQ(lefts_of(image, strip).size(), 1U) << "x_0 as it is, and nothing like it later";
  refused(2, {"show", "forward", "--data", path("faces"), "--num", "2", "--strip", path("t.png")},
          "num=2 does not fit");
  refused(2, {"show", "forward", "--data", path("faces") + "?num=1", "--strip", path("faces/t.png")},
          "--strip " + path("faces/t.png") + ": lies in the folder of --data");
}

TEST_F(Show, PointsAndTheSchedulesOfAConfiguration) {
  std::ofstream(dir_ / "c.toml") << kPoints;
  const std::vector<std::string> arguments = {"show", "forward",   "--config", path("c.toml"), "--num",
                                              "300",  "--columns", "3",        "--frames",     "4"};
  const auto to = [&](const std::string& name, std::vector<std::string> more = {}) {
    auto all = arguments;
    all.insert(all.end(), {"--strip", path(name + ".png"), "--gif", path(name + ".gif")});
    all.insert(all.end(), more.begin(), more.end());
    return record_of(all);
  };
  const auto record = to("a");
  EXPECT_EQ(record["data"], "swiss-roll");
  EXPECT_EQ(record["standardised"], true);
  EXPECT_EQ(record["process"]["steps"], 20);
  EXPECT_THAT(record["pictures"]["gif"]["t"].get<std::vector<int>>(), ElementsAre(0, 7, 13, 20));
  to("b");
  to("c", {"--seed", "1"});
  EXPECT_EQ(core::read_file(dir_ / "a.png"), core::read_file(dir_ / "b.png"));
  EXPECT_EQ(core::read_file(dir_ / "a.gif"), core::read_file(dir_ / "b.gif"));
  EXPECT_NE(core::read_file(dir_ / "a.gif"), core::read_file(dir_ / "c.gif"));
  const auto frames = read_gif(dir_ / "a.gif");
  EXPECT_TRUE(frames.shared_palette) << "scatter plots keep their colours";
  EXPECT_EQ(to("d", {"--set", "data.standardise=false"})["standardised"], false);
}

TEST_F(Show, ReverseEndsInTheImagesThatSampleDraws) {
  train("run", kImages);
  done({"sample", "--run", path("run"), "--num", "5", "--out", path("samples"), "--seed", "3", "--sampler",
        "ddim", "--steps", "4"});
  const std::vector<std::string> arguments = {
      "show", "reverse", "--run", path("run"), "--num", "5",       "--seed",      "3",     "--sampler",
      "ddim", "--steps", "4",     "--scale",   "1",     "--strip", path("s.png"), "--gif", path("g.gif")};
  const auto record = record_of(arguments);
  EXPECT_EQ(record["shows"], "reverse");
  EXPECT_EQ(record["weights"], "ema");
  EXPECT_EQ(record["sampler"]["steps"], 4);
  EXPECT_THAT(record["pictures"]["strip"]["t"].get<std::vector<int>>(), ElementsAre(10, 7, 4, 1, 0));
  const auto strip = read_png(dir_ / "s.png");
  const auto gif = read_gif(dir_ / "g.gif");
  EXPECT_EQ(gif.frames_u8.size(0), 5);
  std::set<int64_t> lefts;
  for (int i = 0; i < 5; ++i) {
    const auto sample = read_png(dir_ / ("samples/00000" + std::to_string(i) + ".png"));
    const auto found = lefts_of(sample, strip);
    ASSERT_FALSE(found.empty()) << i;
    lefts.insert(*std::max_element(found.begin(), found.end()));  // t = 1 may look the same
  }
  EXPECT_EQ(lefts.size(), 1U) << "one below the other";
  EXPECT_GE(*lefts.begin(), strip.size(2) - 12 - 20) << "in the last column";
  auto again = arguments;
  again[15] = path("t.png");
  again[17] = path("h.gif");
  record_of(again);
  EXPECT_EQ(core::read_file(dir_ / "s.png"), core::read_file(dir_ / "t.png"));
  EXPECT_EQ(core::read_file(dir_ / "g.gif"), core::read_file(dir_ / "h.gif"));
}

TEST_F(Show, ProgressiveEndsInTheSamplesToo) {
  train("run", kImages);
  done({"sample", "--run", path("run"), "--num", "2", "--out", path("samples")});
  const auto record = record_of({"show", "progressive", "--run", path("run"), "--num", "2", "--scale", "1",
                                 "--columns", "5", "--strip", path("s.png")});
  EXPECT_EQ(record["shows"], "progressive");
  EXPECT_THAT(record["pictures"]["strip"]["t"].get<std::vector<int>>(), ElementsAre(9, 7, 5, 3, 1));
  EXPECT_FALSE(record["pictures"].contains("gif"));
  const auto strip = read_png(dir_ / "s.png");
  EXPECT_EQ(lefts_of(read_png(dir_ / "samples/000001.png"), strip).size(), 1U)
      << "the last estimate is the sample";
}

TEST_F(Show, InterpolationAtDepth0MixesTheImages) {
  train("run", kImages);
  fs::create_directory(dir_ / "ends");
  const auto dark = torch::full({3, 8, 8}, 50, torch::kUInt8),
             light = torch::full({3, 8, 8}, 250, torch::kUInt8);
  for (const auto& [name, image] : {std::pair{"ends/a.png", dark}, std::pair{"ends/b.png", light}}) {
    const auto png = data::encode_png(image);
    core::write_file(dir_ / name, {png.data(), png.size()});
  }
  const auto record = record_of({"show", "interpolate", "--run", path("run"), "--data", path("ends"),
                                 "--depth", "0,5,10", "--lambda", "0,0.25,1", "--frames", "3", "--scale", "1",
                                 "--strip", path("s.png"), "--gif", path("g.gif")});
  EXPECT_EQ(record["shows"], "interpolate");
  EXPECT_EQ(record["data"], path("ends"));
  EXPECT_EQ(record["trained_on"], "gaussian-noise:8x8x3?num=16");
  EXPECT_THAT(record["t"].get<std::vector<int>>(), ElementsAre(0, 5, 10));
  EXPECT_THAT(record["pictures"]["gif"]["lambda"].get<std::vector<double>>(), ElementsAre(0, 0.5, 1));
  const auto strip = read_png(dir_ / "s.png");
  EXPECT_EQ(lefts_of(dark, strip).size(), 4U) << "left of three rows, and lambda = 0 at depth 0";
  EXPECT_EQ(lefts_of(light, strip).size(), 4U);
  EXPECT_EQ(lefts_of(torch::full({3, 8, 8}, 100, torch::kUInt8), strip).size(), 1U)
      << "3/4 of 50 and 1/4 of 250";
  const auto gif = read_gif(dir_ / "g.gif");
  EXPECT_THAT(gif.delays, ElementsAre(100, 8, 100, 8)) << "there and back";
  EXPECT_TRUE(torch::equal(gif.frames_u8[1], gif.frames_u8[3]));
}

TEST_F(Show, SlipsAreToldBeforeAnyWork) {
  train("run", kImages);
  train("roll", kPoints);
  const auto run = path("run"), strip = path("s.png");
  refused(2, {"show"},
          "a command is needed: show forward, show reverse, show progressive or show interpolate");
  refused(2, {"show", "reverse", "--run", run}, "say what to make: --strip FILE.png, --gif FILE.gif or both");
  refused(2, {"show", "forward", "--strip", strip}, "--data is needed, unless --config names");
  refused(2, {"show", "forward", "--data", "moons", "--schedule", "cosin", "--strip", strip},
          "--schedule cosin: 'cosin' is not one of");
  refused(2, {"show", "forward", "--data", "moons", "--set", "process.stps=3", "--strip", strip},
          "process.stps");
  refused(2, {"show", "forward", "--data", "none", "--strip", strip}, "unknown source");
  refused(2, {"show", "reverse", "--run", run, "--num", "-1", "--strip", strip}, "--num -1");
  refused(2, {"show", "reverse", "--run", run, "--steps", "11", "--strip", strip},
          "--steps 11: 11 is not within 1..10");
  refused(2, {"show", "reverse", "--run", run, "--strip", strip, "--json", strip},
          "is a file of --json as well");
  refused(3, {"show", "reverse", "--run", path("none"), "--strip", strip}, "none");
  refused(2, {"show", "interpolate", "--run", path("roll"), "--strip", strip}, "interpolate is for images");
  const auto between = [&](std::vector<std::string> more, const std::string& substance, int exit_code = 2) {
    std::vector<std::string> arguments = {"show", "interpolate", "--run", run, "--strip", strip};
    arguments.insert(arguments.end(), more.begin(), more.end());
    refused(exit_code, arguments, substance);
  };
  between({"--depth", "11"}, "--depth 11: is not within 0..10");
  between({"--lambda", "1.5"}, "--lambda 1.5: is not within 0..1");
  between({"--pair", "1"}, "--pair: expected the indices of two images");
  between({"--pair", "0,16"}, "--pair: 16 is no index of an image of gaussian-noise:8x8x3?num=16");
  between({"--data", "gaussian-noise:9x9x3?num=2"}, "image 0 is 9 x 9 x 3, and the run makes 8 x 8 x 3");
  EXPECT_FALSE(fs::exists(strip));
}

}  // namespace
}  // namespace ddpm_eval
