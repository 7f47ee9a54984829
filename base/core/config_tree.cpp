#include "base/core/config_tree.h"

#include "base/core/error.h"
#include "base/core/file_io.h"

#include <sstream>

#include <toml++/toml.h>

namespace ddpm_eval::core {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    Json object = Json::object();
    for (const auto& [key, value] : *table) {
      object[std::string(key.str())] = to_json(value);
    }
    return object;
  }
  if (const auto* array = node.as_array()) {
    Json list = Json::array();
    for (const auto& value : *array) {
      list.push_back(to_json(value));
    }
    return list;
  }
  if (const auto* text = node.as_string()) {
    return text->get();
  }
  if (const auto* number = node.as_integer()) {
    return number->get();
  }
  if (const auto* number = node.as_floating_point()) {
    return number->get();
  }
  if (const auto* flag = node.as_boolean()) {
    return flag->get();
  }
  std::ostringstream text;  // dates and times, which no field of ours takes
  text << toml::node_view<const toml::node>(node);
  return text.str();
}

Json parse_toml(std::string_view text, const std::string& origin) {
  try {
    return to_json(toml::parse(text, std::string_view(origin)));
  } catch (const toml::parse_error& error) {
    throw UsageError("{}:{}:{}: {}", origin, error.source().begin.line, error.source().begin.column,
                     error.description());
  }
}

}  // namespace

ConfigTree::ConfigTree() : impl_(std::make_unique<Impl>()) {}
ConfigTree::~ConfigTree() = default;
ConfigTree::ConfigTree(ConfigTree&&) noexcept = default;
ConfigTree& ConfigTree::operator=(ConfigTree&&) noexcept = default;

ConfigTree ConfigTree::from_file(const std::string& path) {
  return from_text(read_text(path, 1 << 20), path);
}

ConfigTree ConfigTree::from_text(std::string_view toml, const std::string& origin) {
  ConfigTree tree;
  tree.impl_->root = parse_toml(toml, origin);
  tree.impl_->origin = origin;
  return tree;
}

ConfigTree ConfigTree::from_json(std::string_view json, const std::string& origin) {
  ConfigTree tree;
  tree.impl_->root = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  tree.impl_->origin = origin;
  if (!tree.impl_->root.is_object()) {
    throw DataError("{}: the stored configuration is not a JSON object", origin);
  }
  return tree;
}

void ConfigTree::set(std::string_view assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw UsageError("--set {}: expected key=value", assignment);
  }
  const std::string key(assignment.substr(0, equals));
  const std::string text(assignment.substr(equals + 1));
  Json value;
  try {
    value = to_json(toml::parse("v = " + text, std::string_view("--set")))["v"];
  } catch (const toml::parse_error&) {
    value = text;  // a bare word: `--set process.schedule=cosine`
  }
  Json* place = &impl_->root;
  size_t begin = 0;
  for (size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', begin)) {
    place = &(*place)[key.substr(begin, dot - begin)];
    if (!place->is_object() && !place->is_null()) {
      throw UsageError("--set {}: '{}' is a value, not a section", assignment, key.substr(0, dot));
    }
    begin = dot + 1;
  }
  (*place)[key.substr(begin)] = std::move(value);
}

}  // namespace ddpm_eval::core
