#include "base/tensor/onednn_convolution.h"

#include "base/core/error.h"

#include <array>
#include <map>
#include <mutex>
#include <unordered_map>

#include <ATen/Parallel.h>
#include <torch/types.h>

#ifdef DDPM_EVAL_WITH_ONEDNN
#include <dnnl.hpp>
#endif

namespace ddpm_eval::tensor::onednn {

#ifdef DDPM_EVAL_WITH_ONEDNN

namespace {

using dnnl::memory;

enum class Pass { kForward, kBackwardData, kBackwardWeights };

/// Far more than the shapes of a network; a program that meets more starts anew.
constexpr size_t kMaxPrepared = 10'000;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory::data_type type_of(at::ScalarType dtype) {
  return dtype == torch::kBFloat16 ? memory::data_type::bf16 : memory::data_type::f32;
}

memory::desc plain_weight(const Problem& p) {
  return {{p.out, p.in, p.kernel[0], p.kernel[1]}, memory::data_type::f32, memory::format_tag::oihw};
}

/// A primitive with the layouts it chose.
struct Prepared {
  dnnl::primitive primitive;
  memory::desc x, weight, bias, y, scratchpad;
};

Prepared prepare(const Problem& p, Pass pass) {
  const auto any = memory::format_tag::any;
  const auto nhwc = memory::format_tag::nhwc;
  const memory::dims weight_dims{p.out, p.in, p.kernel[0], p.kernel[1]};
  const memory::desc x({p.rows, p.in, p.height, p.width}, type_of(p.dtype), nhwc);
  const memory::desc y({p.rows, p.out, p.out_height, p.out_width}, type_of(p.result), nhwc);
  const memory::desc weight(weight_dims, type_of(p.dtype), any);
  const memory::desc dweight(weight_dims, memory::data_type::f32, any);
  const memory::desc bias({p.out}, memory::data_type::f32, memory::format_tag::a);
  const memory::dims stride{p.shape.stride, p.shape.stride};
  const auto dims = [](const Sides& sides) { return memory::dims(sides.begin(), sides.end()); };
  const auto begin = dims(p.shape.pad_begin), end = dims(p.shape.pad_end);
  const auto direct = dnnl::algorithm::convolution_direct;
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops post;
  if (p.adds) {
    post.append_sum(1.0F);
  }
  if (p.rectifier == Rectifier::kRelu) {
    post.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
  }
  attributes.set_post_ops(post);
  const auto kind =
      pass == Pass::kForward ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training;
  const dnnl::convolution_forward::primitive_desc forward(
      {kind, direct, x, weight, bias, y, stride, begin, end}, attributes, engine());
  if (pass == Pass::kForward) {
    return {dnnl::convolution_forward(forward), x, forward.weights_desc(), bias, y,
            forward.scratchpad_desc()};
  }
  if (pass == Pass::kBackwardData) {
    const dnnl::convolution_backward_data::primitive_desc data({direct, x, weight, y, stride, begin, end},
                                                               attributes, engine(), forward);
    return {dnnl::convolution_backward_data(data), x, data.weights_desc(), bias, y, data.scratchpad_desc()};
  }
  const dnnl::convolution_backward_weights::primitive_desc weights(
      {direct, x, dweight, bias, y, stride, begin, end}, attributes, engine(), forward);
  return {dnnl::convolution_backward_weights(weights),
          x,
          weights.diff_weights_desc(),
          bias,
          y,
          weights.scratchpad_desc()};
}

/// Making a primitive compiles it; each is made once per number of threads, which it is cut for.
std::shared_ptr<const Prepared> prepared(const Problem& p, Pass pass) {
  using Key = std::array<int64_t, 20>;
  const int threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  const Key key{static_cast<int64_t>(pass),
                p.rows,
                p.in,
                p.height,
                p.width,
                p.out,
                p.kernel[0],
                p.kernel[1],
                p.out_height,
                p.out_width,
                p.shape.stride,
                p.shape.pad_begin[0],
                p.shape.pad_begin[1],
                p.shape.pad_end[0],
                p.shape.pad_end[1],
                static_cast<int64_t>(p.dtype),
                static_cast<int64_t>(p.result),
                p.adds,
                static_cast<int64_t>(p.rectifier),
                threads};
  static std::mutex mutex;
  static std::map<Key, std::shared_ptr<const Prepared>> cache;
  const std::lock_guard lock(mutex);
  const auto found = cache.find(key);
  if (found != cache.end()) {
    return found->second;
  }
  if (cache.size() >= kMaxPrepared) {
    cache.clear();
  }
  return cache.emplace(key, std::make_shared<const Prepared>(prepare(p, pass))).first->second;
}

memory view(const memory::desc& desc, const at::Tensor& tensor) {
  return {desc, engine(), tensor.data_ptr()};
}

at::Tensor bytes(const memory::desc& desc) {
  return torch::empty({static_cast<int64_t>(desc.get_size())}, torch::kUInt8);
}

void reorder(const memory::desc& from_desc, const at::Tensor& from, const memory::desc& to_desc,
             const at::Tensor& to) {
  dnnl::stream stream(engine());
  auto source = view(from_desc, from), target = view(to_desc, to);
  dnnl::reorder(source, target).execute(stream, source, target);
}

void execute(const Prepared& prepared, std::unordered_map<int, memory> arguments) {
  const at::Tensor scratchpad = bytes(prepared.scratchpad);
  arguments.emplace(DNNL_ARG_SCRATCHPAD, view(prepared.scratchpad, scratchpad));
  dnnl::stream stream(engine());
  prepared.primitive.execute(stream, arguments);
}

at::Tensor laid_out(const Problem& p, const at::Tensor& weight, const memory::desc& layout) {
  at::Tensor memory = bytes(layout);
  reorder(plain_weight(p), weight, layout, memory);
  return memory;
}

}  // namespace

