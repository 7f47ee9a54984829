#include "metrics/inception_layout.h"

#include <algorithm>
#include <array>

namespace ddpm_eval::metrics {
namespace {

/// Stride 1, padded so that the map keeps its size.
Unit same(const std::string& name, int64_t in, int64_t out, int64_t kernel_h = 1, int64_t kernel_w = 1) {
  return {name, in, out, kernel_h, kernel_w, 1, kernel_h / 2, kernel_w / 2};
}

/// 3x3 without padding.
Unit valid(const std::string& name, int64_t in, int64_t out, int64_t stride) {
  return {name, in, out, 3, 3, stride, 0, 0};
}

Block block_a(const std::string& name, int64_t in, int64_t pool_out) {
  const std::string n = name + ".branch";
  return {{{Pool::kNone, {same(n + "1x1", in, 64)}, {}},
           {Pool::kNone, {same(n + "5x5_1", in, 48), same(n + "5x5_2", 48, 64, 5, 5)}, {}},
           {Pool::kNone,
            {same(n + "3x3dbl_1", in, 64), same(n + "3x3dbl_2", 64, 96, 3, 3),
             same(n + "3x3dbl_3", 96, 96, 3, 3)},
            {}},
           {Pool::kAverage, {same(n + "_pool", in, pool_out)}, {}}}};
}

Block block_b(const std::string& name, int64_t in) {
  const std::string n = name + ".branch";
  return {
      {{Pool::kNone, {valid(n + "3x3", in, 384, 2)}, {}},
       {Pool::kNone,
        {same(n + "3x3dbl_1", in, 64), same(n + "3x3dbl_2", 64, 96, 3, 3), valid(n + "3x3dbl_3", 96, 96, 2)},
        {}},
       {Pool::kMaxStride2, {}, {}}}};
}

Block block_c(const std::string& name, int64_t mid) {
  const std::string n = name + ".branch";
  constexpr int64_t in = 768;
  return {
      {{Pool::kNone, {same(n + "1x1", in, 192)}, {}},
       {Pool::kNone,
        {same(n + "7x7_1", in, mid), same(n + "7x7_2", mid, mid, 1, 7), same(n + "7x7_3", mid, 192, 7, 1)},
        {}},
       {Pool::kNone,
        {same(n + "7x7dbl_1", in, mid), same(n + "7x7dbl_2", mid, mid, 7, 1),
         same(n + "7x7dbl_3", mid, mid, 1, 7), same(n + "7x7dbl_4", mid, mid, 7, 1),
         same(n + "7x7dbl_5", mid, 192, 1, 7)},
        {}},
       {Pool::kAverage, {same(n + "_pool", in, 192)}, {}}}};
}

Block block_d(const std::string& name, int64_t in) {
  const std::string n = name + ".branch";
  return {{{Pool::kNone, {same(n + "3x3_1", in, 192), valid(n + "3x3_2", 192, 320, 2)}, {}},
           {Pool::kNone,
            {same(n + "7x7x3_1", in, 192), same(n + "7x7x3_2", 192, 192, 1, 7),
             same(n + "7x7x3_3", 192, 192, 7, 1), valid(n + "7x7x3_4", 192, 192, 2)},
            {}},
           {Pool::kMaxStride2, {}, {}}}};
}

Block block_e(const std::string& name, int64_t in, Pool pool) {
  const std::string n = name + ".branch";
  return {{{Pool::kNone, {same(n + "1x1", in, 320)}, {}},
           {Pool::kNone,
            {same(n + "3x3_1", in, 384)},
            {same(n + "3x3_2a", 384, 384, 1, 3), same(n + "3x3_2b", 384, 384, 3, 1)}},
           {Pool::kNone,
            {same(n + "3x3dbl_1", in, 448), same(n + "3x3dbl_2", 448, 384, 3, 3)},
            {same(n + "3x3dbl_3a", 384, 384, 1, 3), same(n + "3x3dbl_3b", 384, 384, 3, 1)}},
           {pool, {same(n + "_pool", in, 192)}, {}}}};
}

constexpr std::array kLayers{
    InceptionLayerInfo{InceptionLayer::kPool3, "", "inception-v3-fid", 2048, 15},
    InceptionLayerInfo{InceptionLayer::kFirstPool, "64", "inception-v3-fid/64", 64, 2},
    InceptionLayerInfo{InceptionLayer::kSecondPool, "192", "inception-v3-fid/192", 192, 4},
    InceptionLayerInfo{InceptionLayer::kMixed6e, "768", "inception-v3-fid/768", 768, 12},
    InceptionLayerInfo{InceptionLayer::kSpatial, "spatial", "inception-v3-fid/spatial",
                       kSpatialSide* kSpatialSide* kSpatialChannels, 11},
};

}  // namespace

std::span<const InceptionLayerInfo> inception_layers() { return kLayers; }

const InceptionLayerInfo& layer_info(InceptionLayer layer) {
  return *std::find_if(kLayers.begin(), kLayers.end(), [&](const auto& info) { return info.layer == layer; });
}

std::vector<Block> inception_layout(InceptionLayer layer) {
  std::vector<Block> blocks = {
      {{{Pool::kNone,
         {valid("Conv2d_1a_3x3", 3, 32, 2), valid("Conv2d_2a_3x3", 32, 32, 1),
          same("Conv2d_2b_3x3", 32, 64, 3, 3)},
         {}}}},
      {{{Pool::kMaxStride2, {}, {}}}},
      {{{Pool::kNone, {same("Conv2d_3b_1x1", 64, 80), valid("Conv2d_4a_3x3", 80, 192, 1)}, {}}}},
      {{{Pool::kMaxStride2, {}, {}}}},
      block_a("Mixed_5b", 192, 32),
      block_a("Mixed_5c", 256, 64),
      block_a("Mixed_5d", 288, 64),
      block_b("Mixed_6a", 288),
      block_c("Mixed_6b", 128),
      block_c("Mixed_6c", 160),
      block_c("Mixed_6d", 160),
      block_c("Mixed_6e", 192),
      block_d("Mixed_7a", 768),
      block_e("Mixed_7b", 1280, Pool::kAverage),
      block_e("Mixed_7c", 2048, Pool::kMax),
  };
  blocks.resize(layer_info(layer).blocks);
  if (layer == InceptionLayer::kSpatial) {
    blocks.back().branches.resize(1);
  }
  return blocks;
}

}  // namespace ddpm_eval::metrics
