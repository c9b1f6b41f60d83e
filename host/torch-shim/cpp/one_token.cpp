// The rest of a decoder's layer for one new token a row, each part one operator instead of a dozen: at one row an
// operator's own cost is what its arithmetic costs, and a token goes through hundreds.

#include <ATen/Functions.h>
#include <ATen/record_function.h>

#include <cmath>
#include <limits>
#include <vector>

#include "guard.h"
#include "lanes.h"
#include "one_token.h"
#include "rows.h"

#if SLHF_LANES

namespace {

using one_token::Attention;
using one_token::Gate;
using one_token::Norm;

using lanes::exponential;
using lanes::exponential_of_one;
using lanes::load;
using lanes::norm;
using lanes::Register;
using lanes::store;

template <int BYTES>
SLHF_INLINE void norms(const Norm &n, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row)
    norm<BYTES>(n.x + row * n.width, n.weight, n.y + row * n.width, n.width, n.epsilon);
}

SLHF_512 void norms_512(const Norm &n, int64_t begin, int64_t end) { norms<64>(n, begin, end); }
SLHF_256 void norms_256(const Norm &n, int64_t begin, int64_t end) { norms<32>(n, begin, end); }

template <int BYTES>
SLHF_INLINE void gates(const Gate &g, int64_t begin, int64_t end) {
  using Vector = typename Register<BYTES>::Float;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  for (int64_t row = begin; row < end; ++row) {
    const float *gate = g.joined + row * 2 * g.half, *up = gate + g.half;
    float *y = g.y + row * g.half;
    int64_t at = g.first;
    for (; at + LANES <= g.last; at += LANES) {
      const Vector x = load<BYTES>(gate + at);
      store<BYTES>(y + at, x / (1.0f + exponential<BYTES>(-x)) * load<BYTES>(up + at));
    }
    for (; at < g.last; ++at) y[at] = gate[at] / (1.0f + exponential_of_one<BYTES>(-gate[at])) * up[at];
  }
}

SLHF_512 void gates_512(const Gate &g, int64_t begin, int64_t end) { gates<64>(g, begin, end); }
SLHF_256 void gates_256(const Gate &g, int64_t begin, int64_t end) { gates<32>(g, begin, end); }

// Turned by its position: x ⊙ cos + (x₂, x₁) ⊙ sin, after a norm of its own where the model has one.
template <int BYTES>
SLHF_INLINE void turn(const Attention &a, const float *x, const float *weight, int64_t row, float *scratch, float *y) {
  const float *from = x;
  if (weight) {
    norm<BYTES>(x, weight, scratch, a.size, a.epsilon);
    from = scratch;
  }
  const float *cosines = a.cosines + row * a.size, *sines = a.sines + row * a.size;
  const int64_t half = a.size / 2;
  for (int64_t at = 0; at < half; ++at) {
    y[at] = from[at] * cosines[at] + from[at + half] * sines[at];
    y[at + half] = from[at + half] * cosines[at + half] + from[at] * sines[at + half];
  }
}

template <int BYTES>
SLHF_INLINE float dot(const float *x, const float *y, int64_t size) {
  constexpr int64_t LANES = Register<BYTES>::LANES;
  typename Register<BYTES>::Float sums = {};
  int64_t at = 0;
  for (; at + LANES <= size; at += LANES) sums += load<BYTES>(x + at) * load<BYTES>(y + at);
  float sum = lanes::total<BYTES>(sums);
  for (; at < size; ++at) sum += x[at] * y[at];
  return sum;
}

// y += factor · x
template <int BYTES>
SLHF_INLINE void add_scaled(float factor, const float *x, float *y, int64_t size) {
  constexpr int64_t LANES = Register<BYTES>::LANES;
  int64_t at = 0;
  for (; at + LANES <= size; at += LANES) store<BYTES>(y + at, load<BYTES>(y + at) + factor * load<BYTES>(x + at));
  for (; at < size; ++at) y[at] += factor * x[at];
}

// Scores to shares: eˢ / Σ eˢ, exactly 0 where masked.
template <int BYTES>
SLHF_INLINE void soften(float *scores, const float *mask, int64_t slots) {
  constexpr int64_t LANES = Register<BYTES>::LANES;
  float largest = -std::numeric_limits<float>::infinity();
  for (int64_t slot = 0; slot < slots; ++slot)
    if (mask[slot] == 0 && scores[slot] > largest) largest = scores[slot];
  int64_t slot = 0;
  for (; slot + LANES <= slots; slot += LANES)
    store<BYTES>(scores + slot, exponential<BYTES>(load<BYTES>(scores + slot) - largest));
  for (; slot < slots; ++slot) scores[slot] = exponential_of_one<BYTES>(scores[slot] - largest);
  float sum = 0;
  for (slot = 0; slot < slots; ++slot) {
    scores[slot] = mask[slot] == 0 ? scores[slot] : 0;
    sum += scores[slot];
  }
  for (slot = 0; slot < slots; ++slot) scores[slot] /= sum;
}

