#include "ddpm/likelihood.h"

#include "base/core/error.h"
#include "base/core/not_finite.h"
#include "base/tensor/noise.h"
#include "base/tensor/shape.h"
#include "ddpm/sampler.h"

#include <algorithm>
#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

constexpr int64_t kCodingRows = 10;

/// One t from the stratum for each example, int64 [n].
at::Tensor drawn_t(const LikelihoodOptions& options, const Stratum& stratum,
                   std::span<const int64_t> indices) {
  if (stratum.count == 1) {
    return torch::full({static_cast<int64_t>(indices.size())}, stratum.first, torch::kInt64);
  }
  return tensor::integers({options.seed, "nll.t"}, indices, stratum.first, stratum.count) + stratum.first;
}

at::Tensor noise(const LikelihoodOptions& options, const at::Tensor& t, std::span<const int64_t> indices,
                 at::IntArrayRef row_shape) {
  const tensor::NoiseKey key{options.seed, "nll.eps"};
  const auto* step = t.data_ptr<int64_t>();
  if (std::all_of(step, step + t.numel(), [&](int64_t other) { return other == step[0]; })) {
    return tensor::normal_rows(key, indices, step[0], row_shape);
  }
  std::vector<at::Tensor> rows;
  for (size_t i = 0; i < indices.size(); ++i) {
    rows.push_back(tensor::normal_rows(key, indices.subspan(i, 1), step[i], row_shape));
  }
  return torch::cat(rows);
}

MeanError mean_error(double sum, double sum_of_squares, int64_t count) {
  const auto n = static_cast<double>(count);
  MeanError result{sum / n, 0};
  if (count > 1) {
    const double variance = std::max(0.0, (sum_of_squares - sum * result.mean) / (n - 1));
    result.error = std::sqrt(variance / n);
  }
  return result;
}

MeanError mean_error(const at::Tensor& values) {
  const auto mean = values.mean();
  const double squares = (values - mean).pow(2).sum().item<double>();
  const int64_t n = values.numel();
  return {mean.item<double>(),
          n > 1 ? std::sqrt(squares / static_cast<double>(n - 1) / static_cast<double>(n)) : 0.0};
}

}  // namespace

void LikelihoodOptions::validate(int64_t chain_steps) const {
  if (strata != 0 && (strata < 2 || strata > chain_steps)) {
    throw core::UsageError(core::Key{"strata"}, "{} is neither 0 (every t) nor within 2..{}", strata,
                           chain_steps);
  }
  if (micro_batch < 1 || micro_batch > kMaxMicroBatch) {
    throw core::UsageError(core::Key{"micro_batch"}, "{} is not within 1..{}", micro_batch, kMaxMicroBatch);
  }
}

std::vector<Stratum> strata_of(int64_t chain_steps, int64_t strata) {
  const int64_t parts = strata == 0 ? chain_steps - 1 : strata - 1;
  std::vector<Stratum> result{{0, 1}};
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t begin = 1 + i * (chain_steps - 1) / parts;
    const int64_t end = 1 + (i + 1) * (chain_steps - 1) / parts;
    result.push_back({begin, end - begin});
  }
  return result;
}

LikelihoodBatch::LikelihoodBatch(const SamplingModel& model, Decoder decoder,
                                 const LikelihoodOptions& options, const at::Tensor& x_0, int64_t first_index)
    : model_(model),
      decoder_(decoder),
      options_(options),
      count_(x_0.size(0)),
      strata_(strata_of(model.process.steps(), options.strata)),
      indices_(tensor::index_range(first_index, first_index + options.micro_batch)) {
  DDPM_CHECK(count_ >= 1 && count_ <= options.micro_batch, "a micro-batch of {}", tensor::describe(x_0));
  std::vector<at::Tensor> padded{x_0};
  padded.resize(static_cast<size_t>(options.micro_batch - count_) + 1, x_0.narrow(0, count_ - 1, 1));
  x_0_ = torch::cat(padded);
}

void LikelihoodBatch::step() {
  DDPM_CHECK(!done(), "every stratum is done");
  const at::NoGradGuard no_grad;
  const auto& stratum = strata_[terms_.size()];
  const auto device = model_.network.device();
  const auto t = drawn_t(options_, stratum, indices_);
  const auto x_t = model_.process.q_sample(x_0_, t, noise(options_, t, indices_, x_0_.sizes().slice(1)));
  const auto output = model_.network.forward(x_t.to(device), t.to(device)).to(torch::kCPU, torch::kFloat64);
  const auto x_0 = x_0_.to(torch::kFloat64);
  const auto exact = x_t.to(torch::kFloat64);
  const auto reverse = reverse_step(model_.parameterisation, model_.process, exact, t, output, options_.clip);
  const auto terms = bound_terms(model_.process, decoder_, x_0, exact, t, reverse).narrow(0, 0, count_);
  if (!terms.isfinite().all().item<bool>()) {
    throw core::NotFiniteError(
        "the network gives a bound that is not a finite number at t = {}; its training diverged",
        stratum.first);
  }
  terms_.push_back(terms);
  x_0_mse_.push_back((reverse.x_0 - x_0).pow(2).flatten(1).mean(1).narrow(0, 0, count_));
}

