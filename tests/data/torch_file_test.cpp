#include "base/data/torch_file.h"

#include "base/core/file_io.h"
#include "base/core/seeds.h"
#include "base/tensor/shape.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

namespace ddpm_eval::data {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using core::DataError;
using tensor::NamedTensors;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

// Written by tools/golden/make_torch_files.py with PyTorch 1.13.1.
std::filesystem::path golden(const std::string& name) {
  return testing::source_dir() / "tests/golden/torch" / name;
}

std::string refusal(const std::string& name) {
  return message_of<DataError>([&] { read_torch_file(golden(name)); });
}

class TorchFile : public ::testing::TestWithParam<const char*> {};

TEST_P(TorchFile, ReadsEveryTensorAsSaved) {
  const NamedTensors state = read_torch_file(golden(GetParam()));
  const auto of = [](auto values, at::ScalarType dtype) { return torch::tensor(values).to(dtype); };
  const auto doubles = [](std::vector<double> values) { return torch::tensor(values, torch::kFloat64); };
  const auto base = torch::arange(12, torch::kFloat32).reshape({3, 4});
  const NamedTensors want = {
      {"linear.weight", torch::arange(6, torch::kFloat32).reshape({2, 3}) * 0.5 - 1},
      {"linear.bias", torch::tensor({0.25F, -0.5F, 3.0F})},
      {"view.transposed", base.t()},
      {"view.slice", torch::tensor({4.F, 6.F, 8.F, 10.F}).reshape({2, 2})},
      {"view.row", torch::tensor({0.F, 1.F, 2.F, 3.F}).reshape({1, 4})},
      {"float64", doubles({1e-300, -1.0 / 3})},
      {"float16", doubles({0.5, -65504.0, 6e-8}).to(torch::kFloat16)},
      {"bfloat16", doubles({1.0, -3.140625, 1e38}).to(torch::kBFloat16)},
      {"bn.num_batches_tracked", torch::scalar_tensor(int64_t{123456789012}, torch::kInt64)},
      {"int32", torch::tensor(std::vector<int64_t>{INT32_MIN, INT32_MAX}).to(torch::kInt32)},
      {"int16", of(std::vector<int64_t>{-32768, 7}, torch::kInt16)},
      {"int8", of(std::vector<int64_t>{-128, 127}, torch::kInt8)},
      {"uint8", torch::arange(250, 256, torch::kUInt8).reshape({2, 3})},
      {"bool", of(std::vector<int64_t>{1, 0, 1}, torch::kBool)},
      {"empty", torch::zeros({0, 3})}};
  ASSERT_EQ(state.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(state[i].name, want[i].name);
    EXPECT_THAT(state[i].tensor, TensorEq(want[i].tensor)) << state[i].name;
    EXPECT_FALSE(state[i].tensor.requires_grad());
  }
  const auto transposed = tensor::find(state, "view.transposed");
  EXPECT_EQ(transposed.strides(), (at::IntArrayRef{1, 4}));
  EXPECT_TRUE(transposed.is_alias_of(tensor::find(state, "view.slice"))) << "storages stay shared";
}

TEST_P(TorchFile, IsRefusedWhereverItIsCut) {
  const auto bytes = core::read_file(golden(GetParam()));
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_THAT(message_of<DataError>([&] {
                  read_torch_bytes({bytes.data(), length}, "cut.pth");
                }),
                HasSubstr("cut.pth: "))
        << length << " of " << bytes.size() << " bytes";
  }
}

