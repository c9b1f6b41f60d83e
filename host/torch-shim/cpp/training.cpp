// A decoder's layer in training, with gradients: products with packed weights and their adapters, the split into heads that
// are turned by their positions, the gate and the norm. Each is one node of libtorch's graph that keeps what its gradient
// needs and no more.

#include <ATen/Functions.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <cmath>
#include <memory>
#include <vector>

#include "guard.h"
#include "lanes.h"
#include "node.h"
#include "packed/product.h"
#include "rows.h"

#if SLHF_LANES

namespace {

using lanes::load;
using lanes::Register;
using lanes::store;
using node::follow;
using node::is_wanted;
using node::made;
using torch::autograd::Node;
using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

// x Wᵀ + scale · (x Aᵀ) Bᵀ + add of matrices side by side. Inputs: x, add, then A and B of each matrix.
struct PackedLinearBackward : Node {
  std::vector<packed::Weight> weights;
  double scale = 1;
  int64_t inputs = 0;
  SavedVariable x;
  at::Tensor low;  // [rows, ranks]
  std::vector<SavedVariable> a, b;
  std::vector<bool> has_adapter;

  std::string name() const override { return "PackedLinearBackward"; }

  void release_variables() override {
    x.reset_data();
    low.reset();
    for (SavedVariable &one : a) one.reset_data();
    for (SavedVariable &one : b) one.reset_data();
  }

  variable_list apply(variable_list &&gradients) override {
    variable_list found(2 + 2 * weights.size());
    if (!gradients[0].defined()) return found;
    at::NoGradGuard no_grad;
    const at::Tensor dy = gradients[0].contiguous();
    if (task_should_compute_output(1)) found[1] = dy;
    const bool wants_x = task_should_compute_output(0);
    std::vector<at::Tensor> dlows, as;
    int64_t first = 0, rank = 0;
    at::Tensor input;
    for (size_t index = 0; index < weights.size(); ++index) {
      const int64_t outputs = weights[index].outputs;
      if (has_adapter[index]) {
        if (!input.defined()) input = x.unpack();
        const at::Tensor up = b[index].unpack(), down = a[index].unpack();
        const at::Tensor part = dy.narrow(1, first, outputs);
        const int64_t ranks = up.size(1);
        const at::Tensor dlow = at::mm(part, up).mul_(scale);
        if (task_should_compute_output(3 + 2 * index))
          found[3 + 2 * index] = at::mm(part.t(), low.narrow(1, rank, ranks)).mul_(scale);
        dlows.push_back(dlow);
        as.push_back(down);
        rank += ranks;
      }
      first += outputs;
    }
    if (dlows.empty()) {
      if (wants_x) found[0] = packed::transposed_product(dy, weights.data(), weights.size(), inputs, nullptr);
      return found;
    }
    const at::Tensor dlow = at::cat(dlows, 1), da = at::mm(dlow.t(), input);
    rank = 0;
    for (size_t index = 0, adapter = 0; index < weights.size(); ++index) {
      if (!has_adapter[index]) continue;
      const int64_t ranks = as[adapter++].size(0);
      if (task_should_compute_output(2 + 2 * index)) found[2 + 2 * index] = da.narrow(0, rank, ranks);
      rank += ranks;
    }
    if (!wants_x) return found;
    const at::Tensor beside = at::mm(dlow, at::cat(as, 0));
    found[0] = packed::transposed_product(dy, weights.data(), weights.size(), inputs, &beside);
    return found;
  }
};

// Joined queries, keys and values to heads, turned by their positions.
struct Heads {
  int64_t heads, pairs, size, rows, table_rows;
  const float *cosines, *sines;  // [table_rows, size]; row r of the input takes row r modulo table_rows
  int64_t width() const { return (heads + 2 * pairs) * size; }
};

enum class Way { Forth, Back };

// y = x ⊙ cos + (x₂, x₁) ⊙ sin. Back, which is its gradient, the sines are those of the other half.
template <int BYTES, Way WAY>
SLHF_INLINE void turn(const float *x, const float *cosines, const float *sines, int64_t size, float *y) {
  constexpr int64_t LANES = Register<BYTES>::LANES;
  const int64_t half = size / 2;
  for (int64_t side = 0; side < 2; ++side) {
    const float *own = x + side * half, *other = x + (1 - side) * half;
    const float *c = cosines + side * half, *s = sines + (WAY == Way::Forth ? side : 1 - side) * half;
    float *into = y + side * half;
    int64_t at = 0;
    for (; at + LANES <= half; at += LANES)
      store<BYTES>(into + at, load<BYTES>(own + at) * load<BYTES>(c + at) + load<BYTES>(other + at) * load<BYTES>(s + at));
    for (; at < half; ++at) into[at] = own[at] * c[at] + other[at] * s[at];
  }
}

template <int BYTES>
SLHF_INLINE void split_rows(const Heads &h, const float *joined, float *q, float *k, float *v, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float *x = joined + row * h.width();
    const float *c = h.cosines + row % h.table_rows * h.size, *s = h.sines + row % h.table_rows * h.size;
    for (int64_t head = 0; head < h.heads; ++head)
      turn<BYTES, Way::Forth>(x + head * h.size, c, s, h.size, q + (row * h.heads + head) * h.size);
    for (int64_t pair = 0; pair < h.pairs; ++pair)
      turn<BYTES, Way::Forth>(x + (h.heads + pair) * h.size, c, s, h.size, k + (row * h.pairs + pair) * h.size);
    std::memcpy(v + row * h.pairs * h.size, x + (h.heads + h.pairs) * h.size, static_cast<size_t>(h.pairs * h.size) * 4);
  }
}

