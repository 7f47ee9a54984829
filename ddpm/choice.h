#pragma once

#include "base/core/config.h"
#include "base/core/error.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ddpm_eval::ddpm {

/// An enum as a word of a configuration: pairs of word and value, every value once.
template <class Enum>
using Words = std::vector<std::pair<std::string, Enum>>;

template <class Enum>
std::string word_of(const Words<Enum>& words, Enum value) {
  for (const auto& [word, candidate] : words) {
    if (candidate == value) {
      return word;
    }
  }
  DDPM_CHECK(false, "value {} has no word", static_cast<int>(value));
}

template <class Enum>
void choice(core::ConfigVisitor& v, std::string_view key, Enum& field, const Words<Enum>& words) {
  std::vector<std::string> list;
  for (const auto& entry : words) {
    list.push_back(entry.first);
  }
  std::string word = word_of(words, field);
  v.choice(key, word, list);
  for (const auto& [candidate, value] : words) {
    if (candidate == word) {
      field = value;
    }
  }
}

}  // namespace ddpm_eval::ddpm
