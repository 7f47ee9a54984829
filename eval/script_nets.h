#pragma once

#include "eval/feature_nets.h"
#include "metrics/script_convention.h"

#include <memory>
#include <string>
#include <vector>

// TorchScript files as feature networks: which words name one, who trusts it, and what it is given.
namespace ddpm_eval::eval {

/// The word for NVIDIA's file, which is looked for beside the other weights.
inline constexpr const char* kNvidiaInception = "nvidia-inception";

/// Whether `features` is a TorchScript file by its name (.pt, .pth, .ts, .jit or .torchscript), or
/// kNvidiaInception.
bool is_script_features(const std::string& features);

/// The files that a command reads for `features` and `convention`, for it must not write over them.
std::vector<std::string> feature_files(const std::string& features, const std::string& convention);

/// What a .toml file says of a network's input: `convention` to begin with a named one; size, resize, range,
/// mean, std, output. Throws DataError for a file that cannot be read and UsageError for what is not known or
/// missing.
metrics::ScriptConvention read_script_convention(const std::string& path);

/// Opens the file, if `request.trust` says that what it does may be done. Its convention is
/// `request.convention`, else the .toml file of the same stem beside it, else that of a network of NVIDIA's
/// signature. Throws UsageError without trust, before anything but the file's SHA-256 is known, for a name
/// that the program's own networks have, and as metrics::make_script_net().
std::unique_ptr<metrics::FeatureNet> open_script_net(const FeatureRequest& request,
                                                     const std::string& features);

}  // namespace ddpm_eval::eval
