#include "eval/image_sets.h"

#include "eval/training_data.h"

namespace ddpm_eval::eval {

const data::ImageDataset& ImageSets::load(const core::Key& what, const data::SourceSpec& spec) {
  const auto name = data::resolved_name(spec);
  auto found = by_name_.find(name);
  if (found == by_name_.end()) {
    found = by_name_.emplace(name, load_all_images(what, spec)).first;
  }
  return found->second;
}

}  // namespace ddpm_eval::eval
