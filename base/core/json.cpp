#include "base/core/json.h"

#include <nlohmann/json.hpp>

namespace ddpm_eval::core {

Json parse_json(std::string_view text, int max_depth) {
  bool deep = false;
  const auto watch = [&](int depth, Json::parse_event_t event, const Json&) {  // the outermost has depth 0
    const bool opens =
        event == Json::parse_event_t::array_start || event == Json::parse_event_t::object_start;
    deep = deep || (opens && depth >= max_depth);
    return !deep;
  };
  auto json = Json::parse(text, watch, /*allow_exceptions=*/false);
  return deep || json.is_discarded() ? Json() : json;
}

bool has_number(const Json& value, const char* key) {
  const auto found = value.is_object() ? value.find(key) : value.end();
  return found != value.end() && found->is_number();
}

bool has_integer(const Json& value, const char* key) {
  const auto found = value.is_object() ? value.find(key) : value.end();
  return found != value.end() && found->is_number_integer();
}

}  // namespace ddpm_eval::core
