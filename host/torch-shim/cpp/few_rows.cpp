// y = x Wᵀ for few rows of x: what decoding does. The time is that of reading W once from memory, and the BLAS that
// libtorch is built with comes nowhere near it on processors of another maker.

#include <ATen/Functions.h>
#include <ATen/record_function.h>

#include <vector>

#include "guard.h"
#include "lanes.h"

#if SLHF_LANES

namespace {

using lanes::Register;

struct Product {
  const float *x;       // [rows, inputs]
  const float *weight;  // [outputs, inputs]
  const float *add;     // [rows, outputs], or none
  float *y;             // [rows, outputs]
  int64_t rows, inputs, outputs;
};

SLHF_INLINE void put(const Product &p, int64_t row, int64_t output, float total) {
  const int64_t at = row * p.outputs + output;
  p.y[at] = p.add ? total + p.add[at] : total;
}

// ROWS rows of x with one row of W, UNROLL registers of it at a time: W is read as one stream.
template <int BYTES, int ROWS, int UNROLL>
SLHF_INLINE void stream(const Product &p, int64_t row, int64_t output) {
  using Vector = typename Register<BYTES>::Float;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  const float *weight = p.weight + output * p.inputs;
  const float *x = p.x + row * p.inputs;
  Vector sums[ROWS][UNROLL] = {};
  int64_t at = 0;
  for (; at + LANES * UNROLL <= p.inputs; at += LANES * UNROLL) {
    for (int u = 0; u < UNROLL; ++u) {
      const Vector w = lanes::load<BYTES>(weight + at + u * LANES);
      for (int r = 0; r < ROWS; ++r)
        sums[r][u] += w * lanes::load<BYTES>(x + r * p.inputs + at + u * LANES);
    }
  }
  for (int r = 0; r < ROWS; ++r) {
    Vector sum = sums[r][0];
    for (int u = 1; u < UNROLL; ++u) sum += sums[r][u];
    float total = lanes::total<BYTES>(sum);
    for (int64_t rest = at; rest < p.inputs; ++rest) total += weight[rest] * x[r * p.inputs + rest];
    put(p, row + r, output, total);
  }
}

// ROWS rows of x with OUTPUTS rows of W: every load serves several products.
template <int BYTES, int ROWS, int OUTPUTS>
SLHF_INLINE void tile(const Product &p, int64_t row, int64_t output) {
  using Vector = typename Register<BYTES>::Float;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  const float *weight = p.weight + output * p.inputs;
  const float *x = p.x + row * p.inputs;
  Vector sums[OUTPUTS][ROWS] = {};
  int64_t at = 0;
  for (; at + LANES <= p.inputs; at += LANES) {
    Vector w[OUTPUTS];
    for (int o = 0; o < OUTPUTS; ++o) w[o] = lanes::load<BYTES>(weight + o * p.inputs + at);
    for (int r = 0; r < ROWS; ++r) {
      const Vector value = lanes::load<BYTES>(x + r * p.inputs + at);
      for (int o = 0; o < OUTPUTS; ++o) sums[o][r] += w[o] * value;
    }
  }
  for (int o = 0; o < OUTPUTS; ++o) {
    for (int r = 0; r < ROWS; ++r) {
      float total = lanes::total<BYTES>(sums[o][r]);
      for (int64_t rest = at; rest < p.inputs; ++rest)
        total += weight[o * p.inputs + rest] * x[r * p.inputs + rest];
      put(p, row + r, output + o, total);
    }
  }
}

// All rows with OUTPUTS rows of W, which stay in the nearest cache meanwhile.
template <int BYTES, int OUTPUTS>
SLHF_INLINE void tiles(const Product &p, int64_t output) {
  int64_t row = 0;
  for (; row + 4 <= p.rows; row += 4) tile<BYTES, 4, OUTPUTS>(p, row, output);
  switch (p.rows - row) {
    case 3: tile<BYTES, 3, OUTPUTS>(p, row, output); break;
    case 2: tile<BYTES, 2, OUTPUTS>(p, row, output); break;
    case 1: tile<BYTES, 1, OUTPUTS>(p, row, output); break;
    default: break;
  }
}

// Outputs [begin, end) of all rows.
template <int BYTES, int OUTPUTS>
SLHF_INLINE void multiply(const Product &p, int64_t begin, int64_t end) {
  switch (p.rows) {
    case 1:
      for (int64_t output = begin; output < end; ++output) stream<BYTES, 1, 4>(p, 0, output);
      return;
    case 2:
      for (int64_t output = begin; output < end; ++output) stream<BYTES, 2, 2>(p, 0, output);
      return;
    case 3:
      for (int64_t output = begin; output < end; ++output) stream<BYTES, 3, 2>(p, 0, output);
      return;
    default: break;
  }
  int64_t output = begin;
  for (; output + OUTPUTS <= end; output += OUTPUTS) tiles<BYTES, OUTPUTS>(p, output);
  for (; output < end; ++output) tiles<BYTES, 1>(p, output);
}

SLHF_512 void multiply_512(const Product &p, int64_t begin, int64_t end) {
  multiply<64, 6>(p, begin, end);
}

SLHF_256 void multiply_256(const Product &p, int64_t begin, int64_t end) {
  multiply<32, 3>(p, begin, end);
}

}  // namespace

#endif

extern "C" {

int slhf_has_lanes() {
#if SLHF_LANES
  return lanes::width() != lanes::Width::None;
#else
  return 0;
#endif
}

void slhf_narrow_lanes(int narrow) {
#if SLHF_LANES
  lanes::is_narrow() = narrow != 0;
#endif
}

// Rust has checked: f32 on the CPU, contiguous, x [rows, inputs], weight [outputs, inputs], add null or [rows, outputs].
int slhf_few_rows_linear(Handle x, Handle weight, Handle add, at::Tensor **y, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::few_rows_linear", std::vector<c10::IValue>());
    const int64_t rows = x->size(0), inputs = x->size(1), outputs = weight->size(0);
    at::Tensor result = at::empty({rows, outputs}, x->options());
    const Product product{x->const_data_ptr<float>(),
                          weight->const_data_ptr<float>(),
                          add ? add->const_data_ptr<float>() : nullptr,
                          result.data_ptr<float>(),
                          rows,
                          inputs,
                          outputs};
    const auto multiply = lanes::is_wide() ? multiply_512 : multiply_256;
    lanes::share(outputs, rows * inputs * outputs, [&](int64_t begin, int64_t end) { multiply(product, begin, end); });
    *y = new at::Tensor(std::move(result));
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

}  // extern "C"
