#include "eval/score_checks.h"

#include "base/core/error.h"
#include "eval/feature_nets.h"
#include "eval/repeats.h"

#include <tuple>

namespace ddpm_eval::eval {
namespace {

/// Options that no wanted score takes would be without effect.
void refuse_idle_options(const ScoreOptions& options) {
  const auto& wanted = options.wanted;
  const auto& kid = options.kid;
  const bool general = options.sqrt == metrics::SqrtMethod::kGeneral;
  for (const auto& [flag, given, used, scores] :
       {std::tuple{
            "--interval", options.interval.has_value(),
            wanted.frechet || wanted.inception_score || wanted.kernel || wanted.neighbours || wanted.vendi,
            "fid, is, kid, prdc or vendi"},
        {"--kid-subsets", kid.subsets.has_value(), wanted.kernel, "kid"},
        {"--kid-subset-size", kid.subset_size.has_value(), wanted.kernel, "kid"},
        {"--kid-seed", kid.seed.has_value(), wanted.kernel, "kid"},
        {"--kid-kernel", kid.kind.has_value(), wanted.kernel, "kid"},
        {"--kid-degree", kid.degree.has_value(), wanted.kernel, "kid"},
        {"--kid-gamma", kid.gamma.has_value(), wanted.kernel, "kid"},
        {"--kid-coef", kid.coef.has_value(), wanted.kernel, "kid"},
        {"--kid-sigma", kid.sigma.has_value(), wanted.kernel, "kid"},
        {"--neighbours", options.neighbours.has_value(), wanted.neighbours, "prdc"},
        {"--by-class", options.by_class, wanted.frechet, "fid"},
        {"--sqrt general", general, wanted.frechet || wanted.spatial_frechet || wanted.memorization_informed,
         "fid, sfid or mifid"}}) {
    if (given && !used) {
      throw core::UsageError("{}: is for {}, which is not among the scores that are asked for", flag, scores);
    }
  }
  const bool rbf = kid.kind == metrics::Kernel::Kind::kRbf;
  for (const auto& [flag, given, of_rbf] : {std::tuple{"--kid-degree", kid.degree.has_value(), false},
                                            {"--kid-gamma", kid.gamma.has_value(), false},
                                            {"--kid-coef", kid.coef.has_value(), false},
                                            {"--kid-sigma", kid.sigma.has_value(), true}}) {
    if (given && of_rbf != rbf) {
      throw core::UsageError("{}: the {} kernel has none; choose the kernel with --kid-kernel", flag,
                             rbf ? "rbf" : "polynomial");
    }
  }
}

/// A reference is for scores that have one.
void require_reference(const ScoreOptions& options) {
  if (options.wanted.pairs() && options.real.empty()) {
    throw core::UsageError("--real is required: the scores that are asked for are against a reference");
  }
  if (!options.wanted.pairs() && !options.real.empty()) {
    throw core::UsageError("--real {}: the scores that are asked for have no reference; leave it out",
                           options.real);
  }
}

/// A repeat refuses what is said of one sample.
void check_repeats(const ScoreOptions& options) {
  if (!options.repeats) {
    return;
  }
  if (options.interval) {
    throw core::UsageError(
        "--repeats {} and --interval: an interval is of one sample's score; give one of them",
        *options.repeats);
  }
  repeated_sources(options.fake, *options.repeats);
}

}  // namespace

void check_score_options(const ScoreOptions& options) {
  if (!options.preset.empty()) {
    preset_given("--preset", options.preset);
  }
  refuse_idle_options(options);
  check_repeats(options);
  require_reference(options);
  if (options.wanted.spatial_frechet && are_spatial(options.features)) {
    throw core::UsageError("--metrics sfid: with --features {} sfid is what fid is; ask for fid alone",
                           options.features);
  }
}

}  // namespace ddpm_eval::eval
