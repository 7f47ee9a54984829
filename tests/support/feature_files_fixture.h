#pragma once

#include "base/data/feature_file.h"
#include "base/data/npy.h"
#include "tests/support/files.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ddpm_eval::testing {

/// Files of features in a folder of their own, and the program on them.
class FeatureFilesFixture : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (dir_ / name).string(); }

  std::string put(const std::string& name, const at::Tensor& matrix) const {
    put_file(dir_ / name, data::to_npy(matrix));
    return path(name);
  }

  /// A .safetensors file whose own words are that the 2048 features of 40 images are the FID Inception's.
  std::string put_inception(const std::string& name, const at::Tensor& matrix) const {
    data::write_features(dir_ / name, matrix,
                         R"({"features":{"name":"inception-v3-fid","weights_sha256":")" +
                             std::string(64, 'a') + R"(","dim":2048},"count":40})");
    return path(name);
  }

  TempDir dir_;
};

}  // namespace ddpm_eval::testing
