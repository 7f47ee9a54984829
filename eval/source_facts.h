#pragma once

#include "base/data/source_spec.h"

#include <cstdint>
#include <vector>

namespace ddpm_eval::eval {

/// How many examples a source has. Known sets need not be there for this; a folder is counted, an array's
/// header is read. Throws UsageError for a source that is neither images nor points, or whose part is not
/// within it, DataError for one that cannot be read.
int64_t examples_in(const data::SourceSpec& spec);

/// The shape of one of them, {C, H, W} or {2}, as training sees it; of a folder or an array that of the first
/// image. Throws as examples_in().
std::vector<int64_t> row_shape_of(const data::SourceSpec& spec);

}  // namespace ddpm_eval::eval
