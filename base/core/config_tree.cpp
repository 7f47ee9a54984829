#include "base/core/config_tree.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/json.h"
#include "base/core/record.h"
#include "base/core/text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include <toml++/toml.h>

namespace ddpm_eval::core {
namespace {

Json table_to_json(const toml::table& table);

Json to_json(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    return table_to_json(*table);
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

/// Keys in the file's order; the parser's own is by name.
Json table_to_json(const toml::table& table) {
  using Entry = std::pair<toml::source_position, std::pair<std::string, const toml::node*>>;
  std::vector<Entry> entries;
  for (const auto& [key, value] : table) {
    entries.push_back({key.source().begin, {std::string(key.str()), &value}});
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.first < b.first; });
  Json object = Json::object();
  for (const auto& [unused, entry] : entries) {
    object[entry.first] = to_json(*entry.second);
  }
  return object;
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

/// The line with a key of too many parts, or 0. The parts are joined by dots outside of strings and comments;
/// so are the two of a number.
std::ptrdiff_t line_of_deep_key(std::string_view text) {
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
      return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    }
    if (std::string_view("\n=,[{").find(c) != std::string_view::npos) {
      parts = 1;
    }
    ++at;
  }
  return 0;
}

/// Whether `key` is `section` or in it.
bool is_within(std::string_view key, std::string_view section) {
  return key.starts_with(section) && (key.size() == section.size() || key[section.size()] == '.');
}

/// Whether `text` is a decimal number that no double holds, which the parser tells of in riddles or not at
/// all.
bool is_beyond_doubles(std::string text) {
  std::erase(text, '_');
  if (text.empty() || text.find_first_not_of("+-.0123456789eE") != std::string::npos) {
    return false;
  }
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return *end == '\0' && std::isinf(value);
}

/// What stands between the first pair of quotes.
std::string quoted_part(std::string_view text) {
  const size_t begin = text.find('\'');
  const size_t end = begin == std::string_view::npos ? begin : text.find('\'', begin + 1);
  return end == std::string_view::npos ? std::string() : std::string(text.substr(begin + 1, end - begin - 1));
}

constexpr auto kBeyondDoubles = "is out of range: numbers go to 1.8e308";

Json parse_toml(std::string_view text, const std::string& origin) {
  if (const auto line = line_of_deep_key(text); line > 0) {
    throw UsageError("{}:{}: a key of more than {} parts", origin, line, kMaxKeyParts);
  }
  try {
    return to_json(toml::parse(text, std::string_view(origin)));
  } catch (const toml::parse_error& error) {
    if (const auto number = quoted_part(error.description()); is_beyond_doubles(number)) {
      throw UsageError("{}:{}: {} {}", origin, error.source().begin.line, number, kBeyondDoubles);
    }
    throw UsageError("{}:{}:{}: {}", origin, error.source().begin.line, error.source().begin.column,
                     error.description());
  }
}

/// The value of an override: TOML, or a bare word, as in `--set process.schedule=cosine`.
Json parse_value(const std::string& text, const std::string& origin) {
  if (line_of_deep_key(text) > 0) {
    throw UsageError("{}: a key of more than {} parts", origin, kMaxKeyParts);
  }
  try {
    return to_json(toml::parse("v = " + text, std::string_view(origin)))["v"];
  } catch (const toml::parse_error&) {
    if (is_beyond_doubles(text)) {
      throw UsageError("{}: {} {}", origin, text, kBeyondDoubles);
    }
    if (!text.empty() &&
        text.find_first_not_of("0123456789_", text.find_first_of("+-") == 0 ? 1 : 0) == std::string::npos) {
      throw UsageError("{}: '{}' is no whole number of at most 64 bits without leading zeros", origin, text);
    }
    return text;
  }
}

}  // namespace

ConfigTree::Impl::Overrides::const_reverse_iterator ConfigTree::Impl::last_override_of(
    const std::string& key) const {
  return std::find_if(overrides.rbegin(), overrides.rend(), [&](const auto& override_) {
    return is_within(key, override_.first) || is_within(override_.first, key);
  });
}

const std::string& ConfigTree::Impl::origin_of(const std::string& key) const {
  const auto found = last_override_of(key);
  return found == overrides.rend() ? origin : found->second;
}

std::string ConfigTree::Impl::name_of(const std::string& key) const {
  const auto found = last_override_of(key);
  if (found != overrides.rend() && (found->first == key || is_within(found->first, key))) {
    return found->second;
  }
  const auto& who = found == overrides.rend() ? origin : found->second;
  return who.empty() ? key : fmt::format("{}: {}", who, key);
}

std::string ConfigTree::name_of(const std::string& key) const { return impl_->name_of(key); }

ConfigTree::ConfigTree() : impl_(std::make_unique<Impl>()) {}
ConfigTree::~ConfigTree() = default;
ConfigTree::ConfigTree(ConfigTree&&) noexcept = default;
ConfigTree& ConfigTree::operator=(ConfigTree&&) noexcept = default;

ConfigTree ConfigTree::from_file(const std::string& path) {
  auto tree = from_text(read_text(path, 1 << 20), path);
  if (tree.impl_->root.empty()) {
    throw UsageError("{}: has no keys; start from one of configs/", path);
  }
  return tree;
}

ConfigTree ConfigTree::from_text(std::string_view toml, const std::string& origin) {
  ConfigTree tree;
  tree.impl_->root = parse_toml(toml, origin);
  tree.impl_->origin = origin;
  return tree;
}

ConfigTree ConfigTree::from_json(std::string_view json, const std::string& origin) {
  ConfigTree tree;
  tree.impl_->root = parse_json(json);
  tree.impl_->origin = origin;
  if (!tree.impl_->root.is_object()) {
    throw DataError("{}: the stored configuration is not a JSON object", origin);
  }
  return tree;
}

void ConfigTree::set(std::string_view assignment, const std::string& named) {
  const std::string origin = named.empty() ? "--set " + excerpt(assignment, 120) : named;
  if (assignment.find_first_of("\n\r") != std::string_view::npos) {
    throw UsageError("{}: more than one line; repeat the option for each key", origin);
  }
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw UsageError("{}: expected key=value", origin);
  }
  const std::string key(assignment.substr(0, equals));
  if (std::count(key.begin(), key.end(), '.') >= kMaxKeyParts) {
    throw UsageError("{}: a key of more than {} parts", origin, kMaxKeyParts);
  }
  auto value = parse_value(std::string(assignment.substr(equals + 1)), origin);
  Json* place = &impl_->root;
  size_t begin = 0;
  for (size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', begin)) {
    place = &(*place)[key.substr(begin, dot - begin)];
    if (!place->is_object() && !place->is_null()) {
      throw UsageError("{}: '{}' is a value, not a section", origin, key.substr(0, dot));
    }
    begin = dot + 1;
  }
  (*place)[key.substr(begin)] = std::move(value);
  impl_->overrides.emplace_back(key, origin);
}

std::string ConfigTree::to_json() const { return json_text(impl_->root); }

}  // namespace ddpm_eval::core
