#include "metrics/kernel_sums.h"

#include "base/core/error.h"
#include "metrics/row_kernels.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <torch/types.h>

namespace ddpm_eval::metrics::detail {
namespace {

// Of which each has sums of its own by columns, so that these are added up in the same order by any number of
// threads.
constexpr int64_t kRowsAtOnce = 64;

double binomial(int64_t n, int64_t k) {
  double result = 1.0;
  for (int64_t i = 1; i <= k; ++i) {
    result = result * static_cast<double>(n - k + i) / static_cast<double>(i);
  }
  return result;
}

/// A kernel as a function of t = factor <x', y'> + term(x') + term(y') of the moved features x' = x - c, less
/// its value at t = 0.
///
/// Polynomial: gamma <x, y> + coef = t + u with u = gamma |c|^2 + coef, term(x') = gamma <x', c>, and (t +
/// u)^p
/// - u^p is a polynomial in t without a constant. RBF: the exponent itself, term(x') = -|x'|^2 / (2 sigma^2).
class MovedKernel {
 public:
  MovedKernel(const Kernel& kernel, const at::Tensor& real, const at::Tensor& fake)
      // The products of few numbers take less time than the kernel, and need all digits most: points in the
      // plane have neighbours much nearer than their own length.
      : dtype_(real.size(1) <= 64 ? torch::kFloat64 : torch::kFloat32),
        rbf_(kernel.kind == Kernel::Kind::kRbf),
        centre_(mean_of_rows(real, fake).to(torch::kFloat32)) {
    if (rbf_) {
      factor_ = 1.0 / (kernel.sigma * kernel.sigma);
      return;
    }
    factor_ = kernel.gamma.value_or(1.0 / static_cast<double>(real.size(1)));
    const double u = factor_ * centre_.to(torch::kFloat64).square().sum().item<double>() + kernel.coef;
    for (int64_t power = 1; power <= kernel.degree; ++power) {
      coefficients_.push_back(binomial(kernel.degree, power) *
                              std::pow(u, static_cast<double>(kernel.degree - power)));
    }
  }

  at::ScalarType dtype() const { return dtype_; }

  at::Tensor block(const at::Tensor& rows, int64_t begin, int64_t count, at::Tensor& memory) const {
    auto block = rows_of(memory, count, rows.size(1));
    block.copy_(rows.narrow(0, begin, count));
    return block.sub_(centre_);
  }

  std::vector<double> terms(const at::Tensor& rows) const {
    std::vector<double> terms(static_cast<size_t>(rows.size(0)));
    const auto centre = centre_.to(torch::kFloat64);
    at::Tensor memory = torch::empty({0}, dtype_);
    for_each_block(rows.size(0), rows_of_block(rows.size(1)), [&](int64_t begin, int64_t count) {
      const auto moved = block(rows, begin, count, memory).to(torch::kFloat64);
      const auto of_block = rbf_ ? moved.square().sum(1) * (-0.5 * factor_) : at::mv(moved, centre) * factor_;
      std::copy_n(of_block.data_ptr<double>(), count, terms.begin() + begin);
    });
    return terms;
  }

  void values(const double* products, const double* column_terms, double row_term, int64_t count,
              double* values) const {
    if (rbf_) {
      exponential_row(products, factor_, column_terms, row_term, count, values);
    } else {
      polynomial_row(products, factor_, column_terms, row_term, coefficients_.data(),
                     static_cast<int64_t>(coefficients_.size()), count, values);
    }
  }

 private:
  at::ScalarType dtype_;
  bool rbf_;
  at::Tensor centre_;  ///< float32 [d]
  double factor_ = 0.0;
  std::vector<double> coefficients_;
};

/// One set's rows with the terms of its kernel and where their sums go.
struct SummedRows {
  const at::Tensor& rows;
  const std::vector<double>& terms;
  std::vector<double>& sums;
};

class SumPass {
 public:
  SumPass(const MovedKernel& kernel, int64_t size, PairProgress& progress)
      : kernel_(kernel),
        size_(size),
        progress_(progress),
        x_memory_(torch::empty({0}, kernel.dtype())),
        y_memory_(torch::empty({0}, kernel.dtype())),
        product_memory_(torch::empty({0}, kernel.dtype())) {}

