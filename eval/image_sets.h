#pragma once

#include "base/core/error.h"
#include "base/data/dataset.h"
#include "base/data/source_spec.h"

#include <map>
#include <string>

namespace ddpm_eval::eval {

/// Sets of images that this process has loaded, so that jobs that follow one another decode them once. They
/// are as large as the memory that they take: for the few sources of one grid.
class ImageSets {
 public:
  /// As load_all_images(), whose notes are printed at the first call alone. The tensors are shared: nobody
  /// may write to them. What a folder gets meanwhile is not seen.
  const data::ImageDataset& load(const core::Key& what, const data::SourceSpec& spec);

 private:
  std::map<std::string, data::ImageDataset> by_name_;  ///< data::resolved_name()
};

}  // namespace ddpm_eval::eval
