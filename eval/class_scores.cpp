#include "eval/class_scores.h"

#include "base/core/error.h"
#include "base/core/seconds_since.h"
#include "eval/console.h"
#include "metrics/class_moments.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

/// A class that both sides may have.
struct ClassPair {
  std::string name;
  int64_t real_label = -1;  ///< below the side's number of classes, or -1
  int64_t fake_label = -1;
};

int64_t find_name(const std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? -1 : found - names.begin();
}

bool match_by_name(const data::Classes& real, const data::Classes& fake) {
  return !real.names.empty() && !fake.names.empty();
}

std::vector<ClassPair> matched_classes(const data::Classes& real, const data::Classes& fake) {
  std::vector<ClassPair> pairs;
  if (match_by_name(real, fake)) {
    for (int64_t label = 0; label < real.count; ++label) {
      const auto& name = real.names[static_cast<size_t>(label)];
      pairs.push_back({name, label, find_name(fake.names, name)});
    }
    return pairs;
  }
  const auto& names = real.names.empty() ? fake.names : real.names;
  for (int64_t label = 0; label < std::max(real.count, fake.count); ++label) {
    const auto place = static_cast<size_t>(label);
    pairs.push_back({place < names.size() ? names[place] : fmt::format("{}", label),
                     label < real.count ? label : -1, label < fake.count ? label : -1});
  }
  return pairs;
}

/// "'cat', 'dog' and 3 more" of the names that the others are without.
std::string names_missing(const std::vector<std::string>& names, const std::vector<std::string>& others) {
  constexpr size_t kShown = 3;
  std::vector<std::string> missing;
  for (const auto& name : names) {
    if (find_name(others, name) < 0) {
      missing.push_back("'" + name + "'");
    }
  }
  const auto end = missing.begin() + static_cast<int64_t>(std::min(kShown, missing.size()));
  const auto shown = fmt::format("{}", fmt::join(missing.begin(), end, ", "));
  return missing.size() > kShown ? fmt::format("{} and {} more", shown, missing.size() - kShown)
         : missing.empty()       ? "none"
                                 : shown;
}

data::Classes classes_of(const LabelledSide& side) {
  if (side.images == nullptr) {
    throw core::UsageError("--by-class: --{} {} has no labels: it is no set of images", side.request.role,
                           side.request.source);
  }
  auto classes = side.images->classes();
  if (classes.count == 0) {
    throw core::UsageError("--by-class: --{} {} has no labels: {}", side.request.role, side.request.source,
                           classes.absent);
  }
  return classes;
}

int64_t count_at(const std::vector<int64_t>& counts, int64_t label) {
  return label < 0 ? 0 : counts[static_cast<size_t>(label)];
}

/// A class with how many images of it there are.
struct CountedClass {
  ClassPair pair;
  int64_t real = 0;
  int64_t fake = 0;
};

/// The classes that there are images of, on both sides enough for a covariance.
std::vector<CountedClass> counted_classes(const Side& real, const Side& fake) {
  const auto of_real = metrics::class_counts(real.labels, real.classes.count);
  const auto of_fake = metrics::class_counts(fake.labels, fake.classes.count);
  std::vector<CountedClass> counted;
  for (auto& pair : matched_classes(real.classes, fake.classes)) {
    const int64_t n = count_at(of_real, pair.real_label), m = count_at(of_fake, pair.fake_label);
    if (n == 0 && m == 0) {
      continue;
    }
    if (n < 2 || m < 2) {
      throw core::DataError(
          "--by-class: class '{}' has {} real and {} fake images; each class needs at least 2 on either side",
          pair.name, n, m);
    }
    counted.push_back({std::move(pair), n, m});
  }
  return counted;
}

/// "500", or "480 to 520".
std::string range_text(const std::vector<CountedClass>& classes, int64_t CountedClass::*count) {
  const auto [least, most] = std::minmax_element(
      classes.begin(), classes.end(),
      [&](const CountedClass& one, const CountedClass& other) { return one.*count < other.*count; });
  return (*least).*count == (*most).*count ? fmt::format("{}", (*least).*count)
                                           : fmt::format("{} to {}", (*least).*count, (*most).*count);
}

}  // namespace

void require_classes(const LabelledSide& real, const LabelledSide& fake) {
  const auto of_real = classes_of(real), of_fake = classes_of(fake);
  if (!match_by_name(of_real, of_fake)) {
    return;
  }
  const auto of_real_alone = names_missing(of_real.names, of_fake.names);
  const auto of_fake_alone = names_missing(of_fake.names, of_real.names);
  if (of_real_alone != "none" || of_fake_alone != "none") {
    throw core::UsageError(
        "--by-class: the classes of --real {} and --fake {} differ: on the real side alone {}, on the fake "
        "side "
        "alone {}; name them alike",
        real.request.source, fake.request.source, of_real_alone, of_fake_alone);
  }
}

void add_class_distances(const Side& real, const Side& fake, const SideRules& rules, SideScores& scores,
                         const Session& session) {
  const auto start = std::chrono::steady_clock::now();
  const auto classes = counted_classes(real, fake);
  const auto progress = watched_progress("distances by class", "classes", session.quiet);
  Json each = Json::array();
  double sum = 0.0;
  for (const auto& one : classes) {
    const auto parts = metrics::frechet_distance(
        metrics::class_moments(real.features, real.labels, one.pair.real_label),
        metrics::class_moments(fake.features, fake.labels, one.pair.fake_label), rules.options.sqrt);
    sum += parts.distance;
    each.push_back({{"class", one.pair.name},
                    {"real_count", one.real},
                    {"fake_count", one.fake},
                    {rules.frechet_key, parts.distance}});
    progress(static_cast<int64_t>(each.size()), static_cast<int64_t>(classes.size()));
  }
  scores.metrics["intra_" + rules.frechet_key] = sum / static_cast<double>(classes.size());
  scores.parts["classes"] = {{"metric", rules.frechet_key},
                             {"matched_by", match_by_name(real.classes, fake.classes) ? "name" : "number"},
                             {"each", std::move(each)},
                             {"seconds", core::seconds_since(start)}};
  if (!match_by_name(real.classes, fake.classes) &&
      (!real.classes.names.empty() || !fake.classes.names.empty())) {
    constexpr size_t kShown = 10;
    const auto& names = real.classes.names.empty() ? fake.classes.names : real.classes.names;
    std::vector<std::string> numbered;
    for (size_t i = 0; i < std::min(kShown, names.size()); ++i) {
      numbered.push_back(fmt::format("{} = {}", i, names[i]));
    }
    scores.notes.push_back(
        fmt::format("by class: the {} side knows its classes by number alone, so that they are matched by "
                    "number, which on the "
                    "other side is {}{}: see that both sides number them alike",
                    real.classes.names.empty() ? "real" : "fake", fmt::join(numbered, ", "),
                    names.size() > kShown ? ", ..." : ""));
  }
  scores.notes.push_back(fmt::format(
      "by class: {} real and {} fake images each, for {} features; distances of so few images are biased "
      "upwards, the more the fewer: compare them at equal counts, and not with that of all images",
      range_text(classes, &CountedClass::real), range_text(classes, &CountedClass::fake),
      real.features.size(1)));
}

}  // namespace ddpm_eval::eval
