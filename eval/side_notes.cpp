#include "eval/side_notes.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

std::optional<int64_t> told_lossy(const core::Json& provenance) {
  const auto of = [](const core::Json& owner) -> std::optional<int64_t> {
    return owner.contains("data") && core::has_integer(owner["data"], "lossy")
               ? std::optional(owner["data"]["lossy"].get<int64_t>())
               : std::nullopt;
  };
  if (!provenance.is_object() || !provenance.contains("parts")) {
    return provenance.is_object() ? of(provenance) : std::nullopt;
  }
  int64_t sum = 0;
  for (const auto& part : provenance["parts"]) {
    const auto lossy = of(part);
    if (!lossy) {
      return std::nullopt;
    }
    sum += *lossy;
  }
  return sum;
}

void add_notes(const std::vector<std::string>& notes, core::Json& all) {
  for (const auto& note : notes) {
    if (std::ranges::find(all, core::Json(note)) == all.end()) {
      all.push_back(note);
    }
  }
}

void note_unlike_files(const core::Json& real, const core::Json& fake, core::Json& notes) {
  constexpr double kSameShare = 0.01;
  for (const auto* side : {&real, &fake}) {
    if (!core::has_integer(*side, "lossy") || !core::has_integer(*side, "count")) {
      return;
    }
  }
  const auto real_lossy = real["lossy"].get<int64_t>(), real_count = real["count"].get<int64_t>();
  const auto fake_lossy = fake["lossy"].get<int64_t>(), fake_count = fake["count"].get<int64_t>();
  const auto share = [](int64_t lossy, int64_t count) {
    return static_cast<double>(lossy) / static_cast<double>(count);
  };
  if (std::abs(share(real_lossy, real_count) - share(fake_lossy, fake_count)) <= kSameShare) {
    return;
  }
  notes.push_back(fmt::format(
      "{} of {} real images and {} of {} fake ones come from lossy files (JPEG or lossy WebP): compression "
      "alone moves the score; keep both sides in one format",
      real_lossy, real_count, fake_lossy, fake_count));
}

}  // namespace ddpm_eval::eval
