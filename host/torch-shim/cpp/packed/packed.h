// A weight matrix as a file packs it, laid out for products with few rows, and the functions that multiply with it.
//
// Every weight is scale · (code − offset) + minimum, or a number of 16 bits, or a float. Outputs lie in panels of 32 and inputs in
// blocks of 32; a panel's blocks follow each other, so that a product reads its panel as one stream. A block holds
//
//   scales   [32 / group][32 outputs], half or float         (none of 16-bit numbers)
//   minima   likewise, where there are such
//   codes    of 4 bits: dwords [4][32 outputs], nibble j of dword t is input 8 t + j
//            of 8 bits: dwords [8][32 outputs], byte j of dword t is input 4 t + j, signed
//            of 16 bits, and of 32: halves, bfloats or floats [32 inputs][32 outputs]
//   high     a fifth bit: dwords [32 outputs], bit j is input j
//            a fifth and a sixth: dwords [2][32 outputs], bits 2 j of dword t are input 16 t + j
//
// Sums run over the inputs one by one, each term fused, whatever the number of rows and whatever the processor: a row's
// result depends on nothing but the row, and is the same to the bit with AVX2 and with AVX-512.
//
// No header of libtorch and none with templates may be read here: these files are compiled for one kind of processor, and
// what others share with them would be, too.
#pragma once

#include <stdint.h>

namespace packed {

constexpr int64_t PANEL = 32;
constexpr int64_t BLOCK = 32;
// Inputs that are unpacked together where rows are many: they and the rows they meet lie in the nearest cache.
constexpr int64_t CHUNK = 128;
// Rows that meet a panel before the next one is read.
constexpr int64_t SLAB = 192;

enum class Codes : int32_t { Bits4 = 4, Bits8 = 8, Half = 16, Bfloat = 17, Float = 32 };

// Blocks of so many inputs; those that the last one lacks are zero.
inline int64_t blocks_of(int64_t inputs) { return (inputs + BLOCK - 1) / BLOCK; }

struct Format {
  Codes codes;
  int32_t high_bits;   // 0, 1, 2
  int32_t group;       // inputs that share a scale: 32 or 16
  int32_t has_minima;  // 0, 1
  int32_t wide_scales; // 0: half, 1: float
  int32_t offset;      // what is taken from a code
};

inline bool is_coded(const Format &f) { return f.codes == Codes::Bits4 || f.codes == Codes::Bits8; }

// Of a weight that is a number.
inline int64_t number_bytes(const Format &f) { return f.codes == Codes::Float ? 4 : 2; }

// Bytes of one block of one panel.
inline int64_t block_bytes(const Format &f) {
  if (!is_coded(f)) return BLOCK * PANEL * number_bytes(f);
  const int64_t scales = (BLOCK / f.group) * PANEL * (f.wide_scales ? 4 : 2);
  return scales * (f.has_minima ? 2 : 1) + BLOCK * PANEL * static_cast<int64_t>(f.codes) / 8 +
         BLOCK * PANEL * f.high_bits / 8;
}

// One matrix times some rows. Its outputs are columns [first, first + outputs) of y, whose rows have `width` numbers:
// matrices side by side, each in its own format, make one product.
struct Product {
  Format format;
  const uint8_t *weight;
  const float *x;     // [rows, inputs]
  const float *bias;  // [width], or none
  const float *add;   // [rows, width], or none
  // A product of low rank beside it, or none: ranks [first_rank, end_rank) of low [rows, ranks] times raise
  // [panels, end_rank - first_rank, 32].
  const float *low, *raise;
  int64_t first_rank, end_rank, ranks;
  float *y;           // [rows, width]
  int64_t rows, inputs, outputs, first, width;  // inputs are whole blocks
};

// One matrix of several side by side, whose outputs are columns [first, first + outputs).
struct TransposedPart {
  Format format;
  const uint8_t *weight;
  int64_t outputs, first;
};

// The other way: y = x · [matrices below each other] + add.
struct Transposed {
  const TransposedPart *parts;
  int64_t count;
  const float *x;    // [rows, width]
  const float *add;  // [rows, inputs], or none
  float *y;          // [rows, inputs]
  int64_t rows, inputs, width;  // inputs are whole blocks
};

// Numbers of scratch that a thread needs.
constexpr int64_t SCRATCH_NUMBERS = (CHUNK + SLAB) * PANEL;

// Panels [begin, end) of all rows.
void multiply_512(const Product &, float *scratch, int64_t begin, int64_t end);
void multiply_256(const Product &, float *scratch, int64_t begin, int64_t end);

// Panels [begin, end) of 32 inputs, of all rows.
void multiply_transposed_512(const Transposed &, float *scratch, int64_t begin, int64_t end);
void multiply_transposed_256(const Transposed &, float *scratch, int64_t begin, int64_t end);

// Panel `panel` as numbers, into its rows of [outputs, inputs].
void unpack_512(const Format &, const uint8_t *weight, int64_t inputs, int64_t outputs, float *into, int64_t panel);
void unpack_256(const Format &, const uint8_t *weight, int64_t inputs, int64_t outputs, float *into, int64_t panel);

}  // namespace packed
