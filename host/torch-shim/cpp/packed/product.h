// Products of tensors with packed weights.
#pragma once

#include <ATen/Functions.h>

#include "packed.h"

// One matrix of several side by side.
struct SlhfPackedPart {
  Handle bytes;       // u8
  packed::Format format;
  int64_t outputs;
  Handle raise;       // [panels, end_rank - first_rank, 32], or none
  int64_t first_rank, end_rank;  // of those of `lower`
};

struct SlhfPackedProduct {
  Handle input, bias, add;
  Handle lower;  // the packed floats of A, or none
  int64_t ranks;
  const SlhfPackedPart *parts;
  size_t count;
};

namespace packed {

// x [rows, n] with zeros up to whole blocks.
at::Tensor in_blocks(const at::Tensor &x);

inline int64_t panels_of(int64_t outputs) { return (outputs + PANEL - 1) / PANEL; }

// Packs [outputs, inputs] codes or numbers into bytes; scales and minima as the format says.
at::Tensor pack(const Format &format, const uint8_t *codes, const float *scales, const float *minima, int64_t outputs,
                int64_t inputs);

// [rows, outputs of all parts]. What went through A, [rows, ranks], is left in `low` where somebody wants it.
at::Tensor product(const SlhfPackedProduct &from, at::Tensor *low);

struct Weight {
  at::Tensor bytes;
  Format format;
  int64_t outputs;
};

// x [rows, outputs of all weights] · weights below each other [outputs, inputs] + add (or none): [rows, inputs].
at::Tensor transposed_product(const at::Tensor &x, const Weight *weights, size_t count, int64_t inputs,
                              const at::Tensor *add);

}  // namespace packed
