#include "eval/feature_nets.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/text.h"
#include "base/data/catalogue.h"
#include "base/data/safetensors.h"
#include "base/data/source_spec.h"
#include "base/data/torch_file.h"
#include "base/tensor/runtime.h"
#include "ddpm/choice.h"
#include "eval/built_in_nets.h"
#include "eval/comparability.h"
#include "eval/script_nets.h"
#include "metrics/inception.h"
#include "metrics/preset.h"
#include "metrics/small_net.h"

#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInceptionName = "inception";
constexpr std::string_view kLayerPrefix = "inception:";
constexpr const char* kFashionMnistNet = "fashion-mnist-small";
constexpr const char* kInceptionItem = "inception-fid";  ///< on the shelf of weights

bool names_inception(std::string_view features) {
  return features == kInceptionName || features.starts_with(kLayerPrefix);
}

/// "inception" for pool3, else "inception:" and the layer.
std::string features_word(const metrics::InceptionLayerInfo& info) {
  return info.word.empty() ? kInceptionName : fmt::format("{}{}", kLayerPrefix, info.word);
}

/// The layer that a record names; null for other networks.
const metrics::InceptionLayerInfo* recorded_layer(std::string_view name) {
  const auto layers = metrics::inception_layers();
  const auto found =
      std::find_if(layers.begin(), layers.end(), [&](const auto& info) { return info.name == name; });
  return found == layers.end() ? nullptr : &*found;
}

metrics::InceptionLayer parse_layer(const std::string& features) {
  std::vector<std::string> words;
  for (const auto& info : metrics::inception_layers()) {
    if (features_word(info) == features) {
      return info.layer;
    }
    words.push_back(features_word(info));
  }
  if (features == "inception:2048" || features == "inception:pool3") {
    throw core::UsageError("--features {}: these are inception itself; write --features inception", features);
  }
  throw core::UsageError("--features {}: the FID Inception has no such layer{}; choose {}", features,
                         core::did_you_mean(features, words), core::join_or(words));
}

std::unique_ptr<metrics::FeatureNet> open_inception(const FeatureRequest& request) {
  metrics::InceptionOptions options;
  options.layer = parse_layer(request.features.empty() ? kInceptionName : request.features);
  if (request.precision == tensor::Precision::kBFloat16 && tensor::compute_device().is_cuda()) {
    throw core::UsageError("--precision bf16 is for the CPU; on a GPU --tf32 is the faster arithmetic");
  }
  const fs::path path = request.weights.empty()
                            ? data::inspect(data::Shelf::kWeights, kInceptionItem, data::Depth::kSizes).path
                            : fs::path(request.weights);
  if (!fs::exists(path)) {
    throw core::DataError(
        "{}: the FID Inception's weights are not there (SHA-256 {}); run `ddpm-eval weights fetch {}` or "
        "name the file with --weights",
        path.string(), metrics::kPublishedInceptionSha256, kInceptionItem);
  }
  options.preset = metrics::find_preset(request.preset.empty() ? metrics::kDefaultPreset
                                                               : std::string_view(request.preset));
  options.precision = request.precision;
  options.spatial = !request.spatial.empty();
  const auto bytes = core::read_file(path);
  options.weights_sha256 = core::sha256_hex(bytes);
  options.origin = path.string();
  return metrics::make_inception(data::read_torch_bytes(bytes, options.origin), options);
}

/// Says where the features come from that have none, and what has.
[[noreturn]] void refuse_spatial(const FeatureRequest& request, const std::string& features,
                                 const std::string& reference_source) {
  const auto whence = request.features.empty()
                          ? fmt::format("the default for {} is '{}'", reference_source, features)
                      : request.told ? fmt::format("a statistics file was made with '{}'", features)
                                     : fmt::format("--features is '{}'", features);
  throw core::UsageError(
      "{}: only the FID Inception has spatial features beside its own, and {}; {}", request.spatial, whence,
      request.told ? "make it anew with `ddpm-eval stats --spatial`" : "use --features inception");
}

void refuse_script_options(const FeatureRequest& request, const std::string& features) {
  if (!request.convention.empty()) {
    throw core::UsageError("--convention {}: only a TorchScript file takes one, not the features '{}'",
                           request.convention, features);
  }
  if (request.trust == ScriptTrust::kYes) {
    throw core::UsageError("--trust-torchscript: the features '{}' are no TorchScript file", features);
  }
}

data::SafeTensors parse(const EmbeddedFile& file) {
  data::SpanStream stream(file.bytes, file.name);
  return data::read_safetensors(stream);
}

std::unique_ptr<metrics::FeatureNet> open_built_in(const EmbeddedFile& file) {
  return metrics::make_small_net(parse(file), file.name, core::sha256_hex(file.bytes));
}

}  // namespace

std::string default_features(const std::string& reference_source) {
  const auto kind = data::parse_source(reference_source).kind;
  return kind == data::SourceKind::kFashionMnist ? kFashionMnistNet : kInceptionName;
}

bool is_rounded(const core::Json& told) {
  return text_field(told, "precision") ==
         ddpm::word_of(tensor::precision_words(), tensor::Precision::kBFloat16);
}

FeatureRequest complete_request(FeatureRequest request, const core::Json& told) {
  const auto name = text_field(told, "name");
  if (const auto* layer = recorded_layer(name); request.features.empty() && layer != nullptr) {
    request.features = features_word(*layer);
    request.told = true;
  } else if (request.features.empty() && !name.empty()) {
    const auto& nets = embedded_nets();
    if (std::none_of(nets.begin(), nets.end(), [&](const EmbeddedFile& net) { return net.name == name; })) {
      throw core::UsageError(
          "a file of statistics or features was made with the network '{}': name its file with --features",
          name);
    }
    request.features = name;
    request.told = true;
  }
  if (request.preset.empty()) {
    request.preset = told_preset(told);
  }
  return request;
}