bool available() { return true; }

bool has_avx512() {
  static const bool supported = [] {
    const auto isa = dnnl::get_effective_cpu_isa();
    return isa != dnnl::cpu_isa::sse41 && isa != dnnl::cpu_isa::avx && isa != dnnl::cpu_isa::avx2;
  }();
  return supported;
}

bool computes_bfloat16() { return has_avx512(); }

PackedWeight pack(const Problem& problem, const at::Tensor& weight, const PackedWeight* other) {
  const auto forward = prepared(problem, Pass::kForward);
  if (other != nullptr &&
      std::static_pointer_cast<const Prepared>(other->layout)->weight == forward->weight) {
    return *other;
  }
  return {laid_out(problem, weight, forward->weight), forward};
}

void forward(const Problem& problem, const at::Tensor& x, const PackedWeight& weight, const at::Tensor& bias,
             at::Tensor& y) {
  const auto pass = prepared(problem, Pass::kForward);
  execute(*pass, {{DNNL_ARG_SRC, view(pass->x, x)},
                  {DNNL_ARG_WEIGHTS, view(pass->weight, weight.memory)},
                  {DNNL_ARG_BIAS, view(pass->bias, bias)},
                  {DNNL_ARG_DST, view(pass->y, y)}});
}

void backward_data(const Problem& problem, const at::Tensor& dy, const at::Tensor& weight, at::Tensor& dx) {
  const auto pass = prepared(problem, Pass::kBackwardData);
  execute(*pass, {{DNNL_ARG_DIFF_DST, view(pass->y, dy)},
                  {DNNL_ARG_WEIGHTS, view(pass->weight, laid_out(problem, weight, pass->weight))},
                  {DNNL_ARG_DIFF_SRC, view(pass->x, dx)}});
}

void backward_weights(const Problem& problem, const at::Tensor& x, const at::Tensor& dy, at::Tensor& dweight,
                      at::Tensor& dbias) {
  const auto pass = prepared(problem, Pass::kBackwardWeights);
  const at::Tensor packed = bytes(pass->weight);
  execute(*pass, {{DNNL_ARG_SRC, view(pass->x, x)},
                  {DNNL_ARG_DIFF_DST, view(pass->y, dy)},
                  {DNNL_ARG_DIFF_WEIGHTS, view(pass->weight, packed)},
                  {DNNL_ARG_DIFF_BIAS, view(pass->bias, dbias)}});
  reorder(pass->weight, packed, plain_weight(problem), dweight);
}

#else

bool available() { return false; }
bool has_avx512() { return false; }
bool computes_bfloat16() { return false; }

namespace {
[[noreturn]] void missing() { DDPM_CHECK(false, "this build has no oneDNN"); }
}  // namespace

PackedWeight pack(const Problem&, const at::Tensor&, const PackedWeight*) { missing(); }
void forward(const Problem&, const at::Tensor&, const PackedWeight&, const at::Tensor&, at::Tensor&) {
  missing();
}
void backward_data(const Problem&, const at::Tensor&, const at::Tensor&, at::Tensor&) { missing(); }
void backward_weights(const Problem&, const at::Tensor&, const at::Tensor&, at::Tensor&, at::Tensor&) {
  missing();
}

#endif

}  // namespace ddpm_eval::tensor::onednn
