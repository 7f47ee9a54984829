#include "eval/side.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "base/core/seconds_since.h"
#include "base/data/digest_source.h"
#include "base/data/duplicates.h"
#include "base/data/statistics_file.h"
#include "base/tensor/process_group.h"
#include "base/tensor/runtime.h"
#include "eval/comparability.h"
#include "eval/console.h"
#include "eval/feature_nets.h"
#include "eval/run_source.h"
#include "eval/sample_output.h"
#include "eval/side_cache.h"
#include "eval/side_notes.h"
#include "metrics/extract.h"
#include "metrics/inception.h"

#include <chrono>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

constexpr size_t kListedFiles = 5;  ///< unreadable files named on the terminal; the record names them all

void warn_unreadable(const std::string& role, const std::vector<std::string>& unreadable) {
  if (unreadable.empty()) {
    return;
  }
  print_warning(fmt::format("{}: {} unreadable file(s) left out; --strict makes this an error", role,
                            unreadable.size()));
  for (size_t i = 0; i < std::min(kListedFiles, unreadable.size()); ++i) {
    print_warning("  " + unreadable[i]);
  }
  if (unreadable.size() > kListedFiles) {
    print_warning(fmt::format("  and {} more", unreadable.size() - kListedFiles));
  }
}

/// What images depend on beyond their names: a sampler's checkpoint and settings, if they are samples.
Json context_of(const SideRequest& request, const data::ImageSource& images) {
  if (const auto context = images.context_json(); !context.empty()) {
    return Json::parse(context);
  }
  const auto spec = data::parse_source(request.source);
  const bool may_be_samples = spec.kind == data::SourceKind::kFolder || spec.kind == data::SourceKind::kArray;
  return may_be_samples ? read_sample_provenance(spec.path) : Json();
}

void require_enough(const SideRequest& request, int64_t count) {
  if (count < request.splits) {
    throw core::DataError(
        "{} source {}: {} usable image(s), at least {} are needed for the {} splits of an "
        "Inception Score",
        request.role, request.source, count, request.splits, request.splits);
  }
  if (count < 2) {
    throw core::DataError("{} source {}: {} usable image(s), at least 2 are needed for a covariance",
                          request.role, request.source, count);
  }
}

/// Rows that come in batches, in one array on their own device: a GPU is not waited for.
class KeptRows {
 public:
  explicit KeptRows(int64_t expected) : capacity_(std::max<int64_t>(expected, 1)) {}

  /// float32 [n, dim].
  void add(const at::Tensor& batch) {
    const int64_t wanted = count_ + batch.size(0);
    if (!rows_.defined() || wanted > capacity_) {
      capacity_ = rows_.defined() ? std::max(wanted, 2 * capacity_) : std::max(wanted, capacity_);
      auto larger = at::empty({capacity_, batch.size(1)}, batch.options());
      if (count_ > 0) {
        larger.narrow(0, 0, count_).copy_(rows());
      }
      rows_ = larger;
    }
    rows_.narrow(0, count_, batch.size(0)).copy_(batch);
    count_ = wanted;
  }

  at::Tensor rows() const { return rows_.narrow(0, 0, count_); }

 private:
  int64_t capacity_;
  int64_t count_ = 0;
  at::Tensor rows_;
};

metrics::Moments spatial_statistics(const SideRequest& request, const Json& provenance) {
  // What a file says of itself is of `mu`, beside which the spatial ones lie.
  const auto name = provenance.is_null() ? std::string() : text_field(provenance["features"], "name");
  if (!name.empty() && name != metrics::layer_info(metrics::InceptionLayer::kPool3).name &&
      name != metrics::layer_info(metrics::InceptionLayer::kSpatial).name) {
    throw core::NotComparableError(
        "--{} {}: was made with the network '{}', and sfid is of the FID Inception alone; make it anew with "
        "`ddpm-eval stats --features inception --spatial`",
        request.role, request.source, name);
  }
  auto statistics = data::read_statistics(request.source, data::StatisticsPart::kSpatial);
  const int64_t dim = metrics::layer_info(metrics::InceptionLayer::kSpatial).dim;
  if (statistics.mu.size(0) != dim) {
    throw core::UsageError(
        "--{} {}: holds no statistics of spatial features (mu_s and sigma_s of {}), which sfid needs; make "
        "it "
        "with `ddpm-eval stats --spatial`, or give the images",
        request.role, request.source, dim);
  }
  return {std::move(statistics.mu), std::move(statistics.sigma), 0, {}};
}

}  // namespace

