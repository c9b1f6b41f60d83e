// The products of packed.h over an `Isa`, which the file that includes this has declared in an unnamed namespace: registers
// of LANES floats and what is done with them.

namespace {

using packed::BLOCK;
using packed::Codes;
using packed::Format;
using packed::PANEL;
using packed::SLAB;
using packed::Transposed;
using packed::TransposedPart;
using packed::Product;

using Float = Isa::Float;
using Int = Isa::Int;
constexpr int64_t LANES = Isa::LANES;
// Two registers of outputs are worked on at a time: a panel, or a half of one.
constexpr int64_t PART = 2 * LANES;
using packed::CHUNK;

#define ALWAYS __attribute__((always_inline)) inline

// How one kind of storage is read: the two registers of outputs that begin at `part`, input by input.
template <int CODES, int HIGH, int GROUP, bool MINIMA, bool WIDE>
struct Coded {
  static constexpr int64_t SCALE_BYTES = WIDE ? 4 : 2;
  static constexpr int64_t SCALES_BYTES = (BLOCK / GROUP) * PANEL * SCALE_BYTES;
  static constexpr int64_t CODES_AT = SCALES_BYTES * (MINIMA ? 2 : 1);
  static constexpr int64_t HIGH_AT = CODES_AT + BLOCK * PANEL * CODES / 8;
  static constexpr int64_t BYTES = HIGH_AT + BLOCK * PANEL * HIGH / 8;
  // Inputs of a dword of codes.
  static constexpr int INPUTS = 32 / CODES;

  static ALWAYS Float scale(const uint8_t *at, int64_t index) {
    return WIDE ? Isa::load(reinterpret_cast<const float *>(at) + index)
                : Isa::halves(reinterpret_cast<const uint16_t *>(at) + index);
  }

  // use(input, first register, second register) for the inputs of one block.
  template <typename Use>
  static ALWAYS void each(const Isa::Table &table, const uint8_t *block, int64_t part, const Use &use) {
    Float scales[2], minima[2];
    Int high[2];
    for (int dword = 0; dword < 32 / INPUTS; ++dword) {
      const int input = dword * INPUTS;
      if (input % GROUP == 0) {
        for (int p = 0; p < 2; ++p) {
          const int64_t index = (input / GROUP) * PANEL + part + p * LANES;
          scales[p] = scale(block, index);
          if (MINIMA) minima[p] = scale(block + SCALES_BYTES, index);
        }
      }
      if (HIGH && input % (32 / (HIGH ? HIGH : 1)) == 0) {
        const int64_t row = input / (32 / (HIGH ? HIGH : 1));
        for (int p = 0; p < 2; ++p)
          high[p] = Isa::dwords(block + HIGH_AT + (row * PANEL + part + p * LANES) * 4);
      }
      Int bits[2];
      for (int p = 0; p < 2; ++p)
        bits[p] = Isa::dwords(block + CODES_AT + (dword * PANEL + part + p * LANES) * 4);
      for (int j = 0; j < INPUTS; ++j) {
        Float w[2];
        for (int p = 0; p < 2; ++p) {
          Float code = CODES == 4 ? Isa::nibble(table, Isa::right(bits[p], 4 * j)) : Isa::signed_byte(bits[p], j);
          if (HIGH)
            code = Isa::add(code, Isa::high(table, Isa::right(high[p], HIGH * ((input + j) % (32 / (HIGH ? HIGH : 1))))));
          w[p] = Isa::mul(code, scales[p]);
          if (MINIMA) w[p] = Isa::add(w[p], minima[p]);
        }
        use(input + j, w[0], w[1]);
      }
    }
  }
};

template <bool BFLOAT>
struct Sixteen {
  static constexpr int64_t BYTES = BLOCK * PANEL * 2;

  template <typename Use>
  static ALWAYS void each(const Isa::Table &, const uint8_t *block, int64_t part, const Use &use) {
    const uint16_t *numbers = reinterpret_cast<const uint16_t *>(block) + part;
    for (int input = 0; input < BLOCK; ++input) {
      const uint16_t *at = numbers + input * PANEL;
      if (BFLOAT) use(input, Isa::bfloats(at), Isa::bfloats(at + LANES));
      else use(input, Isa::halves(at), Isa::halves(at + LANES));
    }
  }
};

struct Plain {
  static constexpr int64_t BYTES = BLOCK * PANEL * 4;

