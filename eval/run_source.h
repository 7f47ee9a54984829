#pragma once

#include "base/data/image_source.h"
#include "base/data/source_spec.h"

#include <memory>

namespace ddpm_eval::eval {

/// `run:FOLDER?num=N&seed=S`, with `&first=A` the samples from index A on, and any key of the run's [sample]
/// section (`&steps=50&sampler=ddim`): images straight from the sampler, the very ones that `sample` would
/// write. Throws UsageError and DataError before any work.
std::unique_ptr<data::ImageSource> open_run_source(const data::SourceSpec& spec);

}  // namespace ddpm_eval::eval