bool is_statistics(const std::string& source) {
  return data::parse_source(source).kind == data::SourceKind::kStatistics;
}

Side read_side(const SideRequest& request, const std::string& features) {
  const auto part = are_spatial(features) ? data::StatisticsPart::kSpatial : data::StatisticsPart::kMain;
  auto statistics = data::read_statistics(request.source, part);
  Side side;
  side.moments.mean = std::move(statistics.mu);
  side.moments.covariance = std::move(statistics.sigma);
  side.record = {{"source", request.source}, {"kind", "statistics"}};
  if (!statistics.provenance_json.empty()) {
    side.provenance = Json::parse(statistics.provenance_json);
  }
  if (request.spatial) {
    side.spatial = spatial_statistics(request, side.provenance);
  }
  if (const auto lossy = told_lossy(side.provenance)) {
    side.record["lossy"] = *lossy;
  }
  if (side.provenance.contains("count")) {
    side.moments.count = side.provenance["count"].get<int64_t>();
    side.record["count"] = side.moments.count;
  }
  return side;
}

std::unique_ptr<data::ImageSource> open_images(const SideRequest& request) {
  const auto spec = data::parse_source(request.source);
  if (spec.kind == data::SourceKind::kRun) {
    return data::count_duplicates(open_run_source(spec));
  }
  data::SourceOptions options;
  options.threads = tensor::runtime_info().threads;
  options.on_bad_file = request.strict ? data::OnBadFile::kFail : data::OnBadFile::kSkip;
  auto source = data::open_image_source(spec, options);
  if (const auto size = source->size()) {
    require_enough(request, *size);
  }
  // Those of a published set are known, and belong to it.
  return data::is_data_set(spec.kind) ? std::move(source) : data::count_duplicates(std::move(source));
}

Json side_record(const SideRequest& request, const data::ImageSource& images,
                 const metrics::ExtractReport& report) {
  const auto& seen = images.report();
  warn_unreadable(request.role, seen.unreadable);
  for (const auto& note : seen.notes) {
    print_note(request.role + ": " + note);
  }
  require_enough(request, report.images);
  Json record;
  record["source"] = request.source;
  if (const auto resolved = data::resolved_name(data::parse_source(request.source));
      resolved != request.source) {
    record["resolved"] = resolved;
  }
  record.update({{"kind", "images"},
                 {"count", report.images},
                 {"lossy", seen.lossy},
                 {"unreadable", seen.unreadable},
                 {"notes", seen.notes},
                 {"seconds",
                  {{"source", report.source_seconds},
                   {"prepare", report.prepare_seconds},
                   {"forward", report.forward_seconds},
                   {"metrics", report.consume_seconds}}}});
  if (report.control_seconds > 0) {
    record["seconds"]["control"] = report.control_seconds;
  }
  if (auto context = context_of(request, images); !context.is_null()) {
    const auto said = context.find("count");
    if (said != context.end() && said->is_number_integer() && said->get<int64_t>() > report.images) {
      const auto note = fmt::format("{} of the {} samples that {} is meant to hold were scored",
                                    report.images, said->get<int64_t>(), request.source);
      print_note(request.role + ": " + note);
      record["notes"].push_back(note);
    }
    record["context"] = std::move(context);
  }
  return record;
}

