#include "eval/script_nets.h"

#include "base/core/config.h"
#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/json.h"
#include "base/core/paths.h"
#include "base/core/text.h"
#include "metrics/script_net.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 5> kScriptExtensions = {".pt", ".pth", ".ts", ".jit", ".torchscript"};
constexpr const char* kNvidiaFile = "inception-2015-12-05.pt";
constexpr int64_t kLargestInput = 4096;

/// The keys of a convention's file, checked one by one: mean and std may be a number or three.
class ConventionReader {
 public:
  ConventionReader(core::Json table, std::string origin)
      : table_(std::move(table)), origin_(std::move(origin)) {
    static const std::vector<std::string> kKeys = {"convention", "size", "resize", "range",
                                                   "mean",       "std",  "output"};
    for (const auto& [key, unused] : table_.items()) {
      if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
        throw core::UsageError("{}: unknown key '{}'{}; it takes {}", origin_, key,
                               core::did_you_mean(key, kKeys), core::join_or(kKeys));
      }
    }
  }

  bool has(const char* key) const { return table_.contains(key); }
  size_t size_of_table() const { return table_.size(); }

  std::string text(const char* key) const {
    if (!table_[key].is_string()) {
      fail(key, "a text");
    }
    return table_[key].get<std::string>();
  }

  int64_t size() const {
    const auto& value = table_["size"];
    if (!value.is_number_integer() || value.get<int64_t>() < 1 || value.get<int64_t>() > kLargestInput) {
      fail("size", fmt::format("a number of pixels, 1 to {}", kLargestInput));
    }
    return value.get<int64_t>();
  }

  /// A text out of a table of words.
  template <class Value>
  Value word(const char* key, std::span<const std::pair<std::string_view, Value>> words) const {
    const auto given = text(key);
    std::vector<std::string> names;
    for (const auto& [name, value] : words) {
      if (name == given) {
        return value;
      }
      names.emplace_back(name);
    }
    throw core::UsageError("{}: {} = '{}' is not known{}; choose {}", origin_, key, given,
                           core::did_you_mean(given, names), core::join_or(names));
  }

  std::array<double, 3> colours(const char* key, bool positive) const {
    const auto& value = table_[key];
    const auto is_good = [&](const core::Json& number) {
      return number.is_number() && std::isfinite(number.get<double>()) &&
             (!positive || number.get<double>() > 0);
    };
    if (is_good(value)) {
      const auto all = value.get<double>();
      return {all, all, all};
    }
    if (!value.is_array() || value.size() != 3 || !std::all_of(value.begin(), value.end(), is_good)) {
      fail(key, positive ? "a positive number, or three for red, green and blue"
                         : "a number, or three for red, green and blue");
    }
    return {value[0].get<double>(), value[1].get<double>(), value[2].get<double>()};
  }

 private:
  [[noreturn]] void fail(const char* key, std::string_view wanted) const {
    throw core::UsageError("{}: {} = {} is not {}", origin_, key, table_[key].dump(), wanted);
  }

  core::Json table_;
  std::string origin_;
};

std::optional<metrics::ScriptConvention> convention_of(const FeatureRequest& request, const fs::path& file) {
  if (request.convention.empty()) {
    if (request.features == kNvidiaInception) {
      return metrics::find_script_convention(kNvidiaInception);
    }
    const auto beside = fs::path(file).replace_extension(".toml");
    std::error_code error;
    return fs::exists(beside, error) ? std::optional(read_script_convention(beside.string())) : std::nullopt;
  }
  if (fs::path(request.convention).extension() == ".toml") {
    return read_script_convention(request.convention);
  }
  try {
    return metrics::find_script_convention(request.convention);
  } catch (const core::UsageError& error) {
    throw core::UsageError("--convention {}: {}", request.convention, error.what());
  }
}