LikelihoodTerms LikelihoodBatch::terms() const {
  DDPM_CHECK(!terms_.empty(), "no stratum is done");
  return {prior_terms(model_.process, decoder_, x_0_.narrow(0, 0, count_).to(torch::kFloat64)),
          torch::stack(terms_, 1), torch::stack(x_0_mse_, 1)};
}

tensor::NamedTensors LikelihoodBatch::state() const {
  const auto columns = [&](const std::vector<at::Tensor>& parts) {
    return parts.empty() ? torch::zeros({count_, 0}, torch::kFloat64) : torch::stack(parts, 1);
  };
  return {{"partial.terms", columns(terms_)}, {"partial.x_0_mse", columns(x_0_mse_)}};
}

void LikelihoodBatch::restore(const tensor::NamedTensors& state, const std::string& origin) {
  const auto terms = tensor::find(state, "partial.terms");
  const auto x_0_mse = tensor::find(state, "partial.x_0_mse");
  const bool fits = terms.defined() && x_0_mse.defined() && terms.scalar_type() == torch::kFloat64 &&
                    x_0_mse.scalar_type() == torch::kFloat64 && terms.dim() == 2 &&
                    terms.sizes() == x_0_mse.sizes() && terms.size(0) == count_ &&
                    terms.size(1) <= static_cast<int64_t>(strata_.size());
  if (!fits) {
    throw core::DataError("{}: is no state of an evaluation of this chain", origin);
  }
  terms_ = terms.clone().unbind(1);
  x_0_mse_ = x_0_mse.clone().unbind(1);
}

BoundSums::BoundSums(std::vector<Stratum> strata)
    : strata_(std::move(strata)),
      curve_(torch::zeros({3, static_cast<int64_t>(strata_.size())}, torch::kFloat64)) {}

void BoundSums::add(const LikelihoodTerms& terms) {
  std::vector<double> sizes;
  for (const auto& stratum : strata_) {
    sizes.push_back(static_cast<double>(stratum.count));
  }
  const auto weighted = terms.terms * torch::tensor(sizes, torch::kFloat64);
  const int64_t later = weighted.size(1) - 1;
  examples_.push_back(
      torch::stack({terms.prior, weighted.narrow(1, 1, later).sum(1), weighted.select(1, 0)}, 1));
  curve_ += torch::stack({terms.terms.sum(0), terms.terms.pow(2).sum(0), terms.x_0_mse.sum(0)});
}

int64_t BoundSums::count() const {
  int64_t count = 0;
  for (const auto& part : examples_) {
    count += part.size(0);
  }
  return count;
}

BoundReport BoundSums::report() const {
  DDPM_CHECK(!examples_.empty(), "no examples");
  const auto examples = torch::cat(examples_);
  BoundReport report;
  report.count = examples.size(0);
  report.total = mean_error(examples.sum(1));
  report.regularisation = mean_error(examples.select(1, 0));
  report.denoising = mean_error(examples.select(1, 1));
  report.reconstruction = mean_error(examples.select(1, 2));
  const auto curve = curve_.accessor<double, 2>();
  for (size_t k = 0; k < strata_.size(); ++k) {
    const auto at = static_cast<int64_t>(k);
    report.curve.push_back({strata_[k], mean_error(curve[0][at], curve[1][at], report.count),
                            curve[2][at] / static_cast<double>(report.count)});
  }
  return report;
}

tensor::NamedTensors BoundSums::state() const {
  const auto none = torch::zeros({0, 3}, torch::kFloat64);
  return {{"examples", examples_.empty() ? none : torch::cat(examples_)}, {"curve", curve_}};
}

void BoundSums::restore(const tensor::NamedTensors& state, const std::string& origin) {
  const auto examples = tensor::find(state, "examples");
  const auto curve = tensor::find(state, "curve");
  const bool fits = examples.defined() && curve.defined() && examples.scalar_type() == torch::kFloat64 &&
                    curve.scalar_type() == torch::kFloat64 && examples.dim() == 2 && examples.size(1) == 3 &&
                    curve.sizes() == curve_.sizes();
  if (!fits) {
    throw core::DataError("{}: is no state of an evaluation of this chain", origin);
  }
  examples_.assign(examples.size(0) > 0 ? 1 : 0, examples.clone());
  curve_ = curve.clone();
}

std::vector<CodingPoint> progressive_coding(const BoundReport& report) {
  const auto steps = static_cast<int64_t>(report.curve.size());
  if (std::any_of(report.curve.begin(), report.curve.end(),
                  [](const auto& p) { return p.stratum.count != 1; })) {
    return {};
  }
  std::vector<CodingPoint> rows;
  for (int64_t row = kCodingRows; row >= 1; --row) {
    const int64_t sent = steps * row / kCodingRows;
    if (sent < 1 || (!rows.empty() && rows.back().steps == sent)) {
      continue;
    }
    // The receiver has x_{T - sent + 1}, index T - sent: its own term is not sent yet.
    const int64_t at = steps - sent;
    CodingPoint point{sent, report.regularisation.mean, report.curve[static_cast<size_t>(at)].x_0_mse};
    for (int64_t t = at + 1; t < steps; ++t) {
      point.rate += report.curve[static_cast<size_t>(t)].term.mean;
    }
    rows.push_back(point);
  }
  return rows;
}

}  // namespace ddpm_eval::ddpm
