#pragma once

#include "base/core/record.h"
#include "base/data/image_source.h"
#include "base/data/source_spec.h"
#include "eval/console.h"
#include "eval/sampling.h"

#include <memory>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// The samples of `run` from index part.first on, part.count of them, which must be set: the very ones that
/// `sample` would write.
std::unique_ptr<data::ImageSource> make_sampler_source(std::string name, std::shared_ptr<const LoadedRun> run,
                                                       const data::Subset& part);

/// The same of a run that makes points: float32 [part.count, 2]. Throws InterruptedError.
at::Tensor sample_points_of(const LoadedRun& run, const data::Subset& part, const ProgressFn& progress);

/// `run:FOLDER?num=N&seed=S`, with `&first=A` the samples from index A on, `&weights=last` or `best`, and any
/// key of the run's [sample] section (`&steps=50&sampler=ddim`): images straight from the sampler, the very
/// ones that `sample` would write. Throws UsageError and DataError before any work.
std::unique_ptr<data::ImageSource> open_run_source(const data::SourceSpec& spec);

/// Points drawn from a run, and what they depend on.
struct RunPoints {
  at::Tensor points;  ///< float32 [num, 2]
  core::Json context;
};

/// The same of a run that makes points. Throws UsageError for one that makes images, and InterruptedError.
RunPoints draw_run_points(const data::SourceSpec& spec, const ProgressFn& progress);

}  // namespace ddpm_eval::eval
