#pragma once

#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace ddpm_eval::core {

using Json = nlohmann::ordered_json;

/// How deep JSON from a file may nest. Whatever copies, writes or walks a value does so by recursion, so that
/// a file of brackets would end the process.
inline constexpr int kMaxJsonDepth = 64;

/// The same for JSON that is put into a record, which must itself stay readable.
inline constexpr int kMaxEmbeddedJsonDepth = 32;

/// The value, or null if `text` is not JSON or nests deeper than `max_depth`.
Json parse_json(std::string_view text, int max_depth = kMaxJsonDepth);

/// Whether `value` is an object with a number under `key`.
bool has_number(const Json& value, const char* key);

/// Whether `value` is an object with an integer under `key`.
bool has_integer(const Json& value, const char* key);

}  // namespace ddpm_eval::core
