#include "ddpm/interchange/names.h"

#include "base/core/error.h"

#include <charconv>
#include <map>
#include <vector>

namespace ddpm_eval::ddpm {
namespace {

using Parts = std::vector<std::string>;
using PartMap = std::map<std::string, std::string>;

// No part of a name of ours stands for two things, so that each is translated by itself; but for the numbers.
const PartMap kDiffusersParts = {{"down", "down_blocks"},
                                 {"mid", "mid_block"},
                                 {"up", "up_blocks"},
                                 {"block", "resnets"},
                                 {"block_1", "resnets.0"},
                                 {"block_2", "resnets.1"},
                                 {"attn", "attentions"},
                                 {"attn_1", "attentions.0"},
                                 {"downsample", "downsamplers.0"},
                                 {"upsample", "upsamplers.0"},
                                 {"temb_proj", "time_emb_proj"},
                                 {"nin_shortcut", "conv_shortcut"},
                                 {"norm", "group_norm"},
                                 {"q", "to_q"},
                                 {"k", "to_k"},
                                 {"v", "to_v"},
                                 {"proj_out", "to_out.0"},
                                 {"norm_out", "conv_norm_out"}};
const PartMap kOldAttentionParts = {{"q", "query"}, {"k", "key"}, {"v", "value"}, {"proj_out", "proj_attn"}};

Parts split(std::string_view name) {
  Parts parts;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    parts.emplace_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::string joined(const Parts& parts, char separator) {
  std::string text;
  for (const auto& part : parts) {
    text += text.empty() ? part : separator + part;
  }
  return text;
}

int64_t number_of(const std::string& part, std::string_view name) {
  int64_t number = -1;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
  DDPM_CHECK(error == std::errc() && end == part.data() + part.size() && number >= 0, "the name '{}'", name);
  return number;
}

std::string translated(std::string_view name, int64_t levels, const PartMap& first_choice) {
  auto parts = split(name);
  DDPM_CHECK(parts.size() >= 2, "the name '{}'", name);
  if (parts[0] == "temb") {  // temb.dense.0.weight
    DDPM_CHECK(parts.size() == 4, "the name '{}'", name);
    return fmt::format("time_embedding.linear_{}.{}", number_of(parts[2], name) + 1, parts[3]);
  }
  if (parts[0] == "up") {
    parts[1] = std::to_string(levels - 1 - number_of(parts[1], name));
  }
  for (auto& part : parts) {
    for (const auto* map : {&first_choice, &kDiffusersParts}) {
      if (const auto found = map->find(part); found != map->end()) {
        part = found->second;
        break;
      }
    }
  }
  return joined(parts, '.');
}

}  // namespace

std::string diffusers_name(std::string_view name, int64_t levels) { return translated(name, levels, {}); }

std::string old_diffusers_name(std::string_view name, int64_t levels) {
  return translated(name, levels, kOldAttentionParts);
}

std::string tensorflow_name(std::string_view name) {
  const auto parts = split(name);
  DDPM_CHECK(parts.size() >= 2, "the name '{}'", name);
  Parts scopes = {"model"};
  for (auto part = parts.begin(); part + 1 != parts.end(); ++part) {
    const bool is_number = part->find_first_not_of("0123456789") == std::string::npos;
    if (!is_number) {
      scopes.push_back(*part);
    } else if (scopes.back() == "dense") {
      scopes.back() += *part;
    } else {
      scopes.back() += "_" + *part;
    }
  }
  const bool is_norm = scopes.back().starts_with("norm");
  const bool is_weight = parts.back() == "weight";
  scopes.emplace_back(is_norm ? (is_weight ? "gamma" : "beta") : (is_weight ? "W" : "b"));
  return joined(scopes, '/');
}

}  // namespace ddpm_eval::ddpm