  template <typename Use>
  static ALWAYS void each(const Isa::Table &, const uint8_t *block, int64_t part, const Use &use) {
    const float *numbers = reinterpret_cast<const float *>(block) + part;
    for (int input = 0; input < BLOCK; ++input)
      use(input, Isa::load(numbers + input * PANEL), Isa::load(numbers + input * PANEL + LANES));
  }
};

// Adds what stands beside the product, and writes the result.
template <int ROWS>
ALWAYS void finish(const Product &p, int64_t panel, int64_t part, int64_t row, Float (&sums)[ROWS][2]) {
  if (p.low) {
    const float *raise = p.raise + panel * (p.end_rank - p.first_rank) * PANEL + part;
    for (int64_t rank = p.first_rank; rank < p.end_rank; ++rank, raise += PANEL) {
      const Float first = Isa::load(raise), second = Isa::load(raise + LANES);
      for (int r = 0; r < ROWS; ++r) {
        const Float low = Isa::all(p.low[(row + r) * p.ranks + rank]);
        sums[r][0] = Isa::fused(first, low, sums[r][0]);
        sums[r][1] = Isa::fused(second, low, sums[r][1]);
      }
    }
  }
  const int64_t output = panel * PANEL + part, column = p.first + output;
  if (output + PART <= p.outputs) {
    for (int r = 0; r < ROWS; ++r) {
      const int64_t at = (row + r) * p.width + column;
      for (int half = 0; half < 2; ++half) {
        Float sum = sums[r][half];
        if (p.bias) sum = Isa::add(sum, Isa::load(p.bias + column + half * LANES));
        if (p.add) sum = Isa::add(sum, Isa::load(p.add + at + half * LANES));
        Isa::store(p.y + at + half * LANES, sum);
      }
    }
    return;
  }
  for (int r = 0; r < ROWS; ++r) {
    float ends[PART];
    Isa::store(ends, sums[r][0]);
    Isa::store(ends + LANES, sums[r][1]);
    for (int64_t o = 0; o < p.outputs - output; ++o) {
      const int64_t at = (row + r) * p.width + column + o;
      float sum = ends[o];
      if (p.bias) sum += p.bias[column + o];
      if (p.add) sum += p.add[at];
      p.y[at] = sum;
    }
  }
}

// ROWS rows with one panel, whose weights are unpacked in registers.
template <typename Kind, int ROWS>
void fused(const Product &p, const Isa::Table &table, int64_t panel, int64_t row) {
  const int64_t blocks = p.inputs / BLOCK;
  for (int64_t part = 0; part < PANEL && panel * PANEL + part < p.outputs; part += PART) {
    Float sums[ROWS][2];
    for (int r = 0; r < ROWS; ++r) sums[r][0] = sums[r][1] = Isa::all(0.0f);
    const uint8_t *block = p.weight + panel * blocks * Kind::BYTES;
    const float *x = p.x + row * p.inputs;
    for (int64_t b = 0; b < blocks; ++b, block += Kind::BYTES, x += BLOCK) {
      Isa::fetch(block + 4 * Kind::BYTES, Kind::BYTES);
      Kind::each(table, block, part, [&](int input, Float first, Float second) __attribute__((always_inline)) {
        for (int r = 0; r < ROWS; ++r) {
          const Float value = Isa::all(x[r * p.inputs + input]);
          sums[r][0] = Isa::fused(first, value, sums[r][0]);
          sums[r][1] = Isa::fused(second, value, sums[r][1]);
        }
      });
    }
    finish<ROWS>(p, panel, part, row, sums);
  }
}

template <typename Kind, int ROWS>
struct Fused {
  using Run = void (*)(const Product &, const Isa::Table &, int64_t, int64_t);
  static Run of(int64_t rows) {
    return rows == ROWS ? static_cast<Run>(fused<Kind, ROWS>) : Fused<Kind, ROWS - 1>::of(rows);
  }
};
template <typename Kind>
struct Fused<Kind, 0> {
  using Run = void (*)(const Product &, const Isa::Table &, int64_t, int64_t);
  static Run of(int64_t) { return nullptr; }
};

// Few rows: each tile of them unpacks the panel anew, which costs less than to write it down.
template <typename Kind>
void few(const Product &p, int64_t begin, int64_t end) {
  const Isa::Table table(p.format);
  const int64_t tiles = (p.rows + Isa::FUSED_ROWS - 1) / Isa::FUSED_ROWS;
  for (int64_t panel = begin; panel < end; ++panel) {
    for (int64_t t = 0, row = 0; t < tiles; ++t) {
      const int64_t next = p.rows * (t + 1) / tiles;
      Fused<Kind, Isa::FUSED_ROWS>::of(next - row)(p, table, panel, row);
      row = next;
    }
  }
}

// Inputs [from, to) of a panel into [inputs][32].
template <typename Kind>
void unpack(const Format &format, const uint8_t *panel, int64_t from, int64_t to, float *into) {
  const Isa::Table table(format);
  for (int64_t part = 0; part < PANEL; part += PART) {
    for (int64_t input = from; input < to; input += BLOCK) {
      float *rows = into + (input - from) * PANEL + part;
      Kind::each(table, panel + input / BLOCK * Kind::BYTES, part,
                 [&](int at, Float first, Float second) __attribute__((always_inline)) {
        Isa::store(rows + at * PANEL, first);
        Isa::store(rows + at * PANEL + LANES, second);
      });
    }
  }
}

// What rows meet `count` rows of 32 numbers with: each adds its next `count` inputs to its sums so far.
struct Meeting {
  const float *numbers;  // [count][32]
  int64_t count;
  const float *x;        // the first row's next input
  int64_t stride;        // from a row to the next
  bool begins, ends;     // whether these are a sum's first and last inputs
};

template <int ROWS>
void tile(const Product &p, const Meeting &m, int64_t panel, int64_t row, float *so_far) {
  for (int64_t part = 0; part < PANEL && panel * PANEL + part < p.outputs; part += PART) {
    Float sums[ROWS][2];
    float *kept = so_far + part;
    for (int r = 0; r < ROWS; ++r)
      for (int half = 0; half < 2; ++half)
        sums[r][half] = m.begins ? Isa::all(0.0f) : Isa::load(kept + r * PANEL + half * LANES);
    const float *x = m.x, *w = m.numbers + part;
    for (int64_t input = 0; input < m.count; ++input, w += PANEL, ++x) {
      const Float first = Isa::load(w), second = Isa::load(w + LANES);
      for (int r = 0; r < ROWS; ++r) {
        const Float value = Isa::all(x[r * m.stride]);
        sums[r][0] = Isa::fused(first, value, sums[r][0]);
        sums[r][1] = Isa::fused(second, value, sums[r][1]);
      }
    }
    if (m.ends) {
      finish<ROWS>(p, panel, part, row, sums);
      continue;
    }
    for (int r = 0; r < ROWS; ++r)
      for (int half = 0; half < 2; ++half) Isa::store(kept + r * PANEL + half * LANES, sums[r][half]);
  }
}

using Tile = void (*)(const Product &, const Meeting &, int64_t, int64_t, float *);

template <int ROWS>
struct Tiles : Tiles<ROWS - 1> {
  static Tile of(int64_t rows) { return rows == ROWS ? static_cast<Tile>(tile<ROWS>) : Tiles<ROWS - 1>::of(rows); }
};
template <>
struct Tiles<0> {
  static Tile of(int64_t) { return nullptr; }
};

// Rows [first, last) with what `meeting` says of the first of them.
void meet(const Product &p, Meeting meeting, int64_t panel, int64_t first, int64_t last, float *so_far) {
  const int64_t rows = last - first, tiles = (rows + Isa::TILE_ROWS - 1) / Isa::TILE_ROWS;
  const float *x = meeting.x;
  for (int64_t t = 0, row = 0; t < tiles; ++t) {
    // As even as they can be.
    const int64_t next = rows * (t + 1) / tiles;
    meeting.x = x + row * meeting.stride;
    Tiles<Isa::TILE_ROWS>::of(next - row)(p, meeting, panel, first + row, so_far + row * PANEL);
    row = next;
  }
}

// Rows [first, last): a chunk of the panel is unpacked once for all of them.
template <typename Kind>
void many(const Product &p, float *scratch, int64_t panel, int64_t first, int64_t last) {
  const uint8_t *weight = p.weight + panel * (p.inputs / BLOCK) * Kind::BYTES;
  for (int64_t from = 0; from < p.inputs; from += CHUNK) {
    const int64_t to = from + CHUNK < p.inputs ? from + CHUNK : p.inputs;
    unpack<Kind>(p.format, weight, from, to, scratch);
    const float *x = p.x + first * p.inputs + from;
    meet(p, {scratch, to - from, x, p.inputs, from == 0, to == p.inputs}, panel, first, last, scratch + CHUNK * PANEL);
  }
}

template <typename Kind>
void multiply_kind(const Product &p, float *scratch, int64_t begin, int64_t end) {
  if (p.rows <= 2 * Isa::FUSED_ROWS) return few<Kind>(p, begin, end);
  // Rows go slab by slab, so that they stay in the second cache while all panels meet them.
  const int64_t slabs = (p.rows + SLAB - 1) / SLAB;
  for (int64_t slab = 0; slab < slabs; ++slab) {
    const int64_t first = p.rows * slab / slabs, last = p.rows * (slab + 1) / slabs;
    for (int64_t panel = begin; panel < end; ++panel) many<Kind>(p, scratch, panel, first, last);
  }
}

template <typename Kind>
void unpack_kind(const Format &format, const uint8_t *weight, int64_t inputs, int64_t outputs, float *into,
                 int64_t panel) {
  float numbers[BLOCK * PANEL];
  const uint8_t *from = weight + panel * packed::blocks_of(inputs) * Kind::BYTES;
  const int64_t rows = outputs - panel * PANEL < PANEL ? outputs - panel * PANEL : PANEL;
  for (int64_t input = 0; input < inputs; input += BLOCK) {
    unpack<Kind>(format, from, input, input + BLOCK, numbers);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t at = 0; at < BLOCK && input + at < inputs; ++at)
        into[(panel * PANEL + row) * inputs + input + at] = numbers[at * PANEL + row];
  }
}