template <int BYTES>
SLHF_INLINE void join_rows(const Heads &h, const float *dq, const float *dk, const float *dv, float *joined, int64_t begin,
                           int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    float *x = joined + row * h.width();
    const float *c = h.cosines + row % h.table_rows * h.size, *s = h.sines + row % h.table_rows * h.size;
    for (int64_t head = 0; head < h.heads; ++head)
      turn<BYTES, Way::Back>(dq + (row * h.heads + head) * h.size, c, s, h.size, x + head * h.size);
    for (int64_t pair = 0; pair < h.pairs; ++pair)
      turn<BYTES, Way::Back>(dk + (row * h.pairs + pair) * h.size, c, s, h.size, x + (h.heads + pair) * h.size);
    std::memcpy(x + (h.heads + h.pairs) * h.size, dv + row * h.pairs * h.size, static_cast<size_t>(h.pairs * h.size) * 4);
  }
}

SLHF_512 void split_512(const Heads &h, const float *x, float *q, float *k, float *v, int64_t begin, int64_t end) {
  split_rows<64>(h, x, q, k, v, begin, end);
}
SLHF_256 void split_256(const Heads &h, const float *x, float *q, float *k, float *v, int64_t begin, int64_t end) {
  split_rows<32>(h, x, q, k, v, begin, end);
}
SLHF_512 void join_512(const Heads &h, const float *q, const float *k, const float *v, float *x, int64_t b, int64_t e) {
  join_rows<64>(h, q, k, v, x, b, e);
}
SLHF_256 void join_256(const Heads &h, const float *q, const float *k, const float *v, float *x, int64_t b, int64_t e) {
  join_rows<32>(h, q, k, v, x, b, e);
}

struct SplitBackward : Node {
  Heads shape{};
  at::Tensor cosines, sines;

  std::string name() const override { return "SplitBackward"; }

  variable_list apply(variable_list &&gradients) override {
    at::NoGradGuard no_grad;
    const auto options = cosines.options();
    const auto given = [&](const at::Tensor &gradient, int64_t heads) {
      return gradient.defined() ? gradient.contiguous() : at::zeros({shape.rows, heads, shape.size}, options);
    };
    const at::Tensor dq = given(gradients[0], shape.heads), dk = given(gradients[1], shape.pairs),
                     dv = given(gradients[2], shape.pairs);
    at::Tensor joined = at::empty({shape.rows, shape.width()}, options);
    const auto body = lanes::is_wide() ? join_512 : join_256;
    lanes::share(shape.rows, 4 * joined.numel(), [&](int64_t begin, int64_t end) {
      body(shape, dq.const_data_ptr<float>(), dk.const_data_ptr<float>(), dv.const_data_ptr<float>(),
           joined.data_ptr<float>(), begin, end);
    });
    return {joined};
  }
};

// ∂/∂(gate, up) of silu(gate) ⊙ up.
template <int BYTES>
SLHF_INLINE void gates_back(const float *joined, const float *dy, float *dx, int64_t half, int64_t begin, int64_t end) {
  using Vector = typename Register<BYTES>::Float;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  for (int64_t row = begin; row < end; ++row) {
    const float *gate = joined + row * 2 * half, *up = gate + half, *slope = dy + row * half;
    float *dgate = dx + row * 2 * half, *dup = dgate + half;
    int64_t at = 0;
    for (; at + LANES <= half; at += LANES) {
      const Vector g = load<BYTES>(gate + at), s = 1.0f / (1.0f + lanes::exponential<BYTES>(-g)), d = load<BYTES>(slope + at);
      store<BYTES>(dup + at, d * g * s);
      store<BYTES>(dgate + at, d * load<BYTES>(up + at) * (s * (1.0f + g * (1.0f - s))));
    }
    for (; at < half; ++at) {
      const float g = gate[at], s = 1.0f / (1.0f + lanes::exponential_of_one<BYTES>(-g)), d = slope[at];
      dup[at] = d * g * s;
      dgate[at] = d * up[at] * (s * (1.0f + g * (1.0f - s)));
    }
  }
}

