#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/cifar10.h"
#include "base/data/cifar10_format.h"
#include "base/data/image_codec.h"
#include "base/data/image_folder.h"
#include "bench/support.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <torch/types.h>

// Image files in memory and on disk; items are images. Files stay in the system's cache.
namespace ddpm_eval::data {
namespace {

using bench::measure;
using bench::Peak;

/// Smooth colours with some grain: uint8 [count, 3, side, side].
at::Tensor images(int64_t count, int64_t side) {
  const auto ramp = torch::arange(side, torch::kFloat32) / double(side);
  const auto waves = (6 * ramp.view({side, 1}) + 4 * ramp).sin() * 80;
  return (bench::normal("grain", {count, 3, side, side}) * 8 + waves + 128).clamp(0, 255).to(torch::kUInt8);
}

void expect_equal(const char* what, const at::Tensor& got, const at::Tensor& wanted) {
  DDPM_CHECK(got.defined() && got.sizes() == wanted.sizes() && got.equal(wanted), "{} gives other pixels",
             what);
}

/// As OpenCV has it, which keeps blue first and channels last.
cv::Mat to_mat(const at::Tensor& image_u8) {
  const auto bgr = image_u8.flip(0).permute({1, 2, 0}).contiguous();
  return cv::Mat(int(bgr.size(0)), int(bgr.size(1)), CV_8UC3, bgr.data_ptr()).clone();
}

at::Tensor to_tensor(const cv::Mat& mat) {
  const auto bgr = torch::from_blob(mat.data, {mat.rows, mat.cols, 3}, torch::kUInt8);
  return bgr.permute({2, 0, 1}).flip(0).contiguous();
}

std::vector<uchar> encoded(const at::Tensor& image_u8, const char* extension) {
  std::vector<uchar> bytes;
  cv::imencode(extension, to_mat(image_u8), bytes);
  return bytes;
}

void decode(benchmark::State& state, const char* extension) {
  const auto image = images(1, state.range(0))[0];
  const auto file = encoded(image, extension);
  const std::span<const char> bytes(reinterpret_cast<const char*>(file.data()), file.size());
  const auto got = decode_image(bytes).image_u8;
  expect_equal("decode_image()", got, to_tensor(cv::imdecode(file, cv::IMREAD_COLOR)));
  // JPEG loses some, but no more than the grain.
  bench::expect_close("decode_image()", got, image.to(torch::kFloat64),
                      std::string(extension) == ".png" ? 0 : 0.06);
  measure(state, {.items = 1}, [&] { return decode_image(bytes); });
}
BENCHMARK_CAPTURE(decode, png, ".png")
    ->ArgName("side")
    ->Arg(32)
    ->Arg(256)
    ->Arg(1024)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(decode, jpeg, ".jpg")
    ->ArgName("side")
    ->Arg(32)
    ->Arg(256)
    ->Arg(1024)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

/// A file that another program decodes too.
void decode_file(benchmark::State& state, const std::string& path) {
  const auto file = core::read_file(path);
  const std::vector<uchar> bytes(file.begin(), file.end());
  expect_equal("decode_image()", decode_image(file).image_u8,
               to_tensor(cv::imdecode(bytes, cv::IMREAD_COLOR)));
  measure(state, {.items = 1}, [&] { return decode_image(file); });
}

[[maybe_unused]] const bool with_file = [] {
  const char* path = std::getenv("DDPM_EVAL_BENCH_IMAGE");
  if (path != nullptr) {
    benchmark::RegisterBenchmark("decode/file", decode_file, std::string(path))
        ->Unit(benchmark::kMicrosecond)
        ->UseRealTime();
  }
  return path != nullptr;
}();

void encode(benchmark::State& state) {
  const auto image = images(1, state.range(0))[0];
  const auto file = encode_png(image);
  const std::vector<uchar> bytes(file.begin(), file.end());
  expect_equal("encode_png()", to_tensor(cv::imdecode(bytes, cv::IMREAD_COLOR)), image);
  measure(state, {.items = 1}, [&] { return encode_png(image); });
}
BENCHMARK(encode)->Name("encode/png")->ArgName("side")->Arg(32)->Unit(benchmark::kMicrosecond)->UseRealTime();

/// All images of a source, batch by batch.
at::Tensor drain(ImageSource& source) {
  std::vector<at::Tensor> batches;
  for (auto batch = source.next(64); batch.defined(); batch = source.next(64)) {
    batches.push_back(batch);
  }
  return torch::cat(batches);
}

void read_folder(benchmark::State& state) {
  const testing::TempDir folder;
  const auto all = images(state.range(0), 32);
  for (int64_t i = 0; i < all.size(0); ++i) {
    const auto file = encode_png(all[i]);
    testing::put_file(folder / fmt::format("{:06}.png", i), {file.data(), file.size()});
  }
  expect_equal("the folder", drain(*open_image_folder(folder.path())), all);
  measure(state, {.items = double(all.size(0))}, [&] { return drain(*open_image_folder(folder.path())); });
}
BENCHMARK(read_folder)->ArgName("images")->Arg(512)->Unit(benchmark::kMillisecond)->UseRealTime();

void read_cifar10(benchmark::State& state) {
  const testing::TempDir folder;
  const int64_t in_a_batch = state.range(0) / 5;
  const auto pixels = images(in_a_batch, kCifar10Side);
  for (const auto& name : cifar10_batches(Split::kTrain)) {
    std::string records;
    for (int64_t i = 0; i < in_a_batch; ++i) {
      records += static_cast<char>(i % kCifar10Classes);
      records.append(static_cast<const char*>(pixels[i].data_ptr()), size_t(3 * kCifar10Plane));
    }
    testing::put_file(folder / name, records);
  }
  const auto got = load_cifar10(folder.path(), Split::kTrain);
  expect_equal("CIFAR-10", got.images_u8, pixels.repeat({5, 1, 1, 1}));
  expect_equal("CIFAR-10's labels", got.labels, (torch::arange(in_a_batch) % kCifar10Classes).repeat({5}));
  // The bytes are read into a buffer and copied from there.
  const double bytes = double(state.range(0) * kCifar10Record);
  measure(state, {.items = double(state.range(0)), .bytes = 2 * bytes, .peak = Peak::kNone},
          [&] { return load_cifar10(folder.path(), Split::kTrain); });
}
BENCHMARK(read_cifar10)->ArgName("images")->Arg(20'000)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace ddpm_eval::data
