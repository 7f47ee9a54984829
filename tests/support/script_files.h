#pragma once

#include <sstream>
#include <string>

#include <torch/csrc/jit/api/module.h>

namespace ddpm_eval::testing {

/// The bytes of a TorchScript file whose forward() is the Python function `forward`, as
/// "def forward(self, images): ...".
inline std::string script_bytes(const std::string& forward) {
  torch::jit::Module module("Net");
  module.define(forward);
  std::ostringstream out;
  module.save(out);
  return out.str();
}

/// 48 features: the means of 4 x 4 fields of each colour.
inline constexpr const char* kPoolNet = R"(
def forward(self, images):
    return torch.flatten(torch.adaptive_avg_pool2d(images, [4, 4]), 1)
)";

/// As NVIDIA's detectors are called: 12 features of images on 0..255, or probabilities.
inline constexpr const char* kNvidiaNet = R"(
def forward(self, img, return_features: bool=False, use_fp16: bool=False, no_output_bias: bool=False):
    features = torch.flatten(torch.adaptive_avg_pool2d((img - 128.0) / 128.0, [2, 2]), 1)
    if return_features:
        return features
    return torch.softmax(features, 1)
)";

/// Wants 4 PB, more than a process can address.
inline constexpr const char* kHugeNet = R"(
def forward(self, images):
    return images.mean([2, 3]) + torch.empty([1000000000000000])[0]
)";

}  // namespace ddpm_eval::testing
