#include "ddpm/gated_pass.h"

#include "base/core/error.h"
#include "base/tensor/derivative.h"
#include "base/tensor/product.h"
#include "ddpm/gated_kernel.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

using tensor::product;
using tensor::Operand::kPlain;
using tensor::Operand::kTransposed;
using torch::autograd::variable_list;

/// Numbers that are worth another thread.
constexpr int64_t kGatedGrain = 16384;
/// Gradients come in the order x, then weight, bias and gates of each layer, then weight and bias of the
/// last.
constexpr size_t kPerLayer = 3;

void check_range(const at::Tensor& t, int64_t steps) {
  const auto* index = t.data_ptr<int64_t>();
  for (int64_t i = 0; i < t.numel(); ++i) {
    DDPM_CHECK(index[i] >= 0 && index[i] < steps, "t = {} is outside 0..{}", index[i], steps - 1);
  }
}

/// What the gradient of a layer is computed from.
struct LayerPass {
  at::Tensor x;      ///< [n, in]
  at::Tensor y;      ///< x weight^T
  at::Tensor slope;  ///< of softplus
};

detail::GatedRows rows_of(const GatedLayer& layer, const at::Tensor& y, const at::Tensor& t) {
  return {.rows = y.size(0),
          .width = y.size(1),
          .bias = layer.bias.data_ptr<float>(),
          .gates = layer.gates.data_ptr<float>(),
          .t = t.data_ptr<int64_t>()};
}

/// Returns the layer's output.
at::Tensor run_layer(const GatedLayer& layer, const at::Tensor& t, LayerPass& pass) {
  pass.y = product(pass.x, kPlain, layer.weight, kTransposed);
  pass.slope = torch::empty_like(pass.y);
  at::Tensor h = torch::empty_like(pass.y);
  const auto shape = rows_of(layer, pass.y, t);
  const auto* y = pass.y.data_ptr<float>();
  auto *to_h = h.data_ptr<float>(), *to_slope = pass.slope.data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, kGatedGrain / shape.width);
  at::parallel_for(0, shape.rows, grain, [&](int64_t begin, int64_t end) {
    detail::gated_softplus(shape, begin, end, y, to_h, to_slope);
  });
  return h;
}

struct LayerGradients {
  at::Tensor y, bias, gates;
};

LayerGradients layer_gradients(const GatedLayer& layer, const at::Tensor& t, const LayerPass& pass,
                               const at::Tensor& dh) {
  const auto shape = rows_of(layer, pass.y, t);
  LayerGradients to{torch::empty_like(pass.y), torch::empty_like(layer.bias), torch::zeros_like(layer.gates)};
  std::vector<double> scratch(static_cast<size_t>(shape.width));
  const auto *y = pass.y.data_ptr<float>(), *slope = pass.slope.data_ptr<float>(),
             *from = dh.data_ptr<float>();
  auto *dy = to.y.data_ptr<float>(), *dbias = to.bias.data_ptr<float>(), *dgates = to.gates.data_ptr<float>();
  // Threads share columns, not rows: each sum is one thread's, in the order of the rows.
  const int64_t grain = std::max<int64_t>(16, kGatedGrain / std::max<int64_t>(1, shape.rows));
  at::parallel_for(0, shape.width, grain, [&](int64_t begin, int64_t end) {
    detail::gated_softplus_gradient(shape, begin, end, y, slope, from, dy, scratch.data(), dbias, dgates);
  });
  return to;
}

/// The backward pass of all layers.
struct GatedGradient final : torch::autograd::Node {
  variable_list apply(variable_list&& gradients) override {
    tensor::refuse_second_derivative("a network with gates");
    const at::NoGradGuard no_grad;
    const size_t count = layers.size();
    variable_list result(1 + count * kPerLayer + 2);
    if (!gradients[0].defined()) {
      return result;
    }
    const at::Tensor dy = gradients[0].contiguous();
    result[result.size() - 2] = product(dy, kTransposed, h, kPlain);
    result[result.size() - 1] = dy.sum(0);
    at::Tensor dh = product(dy, kPlain, out.weight, kPlain);
    for (size_t i = count; i-- > 0;) {
      auto of = layer_gradients(layers[i], t, passes[i], dh);
      const size_t first = 1 + i * kPerLayer;
      result[first] = product(of.y, kTransposed, passes[i].x, kPlain);
      result[first + 1] = std::move(of.bias);
      result[first + 2] = std::move(of.gates);
      if (i > 0 || should_compute_output(0)) {
        dh = product(of.y, kPlain, layers[i].weight, kPlain);
      }
    }
    if (should_compute_output(0)) {
      result[0] = dh;
    }
    return result;
  }

  void release_variables() override {
    passes.clear();
    h.reset();
  }

  std::vector<GatedLayer> layers;
  OutputLayer out;
  at::Tensor t;
  std::vector<LayerPass> passes;
  at::Tensor h;  ///< what went into the last map
};

bool is_float_on_cpu(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == torch::kFloat32 && tensor.is_contiguous();
}

at::Tensor by_operators(const std::vector<GatedLayer>& layers, const OutputLayer& out, const at::Tensor& x,
                        const at::Tensor& t) {
  at::Tensor h = x;
  for (const auto& layer : layers) {
    h = torch::softplus(torch::linear(h, layer.weight, layer.bias) * torch::embedding(layer.gates, t));
  }
  return torch::linear(h, out.weight, out.bias);
}

}  // namespace

at::Tensor gated_pass(const std::vector<GatedLayer>& layers, const OutputLayer& out, const at::Tensor& x,
                      const at::Tensor& t) {
  variable_list inputs{x};
  for (const auto& layer : layers) {
    inputs.insert(inputs.end(), {layer.weight, layer.bias, layer.gates});
  }
  inputs.insert(inputs.end(), {out.weight, out.bias});
  if (layers.empty() || !std::all_of(inputs.begin(), inputs.end(), is_float_on_cpu)) {
    return by_operators(layers, out, x, t);
  }
  const at::Tensor rows = t.contiguous();
  check_range(rows, layers.front().gates.size(0));
  const bool differentiable = torch::autograd::compute_requires_grad(at::TensorList(inputs));
  std::vector<LayerPass> passes;
  at::Tensor h = x, y;
  {
    const at::NoGradGuard no_grad;
    for (const auto& layer : layers) {
      LayerPass pass{.x = h, .y = {}, .slope = {}};
      h = run_layer(layer, rows, pass);
      if (differentiable) {
        passes.push_back(std::move(pass));
      }
    }
    y = product(h, kPlain, out.weight, kTransposed).add_(out.bias);
  }
  if (differentiable) {
    auto node = std::make_shared<GatedGradient>();
    node->set_next_edges(torch::autograd::collect_next_edges(inputs));
    node->layers = layers;
    node->out = out;
    node->t = rows;
    node->passes = std::move(passes);
    node->h = h;
    torch::autograd::set_history(y, node);
  }
  return y;
}

}  // namespace ddpm_eval::ddpm
