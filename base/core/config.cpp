#include "base/core/config.h"

#include "base/core/config_tree.h"
#include "base/core/error.h"
#include "base/core/record.h"
#include "base/core/text.h"

#include <algorithm>
#include <cmath>

namespace ddpm_eval::core::detail {
namespace {

using Json = nlohmann::ordered_json;

std::string type_name(const Json& value) {
  switch (value.type()) {
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "true or false";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return "an integer";
    case Json::value_t::number_float:
      return std::isfinite(value.get<double>()) ? "a number" : fmt::format("{}", value.get<double>());
    case Json::value_t::array:
      return "a list";
    case Json::value_t::object:
      return "a section";
    default:
      return "nothing";
  }
}

/// One open section: where its values are (null: absent) and which keys its fields asked for.
struct Scope {
  std::string path;
  const Json* values;
  std::vector<std::string> known;
};

}  // namespace

struct ConfigReader::Impl {
  const ConfigTree::Impl& tree;
  std::vector<Scope> open;

  std::string full_key(std::string_view key) const {
    return open.back().path.empty() ? std::string(key) : fmt::format("{}.{}", open.back().path, key);
  }

  const Json* find(std::string_view key) {
    auto& scope = open.back();
    scope.known.emplace_back(key);
    if (scope.values == nullptr) {
      return nullptr;
    }
    const auto found = scope.values->find(std::string(key));
    return found == scope.values->end() ? nullptr : &*found;
  }

  [[noreturn]] void wrong(std::string_view key, std::string_view expected, const Json& found) const {
    const auto full = full_key(key);
    throw UsageError("{}: expected {}, found {}", tree.name_of(full), expected, type_name(found));
  }

  void check_unknown() const {
    const auto& scope = open.back();
    if (scope.values == nullptr) {
      return;
    }
    for (const auto& [key, unused] : scope.values->items()) {
      if (std::find(scope.known.begin(), scope.known.end(), key) == scope.known.end()) {
        const auto full = full_key(key);
        throw UsageError("{}: unknown key '{}'{}", tree.origin_of(full), full,
                         did_you_mean(key, scope.known));
      }
    }
  }
};

ConfigReader::ConfigReader(ConfigTree& tree) : impl_(new Impl{tree.impl(), {}}) {
  impl_->open.push_back({"", &tree.impl().root, {}});
}

ConfigReader::~ConfigReader() = default;

void ConfigReader::value(std::string_view key, bool& field) {
  if (const Json* found = impl_->find(key)) {
    if (!found->is_boolean()) {
      impl_->wrong(key, "true or false", *found);
    }
    field = found->get<bool>();
  }
}

void ConfigReader::value(std::string_view key, int64_t& field) {
  if (const Json* found = impl_->find(key)) {
    if (!found->is_number_integer()) {
      impl_->wrong(key, "an integer", *found);
    }
    field = found->get<int64_t>();
  }
}

void ConfigReader::value(std::string_view key, double& field) {
  if (const Json* found = impl_->find(key)) {
    if (!found->is_number() || !std::isfinite(found->get<double>())) {
      impl_->wrong(key, "a finite number", *found);
    }
    field = found->get<double>();
  }
}

void ConfigReader::value(std::string_view key, std::string& field) {
  if (const Json* found = impl_->find(key)) {
    if (!found->is_string()) {
      impl_->wrong(key, "a string", *found);
    }
    field = found->get<std::string>();
  }
}

void ConfigReader::value(std::string_view key, std::vector<int64_t>& field) {
  if (const Json* found = impl_->find(key)) {
    if (!found->is_array()) {
      impl_->wrong(key, "a list of integers", *found);
    }
    std::vector<int64_t> numbers;
    for (const auto& element : *found) {
      if (!element.is_number_integer()) {
        impl_->wrong(key, "a list of integers", element);
      }
      numbers.push_back(element.get<int64_t>());
    }
    field = std::move(numbers);
  }
}

void ConfigReader::choice(std::string_view key, std::string& field, const std::vector<std::string>& words) {
  std::string word = field;
  value(key, word);
  if (std::find(words.begin(), words.end(), word) == words.end()) {
    const auto full = impl_->full_key(key);
    throw UsageError("{}: '{}' is not one of {}{}", impl_->tree.name_of(full), word, join_or(words),
                     did_you_mean(word, words));
  }
  field = word;
}

void ConfigReader::enter(std::string_view key) {
  const Json* found = impl_->find(key);
  if (found != nullptr && !found->is_object()) {
    impl_->wrong(key, "a section", *found);
  }
  impl_->open.push_back({impl_->full_key(key), found, {}});
}

void ConfigReader::leave() {
  impl_->check_unknown();
  impl_->open.pop_back();
}

void ConfigReader::finish() {
  DDPM_CHECK(impl_->open.size() == 1, "section '{}' was not left", impl_->open.back().path);
  impl_->check_unknown();
}

struct ConfigWriter::Impl {
  Json root = Json::object();
  std::vector<Json*> open{&root};

  template <class Value>
  void put(std::string_view key, const Value& value) {
    (*open.back())[std::string(key)] = value;
  }
};

ConfigWriter::ConfigWriter() : impl_(std::make_unique<Impl>()) {}
ConfigWriter::~ConfigWriter() = default;

void ConfigWriter::value(std::string_view key, bool& field) { impl_->put(key, field); }
void ConfigWriter::value(std::string_view key, int64_t& field) { impl_->put(key, field); }
void ConfigWriter::value(std::string_view key, double& field) { impl_->put(key, field); }
void ConfigWriter::value(std::string_view key, std::string& field) { impl_->put(key, field); }
void ConfigWriter::value(std::string_view key, std::vector<int64_t>& field) { impl_->put(key, field); }
void ConfigWriter::choice(std::string_view key, std::string& field, const std::vector<std::string>&) {
  impl_->put(key, field);
}

void ConfigWriter::enter(std::string_view key) {
  auto& child = (*impl_->open.back())[std::string(key)];
  child = Json::object();
  impl_->open.push_back(&child);
}

void ConfigWriter::leave() { impl_->open.pop_back(); }

std::string ConfigWriter::json() const { return json_text(impl_->root); }

}  // namespace ddpm_eval::core::detail