namespace {

Side measure_anew(const SideRequest& request, data::ImageSource& images, const metrics::FeatureNet& net,
                  const Session& session, const metrics::FeatureNet* exact) {
  Side side;
  metrics::MomentsAccumulator moments(net.info().dim);
  std::optional<metrics::MomentsAccumulator> spatial;
  KeptRows features(images.size().value_or(0));
  const auto keep_rounded = control_consumer(side.control.rounded);
  const auto consume = [&](const metrics::NetOutput& output) {
    moments.add(output.features);
    if (request.spatial) {
      if (!spatial) {
        spatial.emplace(output.spatial.size(1));
      }
      spatial->add(output.spatial);
    }
    if (request.keep_logits) {
      side.logits.add(output.logits);
    }
    if (request.keep_features) {
      features.add(output.features);
    }
    if (exact != nullptr) {
      keep_rounded(output);
    }
  };
  std::vector<metrics::Extraction> extractions{{net, consume}};
  if (exact != nullptr) {
    extractions.push_back({*exact, control_consumer(side.control.exact), kControlImages});
  }
  const auto report = metrics::extract_all(
      images, extractions,
      console_progress("scoring " + request.role + " " + request.source, "images", session.quiet));
  side.record = side_record(request, images, report);
  side.moments = moments.finish();
  if (spatial) {
    side.spatial = spatial->finish();
  }
  if (request.keep_features) {
    side.features = features.rows().cpu();
  }
  if (request.labels) {
    side.classes = images.classes();
    side.labels = images.labels();
  }
  return side;
}

/// Whether moments are all that is wanted, of images that can be read twice and are cheaper to read than to
/// measure, and can be kept without rows. Of fewer images than features, the distance is computed from the
/// rows.
bool may_be_cached(const SideRequest& request, const data::ImageSource& images,
                   const metrics::FeatureNet& net) {
  const auto spec = data::parse_source(request.source);
  std::error_code error;
  const bool is_pipe = std::filesystem::exists(spec.path, error) &&
                       !std::filesystem::is_regular_file(spec.path, error) &&
                       !std::filesystem::is_directory(spec.path, error);
  // Processes that work together would each have to find the same.
  return tensor::process_group().size() == 1 && !request.once && !request.keep_logits &&
         !request.keep_features && !request.spatial && spec.kind != data::SourceKind::kRun && !is_pipe &&
         images.size().value_or(0) >= net.info().dim;
}

/// Reads the images for their digest alone, as far as there may be an entry; their moments, if there is one.
std::optional<Side> cached_side(const SideRequest& request, data::ImageSource& images, const SideCache& cache,
                                const Session& session) {
  metrics::ExtractReport report;
  const auto progress = console_progress(
      "looking for " + request.role + " " + request.source + " in the cache", "images", session.quiet);
  data::DigestSource seen(images);
  const auto start = std::chrono::steady_clock::now();
  std::string head;
  for (at::Tensor batch; (batch = seen.next(data::DigestSource::kHead)).defined();) {
    report.images += batch.size(0);
    progress(report.images, images.size().value_or(0));
    if (core::interrupt_requested()) {
      throw core::InterruptedError("stopped after {} images of {}", report.images, images.name());
    }
    if (head.empty() && seen.head_is_whole()) {
      head = seen.head_sha256();
      if (!cache.has_any(head)) {
        return std::nullopt;
      }
    }
  }
  report.source_seconds = core::seconds_since(start);
  auto moments = cache.find({head.empty() ? seen.head_sha256() : head, seen.sha256()});
  if (!moments) {
    return std::nullopt;
  }
  print_note(
      fmt::format("{}: the moments of these {} images were in the cache", request.role, moments->count));
  Side side;
  side.moments = std::move(*moments);
  side.record = side_record(request, images, report);
  side.record["cached"] = true;
  return side;
}

}  // namespace

Side measure_side(const SideRequest& request, data::ImageSource& images, const metrics::FeatureNet& net,
                  const Session& session, const metrics::FeatureNet* exact) {
  if (!cache_is_on(session) || exact != nullptr || !may_be_cached(request, images, net)) {
    return measure_anew(request, images, net, session, exact);
  }
  const SideCache cache(net.info());
  std::unique_ptr<data::ImageSource> again;
  if (cache.has_any()) {
    if (auto side = cached_side(request, images, cache, session)) {
      return std::move(*side);
    }
    again = open_images(request);
  }
  // The digest is of the images that are measured: files may have changed since they were looked at.
  data::DigestSource seen(again ? *again : images);
  auto side = measure_anew(request, seen, net, session, nullptr);
  if (!side.moments.centred.defined()) {
    cache.keep({seen.head_sha256(), seen.sha256()}, side.moments, side.record);
  }
  return side;
}

}  // namespace ddpm_eval::eval