// [begin, end) of rows · pairs.
template <int BYTES>
SLHF_INLINE void attend(const Attention &a, float *scratch, int64_t begin, int64_t end) {
  const int64_t group = a.heads / a.pairs, slots = a.cursor + 1;
  float *query = scratch, *normed = query + a.size, *scores = normed + a.size;
  const float scale = 1.0f / std::sqrt(static_cast<float>(a.size));
  for (int64_t item = begin; item < end; ++item) {
    const int64_t row = item / a.pairs, pair = item % a.pairs;
    const float *joined = a.joined + row * (a.heads + 2 * a.pairs) * a.size;
    const float *mask = a.mask + row * a.capacity;
    float *keys = a.keys + item * a.capacity * a.size, *values = a.values + item * a.capacity * a.size;
    turn<BYTES>(a, joined + (a.heads + pair) * a.size, a.key_norm, row, normed, keys + a.cursor * a.size);
    std::copy_n(joined + (a.heads + a.pairs + pair) * a.size, a.size, values + a.cursor * a.size);
    for (int64_t head = pair * group; head < (pair + 1) * group; ++head) {
      turn<BYTES>(a, joined + head * a.size, a.query_norm, row, normed, query);
      for (int64_t slot = 0; slot < slots; ++slot)
        scores[slot] = scale * dot<BYTES>(query, keys + slot * a.size, a.size);
      soften<BYTES>(scores, mask, slots);
      float *y = a.y + (row * a.heads + head) * a.size;
      std::fill_n(y, a.size, 0.0f);
      for (int64_t slot = 0; slot < slots; ++slot)
        if (scores[slot] != 0) add_scaled<BYTES>(scores[slot], values + slot * a.size, y, a.size);
    }
  }
}

SLHF_512 void attend_512(const Attention &a, float *scratch, int64_t begin, int64_t end) {
  attend<64>(a, scratch, begin, end);
}
SLHF_256 void attend_256(const Attention &a, float *scratch, int64_t begin, int64_t end) {
  attend<32>(a, scratch, begin, end);
}

}  // namespace

namespace one_token {

void norms(const Norm &n, int64_t begin, int64_t end) { (lanes::is_wide() ? norms_512 : norms_256)(n, begin, end); }

void gates(const Gate &g, int64_t begin, int64_t end) { (lanes::is_wide() ? gates_512 : gates_256)(g, begin, end); }

void attend(const Attention &a, int64_t begin, int64_t end) {
  std::vector<float> scratch(2 * a.size + a.cursor + 1);
  (lanes::is_wide() ? attend_512 : attend_256)(a, scratch.data(), begin, end);
}

Attention attention_of(const SlhfAttention &from, Place place) {
  const auto numbers = [](Handle handle) { return handle ? handle->const_data_ptr<float>() : nullptr; };
  return {place.joined, numbers(from.cosines), numbers(from.sines), numbers(from.query_norm), numbers(from.key_norm),
          from.keys->data_ptr<float>(), from.values->data_ptr<float>(), numbers(from.mask), place.y, from.heads,
          from.pairs, from.size, from.keys->size(2), from.cursor, static_cast<float>(from.norm_epsilon)};
}

}  // namespace one_token

#endif

// Rust has checked every shape, that all is f32, contiguous and on the CPU, and that the processor is one of ours.
extern "C" {

int slhf_rms_norm(Handle x, Handle weight, double epsilon, at::Tensor **y, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::rms_norm", std::vector<c10::IValue>());
    at::Tensor result = at::empty_like(*x);
    const Norm n{x->const_data_ptr<float>(), weight->const_data_ptr<float>(), result.data_ptr<float>(), x->size(1),
                 static_cast<float>(epsilon)};
    lanes::share(x->size(0), x->numel(), [&](int64_t begin, int64_t end) { one_token::norms(n, begin, end); });
    *y = new at::Tensor(std::move(result));
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

int slhf_gate(Handle joined, at::Tensor **y, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::gate", std::vector<c10::IValue>());
    const int64_t rows = joined->size(0), half = joined->size(1) / 2;
    at::Tensor result = at::empty({rows, half}, joined->options());
    const Gate g{joined->const_data_ptr<float>(), result.data_ptr<float>(), half, 0, half};
    lanes::share(rows, 8 * rows * half, [&](int64_t begin, int64_t end) { one_token::gates(g, begin, end); });
    *y = new at::Tensor(std::move(result));
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

int slhf_attend_one(const SlhfAttention *from, at::Tensor **y, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::attend_one", std::vector<c10::IValue>());
    const int64_t rows = from->joined->size(0);
    at::Tensor result = at::empty({rows, from->heads * from->size}, from->joined->options());
    const Attention a = one_token::attention_of(*from, {from->joined->const_data_ptr<float>(), result.data_ptr<float>()});
    lanes::share(rows * a.pairs, one_token::operations_of(a, rows),
                 [&](int64_t begin, int64_t end) { one_token::attend(a, begin, end); });
    *y = new at::Tensor(std::move(result));
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

}  // extern "C"
