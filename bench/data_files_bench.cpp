#include "base/core/error.h"
#include "base/data/npz.h"
#include "base/data/safetensors.h"
#include "bench/support.h"
#include "tests/support/temp_dir.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include <torch/types.h>

// Files of arrays. What is read lies in the system's cache; what is written is synced to the disk, as the
// program does it, so that writing shows the disk.
namespace ddpm_eval::data {
namespace {

using bench::measure;
using bench::Peak;

tensor::NamedTensors array_of(int64_t bytes) { return {{"sigma", bench::normal("array", {16, bytes / 64})}}; }

std::string contents_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

uint64_t little_endian(const std::string& text, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = count; i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(text.at(at + i));
  }
  return value;
}

/// The elements of the first array, found by walking the headers by hand.
std::string first_of_npz(const std::string& file) {
  DDPM_CHECK(file.starts_with("PK\x03\x04"), "no zip");
  const size_t npy = 30 + little_endian(file, 26, 2) + little_endian(file, 28, 2);
  DDPM_CHECK(file.substr(npy, 6) == "\x93NUMPY", "no array");
  return file.substr(npy + 10 + little_endian(file, npy + 8, 2));
}

std::string first_of_safetensors(const std::string& file) {
  return file.substr(8 + little_endian(file, 0, 8));
}

struct Npz {
  static constexpr auto kFile = "array.npz";
  static void write(const std::filesystem::path& path, const tensor::NamedTensors& all) {
    write_npz(path, all);
  }
  static at::Tensor read(const std::filesystem::path& path) { return NpzReader(path).read("sigma"); }
  static std::string elements(const std::string& file) { return first_of_npz(file); }
};

struct Safetensors {
  static constexpr auto kFile = "array.safetensors";
  static void write(const std::filesystem::path& path, const tensor::NamedTensors& all) {
    write_safetensors(path, all);
  }
  static at::Tensor read(const std::filesystem::path& path) {
    return read_safetensors(path).tensors.at(0).tensor;
  }
  static std::string elements(const std::string& file) { return first_of_safetensors(file); }
};

template <class Format>
void check(const std::filesystem::path& path, const at::Tensor& array) {
  const auto elements = Format::elements(contents_of(path));
  DDPM_CHECK(elements.size() >= array.nbytes() &&
                 std::memcmp(elements.data(), array.data_ptr(), array.nbytes()) == 0,
             "{} holds other bytes than the array", Format::kFile);
  const auto got = Format::read(path);
  DDPM_CHECK(got.sizes() == array.sizes() && got.equal(array), "{} is read as another array", Format::kFile);
}

template <class Format>
void write(benchmark::State& state) {
  const testing::TempDir folder;
  const auto path = folder / Format::kFile;
  const auto all = array_of(state.range(0));
  Format::write(path, all);
  check<Format>(path, all[0].tensor);
  measure(state, {.bytes = double(state.range(0)), .peak = Peak::kNone}, [&] { Format::write(path, all); });
}

template <class Format>
void read(benchmark::State& state) {
  const testing::TempDir folder;
  const auto path = folder / Format::kFile;
  const auto all = array_of(state.range(0));
  Format::write(path, all);
  check<Format>(path, all[0].tensor);
  // From the system's cache into the array; of a kilobyte, opening is all there is.
  measure(state, {.bytes = 2.0 * double(state.range(0)), .peak = Peak::kNone},
          [&] { return Format::read(path); });
}

// 32 MiB is a covariance of 2048 features, the larger part of a statistics file.
void sizes(benchmark::internal::Benchmark* registered) {
  registered->ArgName("bytes")->Arg(1 << 10)->Arg(32 << 20)->Unit(benchmark::kMicrosecond)->UseRealTime();
}
BENCHMARK(read<Npz>)->Name("npz_read")->Apply(sizes);
BENCHMARK(write<Npz>)->Name("npz_write")->Apply(sizes);
BENCHMARK(read<Safetensors>)->Name("safetensors_read")->Apply(sizes);
BENCHMARK(write<Safetensors>)->Name("safetensors_write")->Apply(sizes);

}  // namespace
}  // namespace ddpm_eval::data