  /// Returns the sum of squares.
  double between(const SummedRows& x, const SummedRows& y) {
    double squares = 0.0;
    for_each_block(x.rows.size(0), size_, [&](int64_t row, int64_t height) {
      const auto x_block = kernel_.block(x.rows, row, height, x_memory_);
      for_each_block(y.rows.size(0), size_, [&](int64_t column, int64_t width) {
        const auto y_block = kernel_.block(y.rows, column, width, y_memory_);
        squares += add(inner_products(x_block, y_block, product_memory_), x, row, y, column, true);
      });
    });
    return squares;
  }

  double within(const SummedRows& x) {
    double squares = 0.0;
    const int64_t count = x.rows.size(0);
    for_each_block(count, size_, [&](int64_t row, int64_t height) {
      const auto x_block = kernel_.block(x.rows, row, height, x_memory_);
      squares += add(inner_products(x_block, x_block, product_memory_), x, row, x, row, false);
      for (int64_t column = row + size_; column < count; column += size_) {
        const auto y_block = kernel_.block(x.rows, column, std::min(size_, count - column), y_memory_);
        squares += 2.0 * add(inner_products(x_block, y_block, product_memory_), x, row, x, column, true);
      }
    });
    return squares;
  }

 private:
  /// Adds the kernels of a block to the sums of its rows and, unless it is on the diagonal, of its columns.
  double add(const at::Tensor& products, const SummedRows& x, int64_t row, const SummedRows& y,
             int64_t column, bool off_diagonal) {
    const int64_t height = products.size(0), width = products.size(1);
    const int64_t parts = (height + kRowsAtOnce - 1) / kRowsAtOnce;
    std::vector<double> squares(static_cast<size_t>(parts));
    column_sums_.assign(static_cast<size_t>(off_diagonal ? parts * width : 0), 0.0);
    at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
      std::vector<double> wide(static_cast<size_t>(width)), values(wide.size());
      for (int64_t part = first; part < last; ++part) {
        double* columns = off_diagonal ? column_sums_.data() + part * width : nullptr;
        for (int64_t i = part * kRowsAtOnce; i < std::min(height, (part + 1) * kRowsAtOnce); ++i) {
          kernel_.values(row_of(products, i, wide), y.terms.data() + column, x.terms[row + i], width,
                         values.data());
          if (!off_diagonal) {
            values[i] = 0.0;
          }
          const auto sums = add_up(values.data(), width, columns);
          x.sums[row + i] += sums.sum;
          squares[part] += sums.squares;
        }
      }
    });
    double total_squares = 0.0;
    for (int64_t part = 0; part < parts; ++part) {
      total_squares += squares[part];
      for (int64_t j = 0; off_diagonal && j < width; ++j) {
        y.sums[column + j] += column_sums_[part * width + j];
      }
    }
    progress_.add(height * width);
    return total_squares;
  }

  /// A row in float64, in `wide` where it has to be converted.
  static const double* row_of(const at::Tensor& products, int64_t row, std::vector<double>& wide) {
    const int64_t width = products.size(1);
    if (products.scalar_type() == torch::kFloat64) {
      return products.data_ptr<double>() + row * width;
    }
    widen(products.data_ptr<float>() + row * width, width, wide.data());
    return wide.data();
  }

  const MovedKernel& kernel_;
  int64_t size_;
  PairProgress& progress_;
  at::Tensor x_memory_, y_memory_, product_memory_;
  std::vector<double> column_sums_;
};

}  // namespace

KernelSums kernel_sums(const at::Tensor& real, const at::Tensor& fake, const Kernel& kernel,
                       PairProgress& progress) {
  const auto n = static_cast<size_t>(real.size(0)), m = static_cast<size_t>(fake.size(0));
  KernelSums sums;
  sums.real_real.resize(n);
  sums.real_fake.resize(n);
  sums.fake_fake.resize(m);
  sums.fake_real.resize(m);
  const MovedKernel moved(kernel, real, fake);
  const auto real_terms = moved.terms(real), fake_terms = moved.terms(fake);
  SumPass pass(moved, rows_of_block(real.size(1)), progress);
  sums.real_squares = pass.within({real, real_terms, sums.real_real});
  sums.fake_squares = pass.within({fake, fake_terms, sums.fake_fake});
  sums.cross_squares = pass.between({real, real_terms, sums.real_fake}, {fake, fake_terms, sums.fake_real});
  return sums;
}

int64_t pairs_of_kernel_sums(const at::Tensor& real, const at::Tensor& fake) {
  const int64_t size = rows_of_block(real.size(1)), n = real.size(0), m = fake.size(0);
  return pairs_of_one_set(n, size) + pairs_of_one_set(m, size) + n * m;
}

}  // namespace ddpm_eval::metrics::detail