SLHF_512 void gates_back_512(const float *x, const float *dy, float *dx, int64_t half, int64_t begin, int64_t end) {
  gates_back<64>(x, dy, dx, half, begin, end);
}
SLHF_256 void gates_back_256(const float *x, const float *dy, float *dx, int64_t half, int64_t begin, int64_t end) {
  gates_back<32>(x, dy, dx, half, begin, end);
}

struct GateBackward : Node {
  SavedVariable joined;

  std::string name() const override { return "GateBackward"; }
  void release_variables() override { joined.reset_data(); }

  variable_list apply(variable_list &&gradients) override {
    if (!gradients[0].defined()) return {at::Tensor()};
    at::NoGradGuard no_grad;
    const at::Tensor dy = gradients[0].contiguous(), x = joined.unpack();
    at::Tensor dx = at::empty_like(x);
    const auto body = lanes::is_wide() ? gates_back_512 : gates_back_256;
    lanes::share(x.size(0), 8 * x.numel(), [&](int64_t begin, int64_t end) {
      body(x.const_data_ptr<float>(), dy.const_data_ptr<float>(), dx.data_ptr<float>(), dy.size(1), begin, end);
    });
    return {dx};
  }
};

// With r = 1 / √(mean x² + ε): dx = r (w ⊙ dy) − x r³ ⟨w ⊙ dy, x⟩ / width.
template <int BYTES>
SLHF_INLINE void norm_back(const float *x, const float *weight, const float *dy, float *dx, int64_t width, float epsilon) {
  using Vector = typename Register<BYTES>::Float;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  Vector squares = {}, products = {};
  int64_t at = 0;
  for (; at + LANES <= width; at += LANES) {
    const Vector value = load<BYTES>(x + at);
    squares += value * value;
    products += value * load<BYTES>(weight + at) * load<BYTES>(dy + at);
  }
  float square = lanes::total<BYTES>(squares), inner = lanes::total<BYTES>(products);
  for (; at < width; ++at) {
    square += x[at] * x[at];
    inner += x[at] * weight[at] * dy[at];
  }
  const float r = 1.0f / std::sqrt(square / static_cast<float>(width) + epsilon);
  const float along = r * r * r * inner / static_cast<float>(width);
  for (at = 0; at + LANES <= width; at += LANES)
    store<BYTES>(dx + at, load<BYTES>(weight + at) * load<BYTES>(dy + at) * r - load<BYTES>(x + at) * along);
  for (; at < width; ++at) dx[at] = weight[at] * dy[at] * r - x[at] * along;
}

SLHF_512 void norm_back_512(const float *x, const float *w, const float *dy, float *dx, int64_t width, float epsilon) {
  norm_back<64>(x, w, dy, dx, width, epsilon);
}
SLHF_256 void norm_back_256(const float *x, const float *w, const float *dy, float *dx, int64_t width, float epsilon) {
  norm_back<32>(x, w, dy, dx, width, epsilon);
}

struct NormBackward : Node {
  SavedVariable x;
  at::Tensor weight;
  float epsilon = 0;

  std::string name() const override { return "NormBackward"; }
  void release_variables() override { x.reset_data(); }

  variable_list apply(variable_list &&gradients) override {
    if (!gradients[0].defined()) return {at::Tensor()};
    at::NoGradGuard no_grad;
    const at::Tensor dy = gradients[0].contiguous(), input = x.unpack();
    at::Tensor dx = at::empty_like(input);
    const int64_t width = input.size(1);
    const float *from = input.const_data_ptr<float>(), *slope = dy.const_data_ptr<float>();
    float *into = dx.data_ptr<float>();
    const auto body = lanes::is_wide() ? norm_back_512 : norm_back_256;
    lanes::share(input.size(0), 4 * input.numel(), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        body(from + row * width, weight.const_data_ptr<float>(), slope + row * width, into + row * width, width, epsilon);
    });
    return {dx};
  }
};

}  // namespace

#endif

