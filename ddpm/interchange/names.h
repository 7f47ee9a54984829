#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// The names that the U-Net's parameters have elsewhere. Ours are those of the official model's PyTorch port
// (pesser/pytorch_diffusion); `name` is one of them, "down.1.attn.0.q.weight".
namespace ddpm_eval::ddpm {

/// diffusers' UNet2DModel: "down_blocks.1.attentions.0.to_q.weight". It counts the way up from the coarsest
/// of the network's `levels`.
std::string diffusers_name(std::string_view name, int64_t levels);

/// The same as its older versions wrote it, which called an attention block's parts query, key, value
/// and proj_attn.
std::string old_diffusers_name(std::string_view name, int64_t levels);

/// The variable of the official TensorFlow code: "model/down_1/attn_0/q/W".
std::string tensorflow_name(std::string_view name);

}  // namespace ddpm_eval::ddpm
