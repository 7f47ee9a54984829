#include "eval/side.h"

#include "base/core/error.h"
#include "base/data/statistics_file.h"
#include "base/tensor/runtime.h"
#include "eval/console.h"
#include "eval/feature_nets.h"
#include "eval/run_source.h"
#include "eval/sample_output.h"
#include "metrics/extract.h"

#include <filesystem>

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
  if (side.provenance.contains("count")) {
    side.moments.count = side.provenance["count"].get<int64_t>();
    side.record["count"] = side.moments.count;
  }
  return side;
}

std::unique_ptr<data::ImageSource> open_images(const SideRequest& request) {
  const auto spec = data::parse_source(request.source);
  if (spec.kind == data::SourceKind::kRun) {
    return open_run_source(spec);
  }
  data::SourceOptions options;
  options.threads = tensor::runtime_info().threads;
  options.on_bad_file = request.strict ? data::OnBadFile::kFail : data::OnBadFile::kSkip;
  auto source = data::open_image_source(spec, options);
  if (const auto size = source->size()) {
    require_enough(request, *size);
  }
  return source;
}

Side measure_side(const SideRequest& request, data::ImageSource& images, const metrics::FeatureNet& net,
                  const Session& session, const metrics::FeatureNet* exact) {
  Side side;
  metrics::MomentsAccumulator moments(net.info().dim);
  std::vector<at::Tensor> logits;
  const auto consume = [&](const metrics::NetOutput& output) {
    moments.add(output.features);
    if (request.keep_logits) {
      logits.push_back(output.logits.clone());
    }
  };
  const auto report = metrics::extract(
      images, net, consume,
      console_progress("scoring " + request.role + " " + request.source, "images", session.quiet),
      exact != nullptr ? control_witness(*exact, side.control) : metrics::InputWitness());
  const auto& seen = images.report();
  warn_unreadable(request.role, seen.unreadable);
  for (const auto& note : seen.notes) {
    print_note(request.role + ": " + note);
  }
  require_enough(request, moments.count());

  side.moments = moments.finish();
  if (request.keep_logits) {
    side.logits = torch::cat(logits);
  }
  side.record["source"] = request.source;
  if (const auto resolved = data::resolved_name(data::parse_source(request.source));
      resolved != request.source) {
    side.record["resolved"] = resolved;
  }
  side.record.update({{"kind", "images"},
                      {"count", report.images},
                      {"unreadable", seen.unreadable},
                      {"notes", seen.notes},
                      {"seconds",
                       {{"source", report.source_seconds},
                        {"prepare", report.prepare_seconds},
                        {"forward", report.forward_seconds},
                        {"metrics", report.consume_seconds}}}});
  if (exact != nullptr) {
    side.record["seconds"]["control"] = report.witness_seconds;
  }
  if (auto context = context_of(request, images); !context.is_null()) {
    const auto said = context.find("count");
    if (said != context.end() && said->is_number_integer() && said->get<int64_t>() > report.images) {
      const auto note = fmt::format("{} of the {} samples that {} is meant to hold were scored",
                                    report.images, said->get<int64_t>(), request.source);
      print_note(request.role + ": " + note);
      side.record["notes"].push_back(note);
    }
    side.record["context"] = std::move(context);
  }
  return side;
}

}  // namespace ddpm_eval::eval