std::string told_preset(const core::Json& told) {
  const auto preset = text_field(told, "preset");
  const auto& known = metrics::presets();
  const bool is_known =
      std::any_of(known.begin(), known.end(), [&](const auto& p) { return p.name == preset; });
  return is_known ? preset : std::string();
}

bool are_spatial(const std::string& features) {
  return features == features_word(metrics::layer_info(metrics::InceptionLayer::kSpatial));
}

void require_classifier(const FeatureRequest& request) {
  if (request.features != kInceptionName && names_inception(request.features)) {
    parse_layer(request.features);
    throw core::UsageError(
        "--features {}: an Inception Score needs the classifier, which is above this layer; use --features "
        "{}",
        request.features, kInceptionName);
  }
}

const metrics::Preset& preset_given(const char* flag, const std::string& name) {
  try {
    return metrics::find_preset(name);
  } catch (const core::UsageError& error) {
    throw core::UsageError("{} {}: {}", flag, name, error.what());
  }
}

std::unique_ptr<metrics::FeatureNet> open_feature_net(const FeatureRequest& request,
                                                      const std::string& reference_source) {
  const std::string features =
      request.features.empty() ? default_features(reference_source) : request.features;
  if (!request.spatial.empty() && features != kInceptionName) {
    refuse_spatial(request, features, reference_source);
  }
  if (names_inception(features)) {
    refuse_script_options(request, features);
    return open_inception(request);
  }
  if (!request.weights.empty() && features != kNvidiaInception) {
    throw core::UsageError("--weights {}: only the FID Inception takes a weights file, not the features '{}'",
                           request.weights, features);
  }
  if (!request.preset.empty()) {
    throw core::UsageError(
        "--preset {}: only the FID Inception has presets, not the features '{}'{}", request.preset, features,
        is_script_features(features) ? ", of which it chooses the rules of kid and prdc alone" : "");
  }
  if (request.precision == tensor::Precision::kBFloat16) {
    throw core::UsageError("--precision bf16: only the FID Inception has it, not the features '{}'",
                           features);
  }
  if (is_script_features(features)) {
    return open_script_net(request, features);
  }
  refuse_script_options(request, features);
  std::vector<std::string> names;
  for (const auto& info : metrics::inception_layers()) {
    names.push_back(features_word(info));
  }
  for (const auto& file : embedded_nets()) {
    if (file.name == features) {
      return open_built_in(file);
    }
    names.push_back(file.name);
  }
  if (fs::path(features).extension() == ".safetensors") {
    auto net = metrics::load_small_net(features);
    if (recorded_layer(net->info().name) != nullptr) {
      throw core::DataError("{}: calls itself {}, a name that only the FID Inception may bear", features,
                            net->info().name);
    }
    return net;
  }
  throw core::UsageError("--features {}: neither a .safetensors or TorchScript (.pt) file nor one of {}{}",
                         features, core::join_or(names), core::did_you_mean(features, names));
}

std::unique_ptr<metrics::FeatureNet> open_exact_net(FeatureRequest request,
                                                    const std::string& reference_source,
                                                    const metrics::FeatureNet& net) {
  if (net.info().precision == tensor::Precision::kFloat32) {
    return nullptr;
  }
  request.precision = tensor::Precision::kFloat32;
  request.spatial.clear();
  auto exact = open_feature_net(request, reference_source);
  if (exact->info().weights_sha256 != net.info().weights_sha256) {
    throw core::DataError("{}: has changed while it was read", request.weights);
  }
  return exact;
}

core::Json features_json(const metrics::FeatureNetInfo& info) {
  core::Json json = {{"name", info.name},
                     {"weights_sha256", info.weights_sha256},
                     {"preset", info.preset},
                     {"dim", info.dim}};
  if (info.precision == tensor::Precision::kBFloat16) {
    json["precision"] = ddpm::word_of(tensor::precision_words(), info.precision);
  } else if (tensor::runtime_info().tf32) {
    json["precision"] = "tf32";
  }
  if (!info.convention.empty()) {
    json["convention"] = core::Json::parse(info.convention);
  }
  if (!info.note.empty()) {
    json["note"] = info.note;
  }
  return json;
}

void add_preset(const core::Json& features, core::Json& record) {
  const auto name = text_field(features, "preset");
  const auto& known = metrics::presets();
  const auto preset = std::find_if(known.begin(), known.end(), [&](const auto& p) { return p.name == name; });
  if (preset == known.end()) {
    return;
  }
  record["resampler"] = preset->resampler_name;
  if (!preset->note.empty()) {
    record["notes"].push_back(preset->note);
  }
}

std::vector<BuiltInNet> built_in_nets() {
  std::vector<BuiltInNet> nets;
  for (const auto& file : embedded_nets()) {
    const auto card = metrics::small_net_card(parse(file).metadata, file.name);
    nets.push_back({file.name, fmt::format("{:.2f} % on {}, trained on {} for {} steps, seed {}: {}",
                                           100 * card.test_accuracy, card.test_data, card.data, card.steps,
                                           card.seed, card.command)});
  }
  return nets;
}

bool is_reserved_net_name(const std::string& name) {
  const auto& nets = embedded_nets();
  const auto is_that = [&](const EmbeddedFile& file) { return file.name == name; };
  return names_inception(name) || name == kNvidiaInception || recorded_layer(name) != nullptr ||
         std::any_of(nets.begin(), nets.end(), is_that);
}

}  // namespace ddpm_eval::eval
