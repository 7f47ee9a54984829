#include "metrics/moments.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"
#include "metrics/dense_algebra.h"

#include <cmath>

namespace ddpm_eval::metrics {
namespace {

constexpr int64_t kBlock = 512;  ///< rows per rank-k update: enough for BLAS to run at full speed

at::Tensor zero_matrix(int64_t dim, at::Device device) {
  return torch::zeros({dim, dim}, torch::dtype(at::kDouble).device(device));
}

/// gram += rows^T rows, on the upper triangle at least.
void add_gram(at::Tensor& gram, const at::Tensor& rows) {
  if (rows.device().is_cpu()) {
    dense::add_gram(gram, rows);
  } else {
    gram.addmm_(rows.t(), rows);
  }
}

}  // namespace

void merge(Moments& all, const Moments& part) {
  DDPM_CHECK(all.count >= 2 && part.count >= 2, "moments of {} and of {} vectors", all.count, part.count);
  tensor::expect(part.mean, at::kDouble, {all.mean.size(0)}, "mean");
  const auto count = static_cast<double>(all.count), added = static_cast<double>(part.count);
  const double total = count + added;
  const auto shift = part.mean - all.mean;
  // Scaled before the product, so that the covariance stays symmetric to the bit.
  const auto scaled = shift * std::sqrt(count * (added / total));
  all.covariance.mul_(count - 1).add_(part.covariance, added - 1).addr_(scaled, scaled).div_(total - 1);
  all.mean.add_(shift, added / total);
  all.count += part.count;
  all.centred = at::Tensor();
}

MomentsAccumulator::MomentsAccumulator(int64_t dim) : dim_(dim) { DDPM_CHECK(dim > 0, "dim is {}", dim); }

/// `block` holds the centred rows and one spare row, into which goes the shift between the two means.
void MomentsAccumulator::Folded::add_block(const at::Tensor& block, int64_t block_count,
                                           const at::Tensor& block_mean) {
  if (!scatter.defined()) {
    scatter = zero_matrix(block.size(1), block.device());
    mean = torch::zeros({block.size(1)}, block.options());
  }
  const auto total = static_cast<double>(count + block_count);
  const double share = static_cast<double>(block_count) / total;
  const auto shift = block_mean - mean;
  block.select(0, block.size(0) - 1).copy_(shift * std::sqrt(static_cast<double>(count) * share));
  add_gram(scatter, block);
  mean.add_(shift, share);
  count += block_count;
}

void MomentsAccumulator::Folded::fold(const at::Tensor& rows) {
  for (int64_t begin = 0; begin < rows.size(0); begin += kBlock) {
    const int64_t size = std::min(kBlock, rows.size(0) - begin);
    auto block = torch::empty({size + 1, rows.size(1)}, rows.options().dtype(at::kDouble));
    auto centred = block.narrow(0, 0, size);
    centred.copy_(rows.narrow(0, begin, size));
    const auto block_mean = centred.mean(0);
    centred.sub_(block_mean);
    add_block(block, size, block_mean);
  }
}

at::Tensor MomentsAccumulator::pending_rows() const {
  return pending_.defined() ? pending_.narrow(0, 0, pending_count_) : torch::empty({0, dim_}, at::kFloat);
}

void MomentsAccumulator::add(const at::Tensor& features) {
  tensor::expect(features, at::kFloat, {-1, dim_}, "features");
  if (!pending_.defined() && features.size(0) > 0) {
    // Where something was merged already, that is where it goes on.
    const auto device = folded_.count > 0 ? folded_.scatter.device() : features.device();
    pending_ = torch::empty({std::max(dim_, kBlock), dim_}, torch::dtype(at::kFloat).device(device));
  }
  int64_t done = 0;
  while (done < features.size(0)) {
    const int64_t taken = std::min(pending_.size(0) - pending_count_, features.size(0) - done);
    pending_.narrow(0, pending_count_, taken).copy_(features.narrow(0, done, taken));
    pending_count_ += taken;
    done += taken;
    if (pending_count_ == pending_.size(0)) {
      folded_.fold(pending_rows());
      pending_count_ = 0;
    }
  }
}

void MomentsAccumulator::merge(const MomentsAccumulator& other) {
  DDPM_CHECK(other.dim_ == dim_, "moments of {} and of {} features", dim_, other.dim_);
  if (other.folded_.count > 0) {
    if (folded_.count == 0) {
      const auto device = pending_.defined() ? pending_.device() : other.folded_.mean.device();
      const auto copy = [&](const at::Tensor& x) {
        return x.to(device, at::kDouble, /*non_blocking=*/false, /*copy=*/true);
      };
      folded_ = {other.folded_.count, copy(other.folded_.mean), copy(other.folded_.scatter)};
    } else {
      const auto device = folded_.scatter.device();
      folded_.scatter.add_(other.folded_.scatter.to(device));
      folded_.add_block(torch::empty({1, dim_}, folded_.mean.options()), other.folded_.count,
                        other.folded_.mean.to(device));
    }
  }
  add(other.pending_rows());
}

/// Fewer rows than features, none of them folded.
Moments MomentsAccumulator::of_pending_rows() const {
  Moments moments;
  auto rows = pending_rows().to(at::kDouble);
  const auto mean = rows.mean(0);
  rows.sub_(mean).div_(std::sqrt(static_cast<double>(count() - 1)));
  auto covariance = zero_matrix(dim_, rows.device());
  add_gram(covariance, rows);
  moments.mean = mean.cpu();
  moments.covariance = covariance.cpu();
  moments.centred = rows.cpu();
  return moments;
}

Moments MomentsAccumulator::finish() const {
  if (count() < 2) {
    throw core::DataError("a covariance needs at least 2 images, and there {} {}",
                          count() == 1 ? "is" : "are", count());
  }
  Moments moments;
  if (folded_.count == 0 && count() < dim_) {
    moments = of_pending_rows();
  } else {
    Folded all{folded_.count, {}, {}};
    if (folded_.count > 0) {
      all = {folded_.count, folded_.mean.clone(), folded_.scatter.clone()};
    }
    all.fold(pending_rows());
    moments.mean = all.mean.cpu();
    moments.covariance = all.scatter.cpu().div_(static_cast<double>(count() - 1));
  }
  moments.count = count();
  dense::mirror_upper(moments.covariance);
  if (!std::isfinite(moments.mean.sum().item<double>())) {
    throw core::DataError(
        "the features of {} images hold NaN or infinity: the weights or the images are damaged", count());
  }
  return moments;
}

Moments moments_of(const at::Tensor& features, const std::function<void()>& between) {
  constexpr int64_t kRows = 4096;
  MomentsAccumulator accumulator(features.size(1));
  for (int64_t begin = 0; begin < features.size(0); begin += kRows) {
    accumulator.add(features.narrow(0, begin, std::min(kRows, features.size(0) - begin)));
    between();
  }
  return accumulator.finish();
}

}  // namespace ddpm_eval::metrics