extern "C" {

int slhf_rms_norm(Handle x, Handle weight, double epsilon, at::Tensor **y, char *message, size_t capacity);
int slhf_gate(Handle joined, at::Tensor **y, char *message, size_t capacity);

// A and B of a part's adapter, or none: what its `raise` and the product's `lower` were made of.
struct SlhfTrainedAdapter {
  Handle a, b;  // [rank, inputs], [outputs, rank]
};

struct SlhfTrainedLinear {
  const SlhfPackedProduct *product;
  const SlhfTrainedAdapter *adapters;  // one a part
  double scale;
};

// Rust has checked every shape, that numbers are f32, contiguous and on the CPU, and that the processor is one of ours.
int slhf_trained_linear(const SlhfTrainedLinear *from, at::Tensor **y, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::trained_linear", std::vector<c10::IValue>());
    const SlhfPackedProduct &product = *from->product;
    const at::Tensor none;
    variable_list inputs{*product.input, product.add ? *product.add : none};
    for (size_t index = 0; index < product.count; ++index) {
      const SlhfTrainedAdapter &adapter = from->adapters[index];
      inputs.push_back(adapter.a ? *adapter.a : none);
      inputs.push_back(adapter.b ? *adapter.b : none);
    }
    const bool wanted = is_wanted(inputs), has_low = product.lower != nullptr;
    at::Tensor result, low;
    {
      at::NoGradGuard no_grad;
      result = packed::product(product, wanted && has_low ? &low : nullptr);
    }
    if (wanted) {
      auto node = made<PackedLinearBackward>();
      node->scale = from->scale;
      node->inputs = product.input->size(1);
      node->low = low;
      if (has_low) node->x = SavedVariable(*product.input, false);
      for (size_t index = 0; index < product.count; ++index) {
        const SlhfPackedPart &part = product.parts[index];
        const SlhfTrainedAdapter &adapter = from->adapters[index];
        node->weights.push_back({*part.bytes, part.format, part.outputs});
        node->has_adapter.push_back(adapter.a != nullptr);
        node->a.push_back(adapter.a ? SavedVariable(*adapter.a, false) : SavedVariable());
        node->b.push_back(adapter.b ? SavedVariable(*adapter.b, false) : SavedVariable());
      }
      std::vector<at::Tensor> outputs{result};
      follow(outputs, node, inputs);
    }
    *y = new at::Tensor(std::move(result));
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

struct SlhfSplit {
  Handle joined, cosines, sines;
  int64_t heads, pairs, size;
};

int slhf_split_heads(const SlhfSplit *from, at::Tensor **queries, at::Tensor **keys, at::Tensor **values, char *message,
                     size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::split_heads", std::vector<c10::IValue>());
    const at::Tensor &joined = *from->joined;
    const Heads shape{from->heads, from->pairs, from->size, joined.size(0), from->cosines->size(0),
                      from->cosines->const_data_ptr<float>(), from->sines->const_data_ptr<float>()};
    std::vector<at::Tensor> outputs;
    for (const int64_t heads : {shape.heads, shape.pairs, shape.pairs})
      outputs.push_back(at::empty({shape.rows, heads, shape.size}, from->cosines->options()));
    const auto body = lanes::is_wide() ? split_512 : split_256;
    lanes::share(shape.rows, 4 * joined.numel(), [&](int64_t begin, int64_t end) {
      body(shape, joined.const_data_ptr<float>(), outputs[0].data_ptr<float>(), outputs[1].data_ptr<float>(),
           outputs[2].data_ptr<float>(), begin, end);
    });
    if (is_wanted({joined})) {
      auto node = made<SplitBackward>();
      node->shape = shape;
      node->cosines = *from->cosines;
      node->sines = *from->sines;
      follow(outputs, node, {joined});
    }
    *queries = new at::Tensor(outputs[0]);
    *keys = new at::Tensor(outputs[1]);
    *values = new at::Tensor(outputs[2]);
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

int slhf_trained_gate(Handle joined, at::Tensor **y, char *message, size_t capacity) {
  if (slhf_gate(joined, y, message, capacity) != 0) return 1;
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    if (!is_wanted({*joined})) return;
    auto node = made<GateBackward>();
    node->joined = SavedVariable(*joined, false);
    std::vector<at::Tensor> outputs{**y};
    follow(outputs, node, {*joined});
#endif
  });
}

int slhf_trained_norm(Handle x, Handle weight, double epsilon, at::Tensor **y, char *message, size_t capacity) {
  if (slhf_rms_norm(x, weight, epsilon, y, message, capacity) != 0) return 1;
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    if (!is_wanted({*x})) return;
    auto node = made<NormBackward>();
    node->x = SavedVariable(*x, false);
    node->weight = *weight;
    node->epsilon = static_cast<float>(epsilon);
    std::vector<at::Tensor> outputs{**y};
    follow(outputs, node, {*x});
#endif
  });
}

}  // extern "C"
