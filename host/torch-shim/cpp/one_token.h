// What a decoder's layer does beside its products, for one new token a row.
#pragma once

#include <cstdint>

#include "guard.h"

struct SlhfAttention {
  Handle joined, cosines, sines, query_norm, key_norm, keys, values, mask;
  double norm_epsilon;
  int64_t heads, pairs, size, cursor;
};

namespace one_token {

struct Norm {
  const float *x, *weight;
  float *y;
  int64_t width;
  float epsilon;
};

// silu(first half) ⊙ second half of rows [2 · half]: columns [first, last) of rows [half].
struct Gate {
  const float *joined;
  float *y;
  int64_t half, first, last;
};

struct Attention {
  const float *joined;                    // [rows, (heads + 2 · pairs) · size]: queries, keys, values
  const float *cosines, *sines;           // [rows, size]; the sines' first half negated
  const float *query_norm, *key_norm;     // [size], or none
  float *keys, *values;                   // [≥ rows, pairs, capacity, size]
  const float *mask;                      // [≥ rows, capacity]: 0, or -∞ where a slot is not the row's
  float *y;                               // [rows, heads · size]
  int64_t heads, pairs, size, capacity, cursor;
  float epsilon;
};

// Where an attention reads and writes.
struct Place {
  const float *joined;
  float *y;
};

Attention attention_of(const SlhfAttention &from, Place place);

inline int64_t operations_of(const Attention &a, int64_t rows) { return 2 * rows * a.heads * a.size * (a.cursor + 1); }

// Rows [begin, end).
void norms(const Norm &, int64_t begin, int64_t end);
void gates(const Gate &, int64_t begin, int64_t end);
// [begin, end) of rows · pairs.
void attend(const Attention &, int64_t begin, int64_t end);

}  // namespace one_token
