#include "base/core/config_tree.h"

#include "base/core/error.h"
#include "base/core/file_io.h"

#include <algorithm>
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

/// Far more than any key of ours has. The parser and its tables recurse once a part, and it limits only how
/// deep values nest.
constexpr int kMaxKeyParts = 16;

/// One past the end of the string whose quote is at `at`.
size_t end_of_string(std::string_view text, size_t at) {
  const char quote = text[at];
  const size_t marks = text.substr(at, 3) == std::string(3, quote) ? 3 : 1;
  const auto closing = text.substr(at, marks);
  for (at += marks; at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"') {
      ++at;
    } else if (marks == 1 && text[at] == quote) {
      return at + 1;
    } else if (marks == 1 && text[at] == '\n') {
      return at;  // not closed, which the parser tells
    } else if (marks == 3 && text.substr(at, 3) == closing) {
      return std::min(text.find_first_not_of(quote, at), text.size());  // quotes may come before the closing
    }
  }
  return text.size();
}

/// The parts of a key are joined by dots outside of strings and comments; so are the two of a number.
void refuse_deep_keys(std::string_view text, const std::string& origin) {
  int parts = 1;
  size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      at = end_of_string(text, at);
      continue;
    }
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    if (c == '.' && ++parts > kMaxKeyParts) {
      const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
      throw UsageError("{}:{}: a key of more than {} parts", origin, line, kMaxKeyParts);
    }
    if (std::string_view("\n=,[{").find(c) != std::string_view::npos) {
      parts = 1;
    }
    ++at;
  }
}

Json parse_toml(std::string_view text, const std::string& origin) {
  refuse_deep_keys(text, origin);
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
  if (std::count(key.begin(), key.end(), '.') >= kMaxKeyParts) {
    throw UsageError("--set: a key of more than {} parts", kMaxKeyParts);
  }
  refuse_deep_keys(text, "--set");
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
