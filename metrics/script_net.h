#pragma once

#include "metrics/feature_net.h"
#include "metrics/script_convention.h"

#include <memory>
#include <optional>
#include <span>
#include <string>

// A network that another program has exported with TorchScript (torch.jit.trace, torch.jit.script) as a
// feature network: DINOv2, CLIP, VGG16, or one of the user's own.
namespace ddpm_eval::metrics {

struct ScriptNetOptions {
  std::string name;                                 ///< in records
  std::string origin;                               ///< the file, for messages
  std::string weights_sha256;                       ///< of the file
  std::optional<ScriptConvention> convention = {};  ///< none: a network of NVIDIA's signature alone is known
};

/// Loads the TorchScript archive `bytes` onto tensor::compute_device(), in eval mode, and asks it twice: for
/// the number of features, and whether an image has the same ones beside other images. LOADING AND RUNNING IT
/// EXECUTES WHAT THE FILE SAYS, which may read and write files: its source must be trusted. Runs without the
/// compiler's optimisations, which change last bits from one call to the next.
///
/// Throws UsageError where no convention is known, and DataError for bytes that are no TorchScript archive,
/// for a forward() that fails or takes no `return_features` where the convention has it, and for outputs that
/// are not floating point [n, d], NaN, infinite, or depend on the rest of the batch. Where memory runs out,
/// here or in forward(), that is std::bad_alloc or c10::OutOfMemoryError, whatever type LibTorch's
/// interpreter makes of it.
std::unique_ptr<FeatureNet> make_script_net(std::span<const char> bytes, const ScriptNetOptions& options);

}  // namespace ddpm_eval::metrics
