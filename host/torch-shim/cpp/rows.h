// Functions of one row in vector registers.
#pragma once

#include <cmath>

#include "lanes.h"

#if SLHF_LANES

namespace lanes {

// eˣ to two units in the last place, for x ≤ 88; below -87 it stays at e⁻⁸⁷. Range reduction by ln 2 in two parts and the
// polynomial of Cephes' expf.
template <int BYTES>
SLHF_INLINE typename Register<BYTES>::Float exponential(typename Register<BYTES>::Float x) {
  using Vector = typename Register<BYTES>::Float;
  using Int = typename Register<BYTES>::Int;
  const Vector low = Vector{} - 87.0f, high = Vector{} + 88.0f;
  x = x < low ? low : x;
  x = x > high ? high : x;
  const Vector magic = Vector{} + 12582912.0f;  // 1.5 · 2²³: adding it rounds to whole numbers
  const Vector whole = (x * 1.44269504088896341f + magic) - magic;
  const Vector rest = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;
  Vector sum = Vector{} + 1.9875691500e-4f;
  sum = sum * rest + 1.3981999507e-3f;
  sum = sum * rest + 8.3334519073e-3f;
  sum = sum * rest + 4.1665795894e-2f;
  sum = sum * rest + 1.6666665459e-1f;
  sum = sum * rest + 5.0000001201e-1f;
  sum = sum * (rest * rest) + rest + 1.0f;
  const Int power = (__builtin_convertvector(whole, Int) + 127) << 23;
  return sum * reinterpret_cast<Vector>(power);
}

template <int BYTES>
SLHF_INLINE float exponential_of_one(float x) {
  return exponential<BYTES>(typename Register<BYTES>::Float{} + x)[0];
}

// y = x / √(mean x² + ε) ⊙ weight
template <int BYTES>
SLHF_INLINE void norm(const float *x, const float *weight, float *y, int64_t width, float epsilon) {
  constexpr int64_t LANES = Register<BYTES>::LANES;
  typename Register<BYTES>::Float squares = {};
  int64_t at = 0;
  for (; at + LANES <= width; at += LANES) squares += load<BYTES>(x + at) * load<BYTES>(x + at);
  float sum = lanes::total<BYTES>(squares);
  for (; at < width; ++at) sum += x[at] * x[at];
  const float scale = 1.0f / std::sqrt(sum / static_cast<float>(width) + epsilon);
  for (at = 0; at + LANES <= width; at += LANES)
    store<BYTES>(y + at, load<BYTES>(x + at) * scale * load<BYTES>(weight + at));
  for (; at < width; ++at) y[at] = x[at] * scale * weight[at];
}

}  // namespace lanes

#endif
