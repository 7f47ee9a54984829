#pragma once

#include "ddpm/network.h"

#include <functional>
#include <utility>

namespace ddpm_eval::ddpm {

/// A network that is a formula of (x_t, t).
class FormulaNetwork final : public DiffusionNetwork {
 public:
  using Formula = std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>;
  explicit FormulaNetwork(Formula formula) : formula_(std::move(formula)) {}
  const tensor::NamedTensors& parameters() const override { return none_; }

 protected:
  at::Tensor run(const at::Tensor& x_t, const at::Tensor& t,
                 const std::optional<TrainingPass>& /*pass*/) const override {
    return formula_(x_t, t);
  }

 private:
  Formula formula_;
  tensor::NamedTensors none_;
};

}  // namespace ddpm_eval::ddpm
