#include "eval/wanted_scores.h"

#include "base/core/error.h"
#include "base/core/text.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <string_view>
#include <vector>

namespace ddpm_eval::eval {
namespace {

struct Name {
  std::string_view text;
  bool WantedScores::*flag;
};

constexpr std::array<Name, 11> kNames{{{"fid", &WantedScores::frechet},
                                       {"sfid", &WantedScores::spatial_frechet},
                                       {"is", &WantedScores::inception_score},
                                       {"kid", &WantedScores::kernel},
                                       {"prdc", &WantedScores::neighbours},
                                       {"fid-infinity", &WantedScores::frechet_infinity},
                                       {"is-infinity", &WantedScores::score_infinity},
                                       {"sliced-wasserstein", &WantedScores::sliced},
                                       {"mind", &WantedScores::monge},
                                       {"mifid", &WantedScores::memorization_informed},
                                       {"vendi", &WantedScores::vendi}}};

[[noreturn]] void refuse(const std::string& word) {
  std::vector<std::string> names;
  for (const auto& name : kNames) {
    names.emplace_back(name.text);
  }
  if (word.empty()) {
    throw core::UsageError("a name is empty; separate them by single commas; choose from {}",
                           core::join_or(names));
  }
  throw core::UsageError("there is no score '{}'{}; choose from {}", word, core::did_you_mean(word, names),
                         core::join_or(names));
}

}  // namespace

WantedScores parse_wanted_scores(const std::string& list) {
  WantedScores wanted;
  std::istringstream words(list + ",");
  for (std::string word; std::getline(words, word, ',');) {
    const auto found =
        std::find_if(kNames.begin(), kNames.end(), [&](const auto& name) { return name.text == word; });
    if (found == kNames.end()) {
      refuse(word);
    }
    wanted.*found->flag = true;
  }
  return wanted;
}

}  // namespace ddpm_eval::eval