TEST_P(TorchFile, IsReadOrRefusedWhateverByteIsWrong) {
  const auto good = core::read_file(golden(GetParam()));
  const auto count = read_torch_bytes(good, "good.pth").size();
  const uint64_t key = core::stream_key(7, GetParam());
  int refused = 0;
  constexpr int kTrials = 3000;
  for (int trial = 0; trial < kTrials; ++trial) {
    auto bytes = good;
    const uint64_t random = core::mix64(key + static_cast<uint64_t>(trial));
    bytes[random % bytes.size()] = static_cast<char>(random >> 56);
    try {
      for (const auto& [name, tensor] : read_torch_bytes(bytes, "hit.pth")) {
        // Every element must be readable.
        EXPECT_EQ(tensor.contiguous().numel(), tensor.numel()) << name;
      }
    } catch (const DataError& error) {
      ++refused;
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
  EXPECT_GT(refused, kTrials / 10);
  EXPECT_LT(refused, kTrials);
  EXPECT_EQ(count, 15U);
}

INSTANTIATE_TEST_SUITE_P(Golden, TorchFile,
                         ::testing::Values("state_legacy.pth", "state_zip.pth", "state_legacy_protocol4.pth",
                                           "state_zip_protocol4.pth", "state_zip_torch2.pth"),
                         [](const auto& test) {
                           const std::string name = test.param;
                           return name.substr(0, name.find('.'));
                         });

TEST(TorchFileNesting, OneLevelUnderAKnownKeyIsRead) {
  const auto inner = read_torch_file(golden("nested_state_dict.pth"));
  ASSERT_EQ(inner.size(), 1U);
  EXPECT_EQ(inner[0].name, "w");
  EXPECT_THAT(inner[0].tensor, TensorEq(torch::tensor({1.F, 2.F})));
  EXPECT_EQ(read_torch_file(golden("nested_model.pth")).at(0).name, "w");
}

TEST(TorchFileNesting, AnythingElseIsRefusedByName) {
  EXPECT_THAT(refusal("not_tensors.pth"),
              HasSubstr("not_tensors.pth: entry 'note' is a string, not a tensor"));
  EXPECT_THAT(refusal("list.pth"), HasSubstr("list.pth: holds a list, not a state dict"));
}

TEST(TorchFileSafety, NothingIsExecuted) {
  EXPECT_THAT(refusal("exploit_legacy.pth"), HasSubstr("refuses to execute global 'posix.system'"));
  EXPECT_THAT(refusal("exploit_zip.pth"), HasSubstr("refuses to execute global 'posix.system'"));
  EXPECT_FALSE(std::filesystem::exists("/tmp/ddpm-eval-was-here"));
}

TEST(TorchFileSafety, ModulesAndTorchScriptAreRefused) {
  EXPECT_THAT(refusal("whole_module.pth"),
              AnyOf(HasSubstr("torch.nn.modules.linear.Linear"), HasSubstr("holds a whole module")));
  EXPECT_THAT(refusal("torchscript.pt"), HasSubstr("is a TorchScript archive, not a state dict"));
}

TEST(TorchFileSafety, BigEndianArchivesAreRefused) {
  EXPECT_THAT(refusal("big_endian.pth"), HasSubstr("was saved on a big-endian machine"));
}

TEST(TorchFileSafety, OtherFilesAreRefused) {
  EXPECT_THAT(message_of<DataError>([] { read_torch_bytes("hello"sv, "a.txt"); }),
              HasSubstr("a.txt: not a file of torch.save"));
  EXPECT_THAT(message_of<DataError>([] { read_torch_bytes("\x80\x02K\x01."sv, "b.pkl"); }),
              HasSubstr("its magic number is missing"));
  EXPECT_THAT(message_of<DataError>([] { read_torch_file("/nonexistent/c.pth"); }), HasSubstr("c.pth"));
}

// The legacy stream around an object pickle of our own.

constexpr auto kPreamble =
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\x00\x00\x00little_endian\x88s."sv;

/// A dict {"w": tensor}, its single float storage "0" announced with 4 elements.
std::string one_tensor(const std::string& offset, const std::string& sizes, const std::string& strides) {
  return "\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(("s + "X\x07\x00\x00\x00storage"s +
         "ctorch\nFloatStorage\nX\x01\x00\x00\x00"s + "0X\x03\x00\x00\x00"s + "cpuK\x04NtQ" + offset + sizes +
         strides + "\x89}tRs.";
}

std::string legacy(const std::string& object, const std::string& tail) {
  return std::string(kPreamble) + object + tail;
}

std::string four_floats() {
  return "\x80\x02]X\x01\x00\x00\x00"s + "0a.\x04\x00\x00\x00\x00\x00\x00\x00"s + std::string(16, '\0');
}

std::string legacy_refusal(const std::string& object, const std::string& tail) {
  return message_of<DataError>([&] { read_torch_bytes(legacy(object, tail), "w.pth"); });
}

TEST(TorchFileBounds, ViewsMustFitTheirStorage) {
  const auto good = read_torch_bytes(
      legacy(one_tensor("K\x00"s, "K\x02K\x02\x86", "K\x02K\x01\x86"), four_floats()), "w.pth");
  EXPECT_THAT(good.at(0).tensor, TensorEq(torch::zeros({2, 2})));

  const auto refuse = [](const std::string& offset, const std::string& sizes, const std::string& strides) {
    return legacy_refusal(one_tensor(offset, sizes, strides), four_floats());
  };
  EXPECT_THAT(refuse("K\x01", "K\x04\x85", "K\x01\x85"),
              HasSubstr("w.pth: tensor 'w': its 4 elements do not fit"));
  EXPECT_THAT(refuse("K\x05", "K\x00\x85"s, "K\x01\x85"), HasSubstr("its offset lies outside"));
  EXPECT_THAT(refuse("J\xff\xff\xff\xff", "K\x01\x85", "K\x01\x85"), HasSubstr("its offset lies outside"));
  EXPECT_THAT(refuse("K\x00"s, "K\x02\x85", "K\x04\x85"), HasSubstr("do not fit"));
  EXPECT_THAT(refuse("K\x00"s, "K\x05\x85", "K\x00\x85"s), HasSubstr("do not fit")) << "expanded";
  EXPECT_THAT(refuse("K\x00"s, "K\x02\x85", "J\xff\xff\xff\xff\x85"), HasSubstr("not a sensible number"));
  EXPECT_THAT(refuse("K\x00"s, "K\x02\x85", "K\x01K\x01\x86"), HasSubstr("1 sizes and 2 strides"));
  const auto huge = "\x8a\x06\x00\x00\x00\x00\x00\x01"s;  // 2^40
  EXPECT_THAT(refuse("K\x00"s, huge + huge + "\x86", "K\x00K\x00\x86"s), HasSubstr("beyond all bounds"));
  EXPECT_THAT(refuse("K\x00"s, "K\x02" + huge + "\x86", "K\x00K\x00\x86"s), HasSubstr("do not fit"));
  EXPECT_THAT(refuse("K\x00"s, "K\x02K\x02\x86", huge + huge + "\x86"), HasSubstr("do not fit"));
  const auto longer = "\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01"s;  // 2^64
  EXPECT_THAT(refuse("K\x00"s, longer + "\x85", "K\x01\x85"), HasSubstr("not a sensible number"));
}

TEST(TorchFileBounds, StoragesMustBeWhatWasAnnounced) {
  const auto object = one_tensor("K\x00"s, "K\x04\x85", "K\x01\x85");
  const auto tail = four_floats();
  EXPECT_THAT(legacy_refusal(object, tail + "x"), HasSubstr("w.pth: 1 bytes too many at the end"));
  auto more = tail;
  more[more.size() - 24] = 5;
  EXPECT_THAT(legacy_refusal(object, more), HasSubstr("has 5 elements where 4 are announced"));
  EXPECT_THAT(legacy_refusal(object, "\x80\x02]."), HasSubstr("0 storages are listed where 1 are needed"));
  EXPECT_THAT(legacy_refusal(object, "\x80\x02]X\x01\x00\x00\x00"s + "1a."),
              HasSubstr("does not fit the tensors"));
  auto big_endian = legacy(object, tail);
  big_endian[big_endian.find('\x88')] = '\x89';
  EXPECT_THAT(message_of<DataError>([&] { read_torch_bytes(big_endian, "w.pth"); }), HasSubstr("big-endian"));
  auto module = object;
  module.replace(module.find("\x07\x00\x00\x00storage"s), 11, "\x06\x00\x00\x00module"s);
  EXPECT_THAT(legacy_refusal(module, tail), HasSubstr("holds a whole module"));
  auto view = object;
  view.replace(view.find("NtQ"), 3, "K\x01tQ");
  EXPECT_THAT(legacy_refusal(view, tail), HasSubstr("views of storages"));
}

}  // namespace
}  // namespace ddpm_eval::data
