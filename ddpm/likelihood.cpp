#include "ddpm/likelihood.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/shape.h"

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
    throw core::UsageError("strata: {} is neither 0 (every t) nor within 2..{}", strata, chain_steps);
  }
  if (micro_batch < 1) {
    throw core::UsageError("micro_batch: {} is not a positive number", micro_batch);
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

LikelihoodTerms likelihood_terms(const SamplingModel& model, Decoder decoder,
                                 const LikelihoodOptions& options, const at::Tensor& x_0, int64_t first_index,
                                 const LikelihoodProgress& progress) {
  const int64_t n = x_0.size(0);
  DDPM_CHECK(n >= 1 && n <= options.micro_batch, "a micro-batch of {}", tensor::describe(x_0));
  const at::NoGradGuard no_grad;
  const auto indices = tensor::index_range(first_index, first_index + options.micro_batch);
  const auto padding = x_0.narrow(0, n - 1, 1).expand_as(torch::empty(x_0.sizes()).narrow(0, 0, 1));
  std::vector<at::Tensor> padded{x_0};
  padded.resize(static_cast<size_t>(options.micro_batch - n) + 1, padding);
  const auto batch = torch::cat(padded);
  const auto exact = batch.to(torch::kFloat64);
  const auto device = model.network.device();
  const auto strata = strata_of(model.process.steps(), options.strata);

  LikelihoodTerms result{prior_terms(model.process, decoder, exact).narrow(0, 0, n), {}, {}};
  std::vector<at::Tensor> terms, errors;
  for (const auto& stratum : strata) {
    const auto t = drawn_t(options, stratum, indices);
    const auto x_t = model.process.q_sample(batch, t, noise(options, t, indices, batch.sizes().slice(1)));
    const auto output = model.network.forward(x_t.to(device), t.to(device)).to(torch::kCPU, torch::kFloat64);
    const auto x_t_exact = x_t.to(torch::kFloat64);
    const auto step = reverse_step(model.parameterisation, model.process, x_t_exact, t, output, options.clip);
    terms.push_back(bound_terms(model.process, decoder, exact, x_t_exact, t, step).narrow(0, 0, n));
    errors.push_back((step.x_0 - exact).pow(2).flatten(1).mean(1).narrow(0, 0, n));
    if (progress) {
      progress(static_cast<int64_t>(terms.size()), static_cast<int64_t>(strata.size()));
    }
  }
  result.terms = torch::stack(terms, 1);
  result.x_0_mse = torch::stack(errors, 1);
  if (!result.terms.isfinite().all().item<bool>()) {
    throw core::DataError("the network gives bounds that are not finite numbers; its training diverged");
  }
  return result;
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
