#include "base/data/safetensors.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "tests/support/errors.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

namespace ddpm_eval::data {
namespace {

using core::DataError;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

class SafeTensorsFile : public ::testing::Test {
 protected:
  /// The message for a file with this header and as many payload bytes.
  std::string error(const std::string& header, size_t payload) {
    const uint64_t length = header.size();
    std::string file(reinterpret_cast<const char*>(&length), 8);
    testing::put_file(dir_ / "a.safetensors", file + header + std::string(payload, 'x'));
    return message_of<DataError>([&] { read_safetensors(dir_ / "a.safetensors"); });
  }
  testing::TempDir dir_;
};

TEST_F(SafeTensorsFile, EveryDtypeGoesRoundInOrder) {
  tensor::NamedTensors tensors;
  for (const auto dtype :
       {at::kByte, at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kBool}) {
    tensors.push_back({c10::toString(dtype), torch::arange(3).to(dtype)});
  }
  tensors.push_back({"scalar", torch::tensor(2.5)});
  tensors.push_back({"empty", torch::zeros({0, 4})});
  tensors.push_back({"strided \"näme\"", torch::arange(6).reshape({2, 3}).t()});
  const std::map<std::string, std::string> metadata{{"step", "17"}, {"config", "a = \"b\"\n"}};
  write_safetensors(dir_ / "a.safetensors", tensors, metadata);
  const SafeTensors read = read_safetensors(dir_ / "a.safetensors");
  ASSERT_EQ(read.tensors.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(read.tensors[i].name, tensors[i].name);
    EXPECT_THAT(read.tensors[i].tensor, TensorEq(tensors[i].tensor)) << tensors[i].name;
  }
  EXPECT_EQ(read.metadata, metadata);
}

TEST_F(SafeTensorsFile, ReadsAndRewritesPythonsFile) {
  // tools/golden/make_safetensors.py, safetensors 0.8.0.
  const auto golden = testing::source_dir() / "tests/golden/python.safetensors";
  const SafeTensors read = read_safetensors(golden);
  EXPECT_EQ(read.metadata.at("format"), "pt");
  EXPECT_THAT(tensor::find(read.tensors, "weight"),
              TensorEq(torch::arange(6, torch::kFloat32).reshape({2, 3}) / 4));
  EXPECT_THAT(tensor::find(read.tensors, "bias"), TensorEq(torch::tensor({-1.5, 2.0}, torch::kFloat64)));
  EXPECT_THAT(tensor::find(read.tensors, "steps"), TensorEq(torch::tensor({1, -2, 3}, torch::kInt64)));
  EXPECT_THAT(tensor::find(read.tensors, "mask"), TensorEq(torch::tensor({true, false, true})));
  write_safetensors(dir_ / "again.safetensors", read.tensors, read.metadata);
  EXPECT_EQ(core::read_text(dir_ / "again.safetensors"), core::read_text(golden));
}

TEST_F(SafeTensorsFile, HeaderIsPaddedSoThatTheBufferIsAligned) {
  for (size_t length = 1; length < 10; ++length) {
    write_safetensors(dir_ / "a.safetensors", {{std::string(length, 'n'), torch::ones({1})}});
    const std::string file = core::read_text(dir_ / "a.safetensors");
    EXPECT_EQ(static_cast<unsigned char>(file[0]) % 8, 0);
  }
}

TEST_F(SafeTensorsFile, OffsetsMustFillTheBufferExactly) {
  const auto entry = [](const std::string& name, int begin, int end) {
    return fmt::format(R"("{}":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}})", name, end - begin,
                       begin, end);
  };
  EXPECT_THAT(error("{" + entry("a", 0, 9) + "}", 8), HasSubstr("tensor 'a' ends 1 bytes after the end"));
  EXPECT_THAT(error("{" + entry("a", 0, 5) + "," + entry("b", 4, 8) + "}", 8),
              HasSubstr("'b' overlaps another"));
  EXPECT_THAT(error("{" + entry("a", 0, 3) + "," + entry("b", 4, 8) + "}", 8),
              HasSubstr("'b' has a gap before it"));
  EXPECT_THAT(error("{" + entry("a", 0, 7) + "}", 8), HasSubstr("1 bytes follow the last tensor"));
  EXPECT_THAT(error("{" + entry("a", 0, 4) + "," + entry("a", 4, 8) + "}", 8), HasSubstr("'a' occurs twice"));
}

TEST_F(SafeTensorsFile, WrongHeadersAreOneLineErrors) {
  const auto entry = [](const std::string& body) { return R"({"a":{)" + body + "}}"; };
  EXPECT_THAT(error("[]", 0), HasSubstr("no JSON object"));
  EXPECT_THAT(error("{\n\"a", 0), HasSubstr("no JSON object"));
  EXPECT_THAT(error(entry(R"("dtype":"U8","shape":[1])"), 1),
              HasSubstr("needs dtype, shape and data_offsets"));
  EXPECT_THAT(error(entry(R"("dtype":"F8","shape":[1],"data_offsets":[0,1])"), 1),
              HasSubstr("its dtype is not one"));
  EXPECT_THAT(error(entry(R"("dtype":"U8","shape":[-1],"data_offsets":[0,1])"), 1), HasSubstr("its shape"));
  EXPECT_THAT(error(entry(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0),
              HasSubstr("its shape"));
  EXPECT_THAT(error(entry(R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1])"), 1),
              HasSubstr("its shape"));
  EXPECT_THAT(error(entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4),
              HasSubstr("do not span the 8 bytes"));
  EXPECT_THAT(error(entry(R"("dtype":"U8","shape":[1],"data_offsets":[1,0])"), 1), HasSubstr("data_offsets"));
  EXPECT_THAT(error(R"({"__metadata__":{"a":1}})", 0), HasSubstr("__metadata__"));
  EXPECT_THAT(error(R"({"__metadata__":["a"]})", 0), HasSubstr("__metadata__"));
  EXPECT_THAT(error(std::string(50'000, '['), 0), HasSubstr("no JSON object"));
}

TEST_F(SafeTensorsFile, CutAnywhereIsADataError) {
  write_safetensors(dir_ / "a.safetensors", {{"w", torch::rand({3, 3})}, {"b", torch::rand({3})}});
  const std::string whole = core::read_text(dir_ / "a.safetensors");
  for (size_t length = 0; length < whole.size(); ++length) {
    testing::put_file(dir_ / "cut", std::string_view(whole).substr(0, length));
    message_of<DataError>([&] { read_safetensors(dir_ / "cut"); });
  }
  testing::put_file(dir_ / "text", "this is a text file, no tensors");
  EXPECT_THAT(message_of<DataError>([&] { read_safetensors(dir_ / "text"); }),
              HasSubstr("no safetensors file"));
}

TEST_F(SafeTensorsFile, AFullDiskKeepsTheOldFile) {
  write_safetensors(dir_ / "a.safetensors", {{"w", torch::ones({1})}});
  std::string message;
  {
    const testing::FileSizeLimit limit(10'000);
    message = message_of<core::ResourceError>([&] {
      write_safetensors(dir_ / "a.safetensors", {{"w", torch::zeros({100, 100})}});
    });
  }
  EXPECT_THAT(message, HasSubstr("a.safetensors: write failed"));
  EXPECT_EQ(read_safetensors(dir_ / "a.safetensors").tensors[0].tensor.item<float>(), 1);
}

TEST(Safetensors, TheMetadataIsReadWithoutTheTensors) {
  const testing::TempDir dir;
  write_safetensors(dir / "a.safetensors", {{"x", torch::ones({1000})}}, {{"key", "value"}});
  std::filesystem::resize_file(dir / "a.safetensors", 200);
  EXPECT_EQ(read_safetensors_metadata(dir / "a.safetensors").at("key"), "value");
  std::filesystem::resize_file(dir / "a.safetensors", 20);
  EXPECT_THROW(read_safetensors_metadata(dir / "a.safetensors"), core::DataError);
}

}  // namespace
}  // namespace ddpm_eval::data
