#include "base/data/npy.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/tensor_matchers.h"

namespace ddpm_eval::data {
namespace {

using core::DataError;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

/// A .npy file with the dictionary as given.
std::string npy(const std::string& dictionary, const std::string& payload, int version = 1) {
  std::string file = "\x93NUMPY";
  file.push_back(static_cast<char>(version));
  file.push_back('\0');
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    file.push_back(static_cast<char>(dictionary.size() >> (8 * i)));
  }
  return file + dictionary + payload;
}

std::string error_of(const std::string& bytes) {
  return message_of<DataError>([&] { parse_npy(bytes, "a.npy"); });
}

TEST(Npy, EveryDtypeGoesRoundByteForByte) {
  for (const auto dtype :
       {at::kDouble, at::kFloat, at::kHalf, at::kLong, at::kInt, at::kByte, at::kChar, at::kBool}) {
    const at::Tensor tensor = torch::arange(6).reshape({2, 3}).to(dtype);
    EXPECT_THAT(parse_npy(to_npy(tensor), "a"), TensorEq(tensor)) << dtype;
  }
}

TEST(Npy, ShapesFromScalarToEmpty) {
  for (const auto& shape : std::vector<std::vector<int64_t>>{{}, {0}, {5}, {3, 0, 2}, {1, 2, 3, 4, 5}}) {
    const at::Tensor tensor = torch::rand(shape);
    EXPECT_THAT(parse_npy(to_npy(tensor), "a"), TensorEq(tensor));
  }
}

TEST(Npy, WritesNumpysOwnHeader) {
  // numpy.save of np.zeros(3, '<f4'), NumPy 2.x: 128 bytes of header in all.
  const std::string file = to_npy(torch::zeros({3}));
  EXPECT_EQ(file.size(), 128 + 12U);
  EXPECT_EQ(file.substr(0, 10), std::string("\x93NUMPY\1\0\x76\0", 10));
  EXPECT_THAT(file, HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }  "));
  EXPECT_EQ(file[127], '\n');
}

TEST(Npy, FortranOrderIsTransposed) {
  const std::string bytes{1, 4, 2, 5, 3, 6};
  const auto tensor =
      parse_npy(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", bytes), "a");
  EXPECT_THAT(tensor, TensorEq(torch::tensor({1, 2, 3, 4, 5, 6}, torch::kUInt8).reshape({2, 3})));
  EXPECT_TRUE(tensor.is_contiguous());
}

TEST(Npy, VersionsTwoAndThreeAndOldSpellings) {
  const std::string header = "{'shape': (2L,), 'fortran_order': False, \"descr\": '|i1'}";
  const at::Tensor want = torch::tensor({1, -1}, torch::kInt8);
  for (const int version : {1, 2, 3}) {
    EXPECT_THAT(parse_npy(npy(header, "\x01\xff", version), "a"), TensorEq(want));
  }
}

TEST(Npy, ABoolOfAnyByteIsTrueOrFalse) {
  const auto tensor =
      parse_npy(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", "\x02\x80"), "a");
  EXPECT_THAT(tensor, TensorEq(torch::ones({2}, torch::kBool)));
}

TEST(Npy, WrongHeadersAreOneLineErrors) {
  EXPECT_THAT(error_of("hello, this is text"), HasSubstr("a.npy: is not a .npy array"));
  EXPECT_THAT(error_of(""), HasSubstr("cut short"));
  EXPECT_THAT(error_of(npy("{}", "", 4)), HasSubstr("version 4"));
  const auto dict = [](const std::string& descr, const std::string& order, const std::string& shape) {
    return npy("{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + "}",
               "12345678");
  };
  EXPECT_THAT(error_of(dict("'>f8'", "False", "(1,)")), HasSubstr("dtype '>f8' is not read"));
  EXPECT_THAT(error_of(dict("'<c8'", "False", "(1,)")), HasSubstr("dtype '<c8' is not read"));
  EXPECT_THAT(error_of(dict("'|O'", "False", "()")), HasSubstr("Python objects"));
  EXPECT_THAT(error_of(dict("[('a', '<f8')]", "False", "(1,)")), HasSubstr("structured"));
  for (const auto* shape : {"(-1,)", "(1", "1", "(99999999999999999999,)", "(1,,2)", "(x,)"}) {
    EXPECT_THAT(error_of(dict("'<f8'", "False", shape)), HasSubstr("damaged .npy header")) << shape;
  }
  EXPECT_THAT(error_of(dict("'<f8'", "None", "(1,)")), HasSubstr("damaged"));
  EXPECT_THAT(error_of(npy("{'descr': '<f8', 'shape': (1,)}", "12345678")), HasSubstr("damaged"));
  EXPECT_THAT(
      error_of(npy("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", "12345678")),
      HasSubstr("damaged"));
}

TEST(Npy, SizesAreCheckedBeforeMemoryIsTaken) {
  const std::string huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000, 4000000000)}";
  EXPECT_THAT(error_of(npy(huge, "12345678")), HasSubstr("does not fit in the 8 bytes"));
  const std::string large = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}";
  EXPECT_THAT(error_of(npy(large, "12345678")), HasSubstr("does not fit in the 8 bytes"));
  const std::string small = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}";
  EXPECT_THAT(error_of(npy(small, "123")), HasSubstr("1 bytes too long for its shape [2]"));
}

TEST(Npy, CutAnywhereIsADataError) {
  const std::string file = to_npy(torch::rand({3, 4}));
  for (size_t length = 0; length < file.size(); ++length) {
    EXPECT_THROW(parse_npy(std::string_view(file).substr(0, length), "a"), DataError) << length;
  }
}

}  // namespace
}  // namespace ddpm_eval::data