/// Where the file of `features` is.
fs::path script_file(const FeatureRequest& request, const std::string& features) {
  if (features != kNvidiaInception) {
    if (!fs::exists(features)) {
      throw core::DataError("{}: no such file of a feature network", features);
    }
    return features;
  }
  const fs::path path =
      request.weights.empty() ? core::home_folder() / "weights" / kNvidiaFile : fs::path(request.weights);
  if (!fs::exists(path)) {
    throw core::DataError("{}: NVIDIA's {} is not there; name the file with --weights", path.string(),
                          kNvidiaFile);
  }
  return path;
}

}  // namespace

bool is_script_features(const std::string& features) {
  const auto extension = core::ascii_lower(fs::path(features).extension().string());
  return features == kNvidiaInception ||
         std::find(kScriptExtensions.begin(), kScriptExtensions.end(), extension) != kScriptExtensions.end();
}

std::vector<std::string> feature_files(const std::string& features, const std::string& convention) {
  std::vector<std::string> files;
  if (fs::path(features).extension() == ".safetensors") {
    files.push_back(features);
  } else if (features != kNvidiaInception && is_script_features(features)) {
    files.push_back(features);
    files.push_back(fs::path(features).replace_extension(".toml").string());
  }
  if (fs::path(convention).extension() == ".toml") {
    files.push_back(convention);
  }
  return files;
}

metrics::ScriptConvention read_script_convention(const std::string& path) {
  const ConventionReader reader(core::parse_json(core::ConfigTree::from_file(path).to_json()), path);
  metrics::ScriptConvention convention;
  if (reader.has("convention")) {
    try {
      convention = metrics::find_script_convention(reader.text("convention"));
    } catch (const core::UsageError& error) {
      throw core::UsageError("{}: {}", path, error.what());
    }
    if (reader.size_of_table() > 1) {
      convention.name = "custom";
    }
  } else {
    for (const char* key : {"size", "resize", "range"}) {
      if (!reader.has(key)) {
        throw core::UsageError("{}: says no {}; it needs size, resize and range, or convention", path, key);
      }
    }
  }
  if (reader.has("size")) {
    convention.size = reader.size();
  }
  if (reader.has("resize")) {
    convention.resampler = reader.word("resize", metrics::script_resamplers());
  }
  if (reader.has("range")) {
    convention.range = reader.word("range", metrics::script_ranges());
  }
  if (reader.has("mean")) {
    convention.mean = reader.colours("mean", /*positive=*/false);
  }
  if (reader.has("std")) {
    convention.deviation = reader.colours("std", /*positive=*/true);
  }
  if (reader.has("output")) {
    convention.output = reader.text("output");
  }
  return convention;
}

std::unique_ptr<metrics::FeatureNet> open_script_net(const FeatureRequest& request,
                                                     const std::string& features) {
  const auto file = script_file(request, features);
  if (request.trust == ScriptTrust::kNotOffered) {
    throw core::UsageError(
        "{}: a TorchScript file is a feature network of fid, kid, prdc, score and stats alone", features);
  }
  if (request.trust == ScriptTrust::kNo) {
    throw core::UsageError(
        "{}: is taken for a TorchScript file, whose code runs with your rights and may read and write files; "
        "add --trust-torchscript if you trust where it comes from (its SHA-256 is {})",
        file.string(), core::sha256_of_file(file));
  }
  metrics::ScriptNetOptions options;
  options.name = features == kNvidiaInception ? kNvidiaInception : file.stem().string();
  if (features != kNvidiaInception && is_reserved_net_name(options.name)) {
    throw core::UsageError(
        "{}: '{}' is a network that the program has already, and a file's stem is its name; rename it",
        file.string(), options.name);
  }
  options.origin = file.string();
  options.convention = convention_of(request, file);
  const auto bytes = core::read_file(file);
  options.weights_sha256 = core::sha256_hex(bytes);
  return metrics::make_script_net(bytes, options);
}

}  // namespace ddpm_eval::eval
