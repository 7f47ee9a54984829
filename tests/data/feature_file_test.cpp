#include "base/data/feature_file.h"

#include "base/core/error.h"
#include "base/data/npy.h"
#include "base/data/npz.h"
#include "base/data/safetensors.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <limits>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

constexpr auto kFeatureProvenance = R"({"features":{"name":"net","dim":3},"count":4})";

class FeatureFile : public ::testing::Test {
 protected:
  std::filesystem::path put_npy(const at::Tensor& matrix) {
    testing::put_file(dir_ / "f.npy", to_npy(matrix));
    return dir_ / "f.npy";
  }
  std::string error_of(const std::filesystem::path& path) {
    return message_of<DataError>([&] { read_features(path); });
  }
  testing::TempDir dir_;
  at::Tensor rows_ = torch::rand({4, 3});
};

TEST_F(FeatureFile, GoesRoundWithItsProvenance) {
  write_features(dir_ / "f.safetensors", rows_, kFeatureProvenance);
  EXPECT_TRUE(is_feature_file(dir_ / "f.safetensors"));
  const auto read = read_features(dir_ / "f.safetensors");
  EXPECT_THAT(read.rows, TensorEq(rows_));
  EXPECT_EQ(read.provenance_json, kFeatureProvenance);
  EXPECT_THAT(read_features(dir_ / "f.safetensors", {1, 2}).rows, TensorEq(rows_.narrow(0, 1, 2)));
  EXPECT_THAT(read_features(dir_ / "f.safetensors", {.draw = Draw{2, 1}}).rows,
              TensorEq(torch::stack({rows_[2], rows_[3]})));
}

TEST_F(FeatureFile, ReadsWhatOtherToolsWrite) {
  for (const auto dtype : {at::kHalf, at::kFloat, at::kDouble}) {
    const auto matrix = rows_.to(dtype);
    const auto read = read_features(put_npy(matrix));
    EXPECT_THAT(read.rows, TensorEq(matrix.to(at::kFloat))) << dtype;
    EXPECT_EQ(read.provenance_json, "");
    EXPECT_FALSE(read.rounded) << "these float64 values are float32's";
  }
  EXPECT_TRUE(read_features(put_npy(rows_.to(at::kDouble) / 3)).rounded);
  for (const char* key : {"reps", "feats", "features", "arr_0", "alone"}) {
    write_npz(dir_ / "f.npz", {{key, rows_}});
    EXPECT_TRUE(is_feature_file(dir_ / "f.npz")) << key;
    EXPECT_THAT(read_features(dir_ / "f.npz").rows, TensorEq(rows_)) << key;
  }
  write_safetensors(dir_ / "f.safetensors", {{"pool", rows_.to(at::kBFloat16)}});
  EXPECT_THAT(read_features(dir_ / "f.safetensors").rows, TensorEq(rows_.to(at::kBFloat16).to(at::kFloat)));
}

TEST_F(FeatureFile, ImagesPointsAndStatisticsAreNone) {
  EXPECT_FALSE(is_feature_file(put_npy(torch::zeros({4, 2})))) << "points";
  EXPECT_FALSE(is_feature_file(put_npy(torch::zeros({4, 5, 5, 3}, at::kByte))));
  EXPECT_TRUE(is_feature_file(put_npy(torch::zeros({4}))));
  write_npz(dir_ / "f.npz", {{"arr_0", torch::zeros({2, 5, 5, 3}, at::kByte)}});
  EXPECT_FALSE(is_feature_file(dir_ / "f.npz"));
  for (const char* beside : {"reps", "feats", "features"}) {
    write_npz(dir_ / "f.npz", {{"arr_0", torch::zeros({4, 5, 5, 3}, at::kByte)}, {beside, rows_}});
    EXPECT_FALSE(is_feature_file(dir_ / "f.npz")) << "images, whatever is beside them: " << beside;
    write_npz(dir_ / "f.npz", {{"arr_0", rows_ + 1}, {beside, rows_}});
    EXPECT_THAT(read_features(dir_ / "f.npz").rows, TensorEq(rows_)) << beside;
  }
  write_npz(dir_ / "f.npz", {{"one", rows_}, {"other", rows_}});
  EXPECT_FALSE(is_feature_file(dir_ / "f.npz"));
  EXPECT_THAT(error_of(dir_ / "f.npz"), HasSubstr("holds no features: 'reps', 'feats'"));
  EXPECT_FALSE(is_feature_file(dir_ / "none.npy"));
}

TEST_F(FeatureFile, WhatIsNoMatrixOfFiniteFloatsIsRefused) {
  EXPECT_THAT(error_of(put_npy(torch::zeros({4}))),
              HasSubstr("holds float32 [4], where features are [n, d]"));
  EXPECT_THAT(error_of(put_npy(torch::zeros({4, 3}, at::kLong))),
              HasSubstr("holds int64 [4, 3], where features are float16, float32 or float64"));
  EXPECT_THAT(error_of(put_npy(torch::zeros({4, 0}))), HasSubstr("where features are [n, d]"));
  EXPECT_THAT(error_of(put_npy(torch::zeros({1, kMostFeatures + 1}))),
              HasSubstr("are rows and columns exchanged?"));
  EXPECT_THAT(error_of(put_npy(torch::zeros({0, 3}))), HasSubstr("f.npy"));
  auto bad = rows_.clone();
  bad[2][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_of(put_npy(bad)), HasSubstr("holds nan in row 2, column 1, which no distance"));
  bad[2][1] = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(error_of(put_npy(bad)), HasSubstr("holds -inf in row 2, column 1"));
  auto large = rows_.to(at::kDouble);
  large[3][0] = 1e300;
  EXPECT_THAT(error_of(put_npy(large)), HasSubstr("row 3, column 0, which float32 cannot hold"));
}

TEST_F(FeatureFile, AFileThatWasChangedIsRefused) {
  const auto path = dir_ / "f.safetensors";
  write_features(path, rows_, kFeatureProvenance);
  const auto written = read_safetensors(path);
  write_safetensors(path, {{"features", rows_ + 1}}, written.metadata);
  EXPECT_THAT(error_of(path), HasSubstr("provenance.json is not of these features"));
  write_features(path, torch::rand({5, 3}), kFeatureProvenance);
  EXPECT_THAT(error_of(path), HasSubstr("has 5 rows, and its provenance.json says 4"));
  write_features(path, torch::rand({4, 2}), kFeatureProvenance);
  EXPECT_THAT(error_of(path), HasSubstr("speaks of other features than the 2 of its rows"));
  write_features(path, rows_, "{}");
  EXPECT_THAT(error_of(path), HasSubstr("does not say which features were used"));
  write_safetensors(path, {{"conv.weight", rows_}, {"conv.bias", rows_}});
  EXPECT_THAT(error_of(path), HasSubstr("has 2 tensors and none of them is called 'features'"));
}

}  // namespace
}  // namespace ddpm_eval::data
