#include "base/data/gif_writer.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "tests/support/errors.h"
#include "tests/support/gif_reader.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

namespace ddpm_eval::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_gif;
using testing::TensorEq;

class GifWriter : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const at::Tensor& frames,
                              const GifOptions& options = {}) {
    const auto sink = make_gif_sink(dir_ / name, options);
    sink->write(frames);
    sink->finish();
    return dir_ / name;
  }
  testing::TempDir dir_;
};

TEST_F(GifWriter, GreyscaleComesBackAsItWas) {
  const auto frames = torch::randint(0, 256, {4, 1, 37, 23}, torch::kUInt8);
  const auto gif = read_gif(write("grey.gif", frames, {.delay_ms = 80, .hold_ms = 1500}));
  EXPECT_THAT(gif.frames_u8, TensorEq(frames.expand({4, 3, 37, 23})));
  EXPECT_THAT(gif.delays, ElementsAre(150, 8, 8, 150));
  EXPECT_TRUE(gif.shared_palette);
}

TEST_F(GifWriter, ThereAndBackHoldsBothEnds) {
  const auto frames = torch::randint(0, 256, {4, 1, 5, 4}, torch::kUInt8);
  const auto gif = read_gif(write("back.gif", frames, {.delay_ms = 50, .hold_ms = 700, .and_back = true}));
  const auto order = torch::tensor({0, 1, 2, 3, 2, 1}, torch::kInt64);
  EXPECT_THAT(gif.frames_u8, TensorEq(frames.index_select(0, order).expand({6, 3, 5, 4})));
  EXPECT_THAT(gif.delays, ElementsAre(70, 5, 5, 70, 5, 5));
  const auto one = write("one.gif", frames.narrow(0, 0, 1), {.and_back = true});
  EXPECT_EQ(read_gif(one).delays.size(), 1U);
}

TEST_F(GifWriter, PlaysForEver) {
  const auto gif = read_gif(write("a.gif", torch::zeros({2, 1, 3, 3}, torch::kUInt8)));
  EXPECT_EQ(gif.application, "NETSCAPE2.0");
  EXPECT_EQ(gif.application_data, std::string("\1\0\0", 3));
}

TEST_F(GifWriter, FewColoursComeBackAsTheyWere) {
  // 255 of them over two frames of 200 and 55.
  at::Tensor frames = torch::zeros({2, 3, 20, 10}, torch::kUInt8);
  for (int i = 0; i < 255; ++i) {
    auto pixel = frames[i / 200].view({3, 200}).select(1, i % 200);
    pixel.copy_(torch::tensor({i, 255 - i, (i * 7) % 256}, torch::kUInt8));
  }
  const auto gif = read_gif(write("few.gif", frames));
  EXPECT_THAT(gif.frames_u8, TensorEq(frames));
  EXPECT_TRUE(gif.shared_palette);
}

TEST_F(GifWriter, ManyColoursComeNearTheirsInEveryFrame) {
  const auto frames = torch::randint(0, 256, {3, 3, 40, 40}, torch::kUInt8);
  const auto gif = read_gif(write("many.gif", frames));
  EXPECT_FALSE(gif.shared_palette);
  const auto error = (gif.frames_u8.to(torch::kFloat64) - frames.to(torch::kFloat64)).pow(2).mean().sqrt();
  // Uniform noise over 256 boxes of the cube: a side of 256 / 256^(1/3) = 40, a deviation of 40 / sqrt(12)
  // = 11.6.
  EXPECT_LT(error.item<double>(), 13);
  // A frame of one colour beside them keeps it.
  auto mixed = frames.clone();
  mixed[1].fill_(77);
  EXPECT_THAT(read_gif(write("mixed.gif", mixed)).frames_u8[1], TensorEq(mixed[1]));
}

TEST_F(GifWriter, FewerLevelsAreTheNearestAndEndInBlackAndWhite) {
  const auto ramp = torch::arange(256, torch::kUInt8).view({1, 1, 16, 16});
  const auto shown = read_gif(write("four.gif", ramp, {.colours = 4})).frames_u8[0][0].flatten();
  const auto want = (ramp.flatten().to(torch::kFloat64) / 85).round() * 85;
  EXPECT_THAT(shown, TensorEq(want.to(torch::kUInt8)));
  const auto large = write("all.gif", torch::randint(0, 256, {3, 1, 64, 64}, torch::kUInt8));
  const auto small =
      write("sixteen.gif", torch::randint(0, 256, {3, 1, 64, 64}, torch::kUInt8), {.colours = 16});
  EXPECT_LT(3 * std::filesystem::file_size(small), 2 * std::filesystem::file_size(large));
}

TEST_F(GifWriter, TheSameFramesGiveTheSameBytes) {
  const auto frames = torch::randint(0, 256, {3, 3, 30, 30}, torch::kUInt8);
  EXPECT_EQ(core::read_file(write("a.gif", frames)), core::read_file(write("b.gif", frames)));
  const auto sink = make_gif_sink(dir_ / "c.gif");
  sink->write(frames.narrow(0, 0, 1));
  sink->write(frames.narrow(0, 1, 2));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "c.gif")) << "the file appears when whole";
  sink->finish();
  EXPECT_EQ(core::read_file(dir_ / "c.gif"), core::read_file(dir_ / "a.gif"));
}

TEST_F(GifWriter, WhatCannotBeIsRefused) {
  const auto refusal = [&](const GifOptions& options) {
    return message_of<core::UsageError>([&] { make_gif_sink(dir_ / "x.gif", options); });
  };
  EXPECT_EQ(refusal({.delay_ms = 19}), "--delay 19: is not within 20..60000 milliseconds");
  EXPECT_EQ(refusal({.hold_ms = 60'001}), "--hold 60001: is not within 20..60000 milliseconds");
  EXPECT_EQ(refusal({.colours = 257}), "--colours 257: is not within 2..256");
  EXPECT_EQ(refusal({.colours = 1}), "--colours 1: is not within 2..256");
  EXPECT_THAT(message_of<core::UsageError>([&] {
                make_gif_sink(dir_ / "x.gif")->write(torch::zeros({1, 1, 1, 65'536}, torch::kUInt8));
              }),
              HasSubstr("x.gif: 65536 x 1 pixels, and a GIF has at most 65535 a side"));
  EXPECT_THAT(message_of<core::DataError>([&] { make_gif_sink(dir_ / "x.gif")->finish(); }),
              HasSubstr("no frames"));
  EXPECT_THAT(message_of<core::ResourceError>([&] {
                write("none/x.gif", torch::zeros({1, 1, 2, 2}, torch::kUInt8));
              }),
              HasSubstr("x.gif"));
}

}  // namespace
}  // namespace ddpm_eval::data