// call(kind) with the reader of a format.
template <typename Call>
ALWAYS void with_kind(const Format &f, const Call &call) {
  if (f.codes == Codes::Float) return call(Plain());
  if (f.codes == Codes::Half) return call(Sixteen<false>());
  if (f.codes == Codes::Bfloat) return call(Sixteen<true>());
  if (f.codes == Codes::Bits8) return f.wide_scales ? call(Coded<8, 0, 32, false, true>()) : call(Coded<8, 0, 32, false, false>());
  const bool wide = f.wide_scales;
  switch (f.high_bits) {
    case 0:
      if (f.has_minima) return wide ? call(Coded<4, 0, 32, true, true>()) : call(Coded<4, 0, 32, true, false>());
      return wide ? call(Coded<4, 0, 32, false, true>()) : call(Coded<4, 0, 32, false, false>());
    case 1:
      if (f.has_minima) return wide ? call(Coded<4, 1, 32, true, true>()) : call(Coded<4, 1, 32, true, false>());
      return wide ? call(Coded<4, 1, 32, false, true>()) : call(Coded<4, 1, 32, false, false>());
    default: return call(Coded<4, 2, 16, false, true>());
  }
}

// Outputs [from, from + count) of one block of inputs into [outputs][32].
template <typename Kind>
void unpack_outputs(const Transposed &t, const TransposedPart &part, int64_t panel, int64_t from, int64_t count, float *into) {
  float numbers[BLOCK * PANEL];
  const int64_t blocks = t.inputs / BLOCK;
  for (int64_t output = from; output < from + count; output += PANEL, into += PANEL * BLOCK) {
    const uint8_t *block = part.weight + (output / PANEL * blocks + panel) * Kind::BYTES;
    unpack<Kind>(part.format, block, 0, BLOCK, numbers);
    for (int64_t row = 0; row < BLOCK; row += LANES)
      for (int64_t column = 0; column < PANEL; column += LANES)
        Isa::transpose(numbers + row * PANEL + column, into + column * BLOCK + row);
  }
}

