#pragma once

#include "base/core/record.h"
#include "base/data/image_source.h"
#include "base/data/source_spec.h"
#include "eval/console.h"

#include <memory>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// `run:FOLDER?num=N&seed=S`, with `&first=A` the samples from index A on, and any key of the run's [sample]
/// section (`&steps=50&sampler=ddim`): images straight from the sampler, the very ones that `sample` would
/// write. Throws UsageError and DataError before any work.
std::unique_ptr<data::ImageSource> open_run_source(const data::SourceSpec& spec);

/// Points drawn from a run, and what they depend on.
struct RunPoints {
  at::Tensor points;  ///< float32 [num, 2]
  core::Json context;
};

/// The same of a run that makes points. Throws UsageError for one that makes images, and InterruptedError.
RunPoints draw_run_points(const data::SourceSpec& spec, const ProgressFn& progress);

}  // namespace ddpm_eval::eval
