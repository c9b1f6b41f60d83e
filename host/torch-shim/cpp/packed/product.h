// Products of tensors with packed weights.
#pragma once

#include <ATen/Functions.h>

#include <vector>

#include "../guard.h"
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
  Handle input, bias, add;  // input and add: none where a layer has them between its steps
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

// What a product reads and writes beside its weights.
struct Rows {
  const float *x;    // [rows, inputs]
  const float *add;  // [rows, outputs of all parts], or none
  float *y;          // likewise
  int64_t rows, inputs;  // inputs are whole blocks
};

// Rows up to which every thread takes them through A by itself: to wait for the others costs more.
constexpr int64_t TWICE_ROWS = 4;

// A product that threads share: rows through A first, then panels.
class Operation {
 public:
  Operation(const SlhfPackedProduct &from, const Rows &rows);

  // Of all parts.
  int64_t panels() const { return panels_; }
  // Of A; 0 where there is none.
  int64_t ranks() const { return lower_.outputs; }
  // Reads other rows, of the same shape.
  void read(const float *x);
  // Rows [begin, end) through A, into rows of `low` [rows, ranks].
  void through_lower(float *low, int64_t begin, int64_t end) const;
  // Panels [begin, end) of all rows; `low` is read where there is an A.
  void multiply(const float *low, int64_t begin, int64_t end) const;

 private:
  std::vector<Product> products_;
  std::vector<int64_t> starts_;
  Product lower_{};
  int64_t panels_ = 0, width_ = 0;
};

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
