#include "eval/side.h"
#include "eval/side_scores.h"
#include "metrics/feature_net.h"
#include "metrics/preset.h"

#include <cstdint>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <torch/types.h>

// The memory that scores from one pass over the images take, whatever their number.
namespace ddpm_eval::eval {
namespace {

constexpr int64_t kSpatial = 2023;  // 7 x 17 x 17

/// Outputs of the FID Inception's shapes, at once.
class QuickNet final : public metrics::FeatureNet {
 public:
  QuickNet() {
    info_.name = "inception-v3-fid";
    info_.weights_sha256 = std::string(64, '1');
    info_.preset = "torch-fidelity";
    info_.dim = 2048;
    info_.classes = 1008;
  }
  const metrics::FeatureNetInfo& info() const override { return info_; }
  int64_t micro_batch() const override { return 50; }
  at::Tensor prepare(const at::Tensor& images_u8) const override { return images_u8.to(torch::kFloat32); }
  metrics::NetOutput forward(const at::Tensor& input) const override {
    return {torch::rand({input.size(0), info_.dim}), torch::randn({input.size(0), info_.classes}),
            torch::rand({input.size(0), kSpatial})};
  }

 private:
  metrics::FeatureNetInfo info_;
};

Side measured(const std::string& role, int64_t count) {
  SideRequest request;
  request.role = role;
  request.source = "gaussian-noise:8x8x3?num=" + std::to_string(count);
  request.keep_logits = role == "fake";
  request.splits = 10;
  request.spatial = true;
  Session session;
  session.quiet = true;
  return measure_side(request, *open_images(request), QuickNet(), session);
}

/// Of this process, in bytes, while `work` was done.
template <class Work>
int64_t peak_memory(const Work& work) {
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
  work();
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmHWM:") {
      int64_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
  }
  return 0;
}

TEST(SlowSideMemory, OfFidSfidAndInceptionScoreDoesNotGrow) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer holds what was freed";
#endif
  const auto real = measured("real", 5000);
  ScoreOptions options;
  options.wanted.frechet = options.wanted.spatial_frechet = options.wanted.inception_score = true;
  SideRules rules{.options = options, .preset = metrics::find_preset("torch-fidelity")};
  rules.standard = rules.standard_classes = true;
  rules.frechet_key = "frechet_inception_distance";
  Json few, many;
  const auto score = [&](int64_t count, Json& metrics) {
    auto fake = measured("fake", count);
    metrics = score_side(&real, fake, rules, Session()).metrics;
  };
  score(1000, few);  // threads take memory of their own once
  const auto least = peak_memory([&] { score(1000, few); });
  const auto most = peak_memory([&] { score(100'000, many); });
  RecordProperty("peak_mb_of_1000", std::to_string(least / 1'000'000));
  RecordProperty("peak_mb_of_100000", std::to_string(most / 1'000'000));
  EXPECT_GT(least, 200'000'000) << "two covariances of 2048 and their roots";
  EXPECT_LE(static_cast<double>(most), 1.1 * static_cast<double>(least)) << few << '\n' << many;
}

}  // namespace
}  // namespace ddpm_eval::eval
