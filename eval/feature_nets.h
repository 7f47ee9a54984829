#pragma once

#include "base/core/record.h"
#include "base/tensor/precision.h"
#include "metrics/feature_net.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ddpm_eval::metrics {
struct Preset;
}

namespace ddpm_eval::eval {

/// Whether what a TorchScript file does when it is run may be done.
enum class ScriptTrust {
  kNotOffered,  ///< by a command without --trust-torchscript, which takes no such files
  kNo,
  kYes,
};

/// Which features a score is to be made on.
struct FeatureRequest {
  std::string features = {};  ///< "inception", a layer of it ("inception:768"), a built-in network's name or
                              ///< a .safetensors file of one, or a TorchScript file; empty: the default of
                              ///< the data set that is scored against
  std::string weights = {};   ///< file of the FID Inception's weights; empty: where `weights fetch` puts them
  std::string preset = {};  ///< the tool whose pre-processing the FID Inception is to use; empty: the default
  tensor::Precision precision = tensor::Precision::kFloat32;
  /// Who wants the FID Inception's spatial features beside its own ("--metrics sfid"); empty: nobody.
  std::string spatial = {};
  std::string convention = {};  ///< of a TorchScript file: a name or a .toml file; empty: see script_nets.h
  ScriptTrust trust = ScriptTrust::kNotOffered;
  bool told = false;  ///< whether `features` is what a file says, and nothing that the user wrote
};

/// The name of the features that `features = ""` means for a reference source: the data set's own built-in
/// network where Inception does not suit it (Fashion-MNIST), else "inception".
std::string default_features(const std::string& reference_source);

/// Whether a statistics file was made in bfloat16.
bool is_rounded(const core::Json& told);

/// What was asked for; what was left open, but for the precision, is what a statistics file was made with, as
/// `told` (provenance, or null) has it, else the default. Throws UsageError where the file's network is none
/// that the program has.
FeatureRequest complete_request(FeatureRequest request, const core::Json& told);

/// Whether `features` asks for the FID Inception's spatial features.
bool are_spatial(const std::string& features);

/// The preset that a file says its features were made with, or "" where it is none that the program has.
std::string told_preset(const core::Json& told);

/// Throws UsageError if the features that are asked for are a layer of the FID Inception below its
/// classifier.
void require_classifier(const FeatureRequest& request);

/// metrics::find_preset() of what `flag` was given; a UsageError names it.
const metrics::Preset& preset_given(const char* flag, const std::string& name);

/// Opens the network. Missing Inception weights are a DataError that names the file, its SHA-256 and the
/// command that fetches it: nothing is ever replaced silently. Throws UsageError for a layer that the FID
/// Inception has not, for weights, a preset, bfloat16 or spatial features beside other features, which have
/// none, and for bfloat16 on a GPU.
std::unique_ptr<metrics::FeatureNet> open_feature_net(const FeatureRequest& request,
                                                      const std::string& reference_source);

/// The same network in float32, to compare a rounded one with; null where it is in float32. Throws DataError
/// if the file of weights has changed in between.
std::unique_ptr<metrics::FeatureNet> open_exact_net(FeatureRequest request,
                                                    const std::string& reference_source,
                                                    const metrics::FeatureNet& net);

/// What a record or a statistics file says of the features: name, weights_sha256, preset, dim, precision
/// ("bf16" or "tf32"; absent for float32) and, if there are any, convention and note.
core::Json features_json(const metrics::FeatureNetInfo& info);

/// Adds what the preset of these features stands for to a record: `resampler`, and to `notes` where this
/// program knowingly differs from the tool. Nothing for features without a preset of that name.
void add_preset(const core::Json& features, core::Json& record);

/// A feature network that is part of the program.
struct BuiltInNet {
  std::string name;
  std::string card;  ///< where it comes from: data, command, seed, accuracy
};

std::vector<BuiltInNet> built_in_nets();

/// Whether `name` is that of a network which the program has already, so that no file may bear it.
bool is_reserved_net_name(const std::string& name);

}  // namespace ddpm_eval::eval