// Panels of 32 inputs: sums over the outputs of all parts.
void multiply_transposed(const Transposed &t, float *scratch, int64_t begin, int64_t end) {
  Product p{};
  p.add = t.add;
  p.y = t.y;
  p.outputs = p.width = t.inputs;
  const int64_t slabs = (t.rows + SLAB - 1) / SLAB;
  for (int64_t slab = 0; slab < slabs; ++slab) {
    const int64_t first = t.rows * slab / slabs, last = t.rows * (slab + 1) / slabs;
    for (int64_t panel = begin; panel < end; ++panel) {
      for (int64_t index = 0; index < t.count; ++index) {
        const TransposedPart &part = t.parts[index];
        for (int64_t from = 0; from < part.outputs; from += CHUNK) {
          const int64_t count = part.outputs - from < CHUNK ? part.outputs - from : CHUNK;
          with_kind(part.format, [&](auto kind) { unpack_outputs<decltype(kind)>(t, part, panel, from, count, scratch); });
          const bool begins = index == 0 && from == 0, ends = index + 1 == t.count && from + count == part.outputs;
          const float *x = t.x + first * t.width + part.first + from;
          meet(p, {scratch, count, x, t.width, begins, ends}, panel, first, last, scratch + CHUNK * PANEL);
        }
      }
    }
  }
}

}  // namespace

#define SLHF_PACKED(SUFFIX)                                                                                        \
  namespace packed {                                                                                               \
  void multiply_##SUFFIX(const Product &p, float *scratch, int64_t begin, int64_t end) {                           \
    with_kind(p.format, [&](auto kind) { multiply_kind<decltype(kind)>(p, scratch, begin, end); });                \
  }                                                                                                                \
  void multiply_transposed_##SUFFIX(const Transposed &t, float *scratch, int64_t begin, int64_t end) {             \
    multiply_transposed(t, scratch, begin, end);                                                                   \
  }                                                                                                                \
  void unpack_##SUFFIX(const Format &format, const uint8_t *weight, int64_t inputs, int64_t outputs, float *into,  \
                       int64_t panel) {                                                                            \
    with_kind(format, [&](auto kind) { unpack_kind<decltype(kind)>(format, weight, inputs, outputs, into, panel); }); \
  }                                                                                                                \
  }
