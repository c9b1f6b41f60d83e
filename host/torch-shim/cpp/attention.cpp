// Causal attention of whole sequences, with gradients: queries share keys and values in groups, and nothing is repeated, turned
// or masked in memory. How long libtorch's own takes: docs/benchmarks.md. A sequence may be a tree of texts: what a token sees is
// then in several runs.
//
// A thread takes a sequence's keys with all queries that look at them, block of queries by block. Sums run over keys (and in
// gradients over queries) one by one: a token's result depends neither on how many sequences there are, nor on what follows it.

#include <ATen/Functions.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "guard.h"
#include "lanes.h"
#include "node.h"
#include "rows.h"

struct SlhfCausal {
  Handle queries;      // [sequences · length, heads, size]
  Handle keys, values; // [sequences · length, pairs, size]
  const int64_t *lengths;  // of each sequence, without padding
  int64_t sequences, length;
  int64_t window;      // keys that a query sees, its own included; 0: all up to its own
  // Of trees: the keys that token t sees are runs[firsts[t]] to runs[firsts[t + 1]], without it; null: as `window` says.
  const int64_t *runs, *firsts;
};

#if SLHF_LANES

namespace {

using lanes::load;
using lanes::Register;
using lanes::store;

// Columns of scratch come in whole pairs of the widest registers.
constexpr int64_t COLUMNS = 32;
int64_t whole(int64_t columns) { return (columns + COLUMNS - 1) / COLUMNS * COLUMNS; }
// Queries of a block: their scores stay in the second cache up to some thousand keys.
constexpr int64_t BLOCK = 48;

struct Shape {
  int64_t length, heads, pairs, size;
  float scale;
  int64_t group() const { return heads / pairs; }
};

// Keys [begin, end) of a sequence.
struct Run {
  int64_t begin, end;
};

// What the tokens of all sequences see: runs of keys of their own sequence, ascending. Padding sees nothing.
class Sight {
 public:
  Sight(const SlhfCausal &from, int64_t tokens) {
    firsts_.reserve(static_cast<size_t>(tokens) + 1);
    if (from.runs) {
      firsts_.assign(from.firsts, from.firsts + tokens + 1);
      runs_.resize(static_cast<size_t>(firsts_.back()));
      std::memcpy(runs_.data(), from.runs, runs_.size() * sizeof(Run));
      return;
    }
    for (int64_t sequence = 0; sequence < from.sequences; ++sequence) {
      for (int64_t at = 0; at < from.length; ++at) {
        firsts_.push_back(static_cast<int64_t>(runs_.size()));
        const int64_t begin = from.window > 0 ? std::max<int64_t>(0, at - from.window + 1) : 0;
        if (at < from.lengths[sequence]) runs_.push_back({begin, at + 1});
      }
    }
    firsts_.push_back(static_cast<int64_t>(runs_.size()));
  }
  // A token, counted over all sequences, sees [begin(token), end(token)), at least one run.
  const Run *begin(int64_t token) const { return runs_.data() + firsts_[static_cast<size_t>(token)]; }
  const Run *end(int64_t token) const { return runs_.data() + firsts_[static_cast<size_t>(token) + 1]; }

 private:
  std::vector<Run> runs_;
  std::vector<int64_t> firsts_;
};

// a[row][inner], anywhere.
struct Left {
  const float *numbers;
  int64_t row, inner;
};

// [rows][stride]
struct Matrix {
  float *numbers;
  int64_t stride;
};

// Rows of a tile whose sums stay in registers.
template <int BYTES>
constexpr int ROWS = BYTES == 64 ? 12 : 6;

template <int BYTES, int COUNT, bool ADDS>
SLHF_INLINE void tile(Left a, Matrix b, int64_t inner, Matrix c) {
  using Vector = typename Register<BYTES>::Float;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  Vector sums[COUNT][2];
  for (int r = 0; r < COUNT; ++r)
    for (int half = 0; half < 2; ++half)
      sums[r][half] = ADDS ? load<BYTES>(c.numbers + r * c.stride + half * LANES) : Vector{};
  const float *x = a.numbers, *w = b.numbers;
  for (int64_t at = 0; at < inner; ++at, x += a.inner, w += b.stride) {
    const Vector first = load<BYTES>(w), second = load<BYTES>(w + LANES);
    for (int r = 0; r < COUNT; ++r) {
      const float value = x[r * a.row];
      sums[r][0] += value * first;
      sums[r][1] += value * second;
    }
  }
  for (int r = 0; r < COUNT; ++r)
    for (int half = 0; half < 2; ++half) store<BYTES>(c.numbers + r * c.stride + half * LANES, sums[r][half]);
}

template <int BYTES, int COUNT, bool ADDS>
struct Tiles {
  static SLHF_INLINE void run(int64_t rows, Left a, Matrix b, int64_t inner, Matrix c) {
    if (rows == COUNT) tile<BYTES, COUNT, ADDS>(a, b, inner, c);
    else Tiles<BYTES, COUNT - 1, ADDS>::run(rows, a, b, inner, c);
  }
};
template <int BYTES, bool ADDS>
struct Tiles<BYTES, 0, ADDS> {
  static SLHF_INLINE void run(int64_t, Left, Matrix, int64_t, Matrix) {}
};

// c = a · b (+ c): [rows, inner] · [inner, columns], columns whole.
template <int BYTES, bool ADDS>
SLHF_INLINE void product(int64_t rows, Left a, int64_t inner, Matrix b, int64_t columns, Matrix c) {
  constexpr int64_t WIDE = 2 * Register<BYTES>::LANES;
  const int64_t tiles = (rows + ROWS<BYTES> - 1) / ROWS<BYTES>;
  for (int64_t column = 0; column < columns; column += WIDE) {
    for (int64_t t = 0, row = 0; t < tiles; ++t) {
      const int64_t next = rows * (t + 1) / tiles;
      Tiles<BYTES, ROWS<BYTES>, ADDS>::run(next - row, {a.numbers + row * a.row, a.row, a.inner},
                                           {b.numbers + column, b.stride}, inner,
                                           {c.numbers + row * c.stride + column, c.stride});
      row = next;
    }
  }
}

// Numbers of this thread, of whatever was there before: fresh memory would be faulted in for every head.
class Scratch {
 public:
  explicit Scratch(int64_t numbers) {
    thread_local std::vector<float> kept;
    if (kept.size() < static_cast<size_t>(numbers)) kept.resize(static_cast<size_t>(numbers));
    next_ = kept.data();
  }
  Matrix take(int64_t rows, int64_t stride) {
    const Matrix taken{next_, stride};
    next_ += rows * stride;
    return taken;
  }
  Matrix zeros(int64_t rows, int64_t stride) {
    const Matrix taken = take(rows, stride);
    std::fill_n(taken.numbers, rows * stride, 0.0f);
    return taken;
  }

 private:
  float *next_;
};

// Rows of a head, `count` of them from `from` on, each `size` numbers, `stride` apart: side by side, or each a column.
void copy_rows(const float *from, int64_t stride, int64_t count, int64_t size, Matrix to) {
  for (int64_t row = 0; row < count; ++row)
    std::memcpy(to.numbers + row * to.stride, from + row * stride, static_cast<size_t>(size) * 4);
}

// The columns that are left are zeros.
void copy_columns(const float *from, int64_t stride, int64_t count, int64_t size, Matrix to) {
  for (int64_t at = 0; at < size; ++at) {
    float *into = to.numbers + at * to.stride;
    for (int64_t row = 0; row < count; ++row) into[row] = from[row * stride + at];
    std::fill(into + count, into + to.stride, 0.0f);
  }
}

// One sequence's tokens [start, start + tokens) and one head of keys.
struct Item {
  int64_t start, tokens, pair;
};

// Queries [first, first + count) of a sequence and the keys [low, high) that any of them sees.
struct Block {
  int64_t first, count, low, high;
  Block(const Sight &sight, const Item &item, int64_t first) : first(first), count(std::min(BLOCK, item.tokens - first)) {
    low = item.tokens, high = 0;
    for (int64_t token = item.start + first; token < item.start + first + count; ++token) {
      low = std::min(low, sight.begin(token)->begin);
      high = std::max(high, (sight.end(token) - 1)->end);
    }
    low = low / COLUMNS * COLUMNS;
  }
  int64_t columns() const { return whole(high - low); }
};

// scores[key] becomes exp(scale · score − shift) of the keys in [from, to); their sum.
template <int BYTES>
SLHF_INLINE float exponentials(float *scores, float scale, float shift, int64_t from, int64_t to) {
  using Vector = typename Register<BYTES>::Float;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  Vector sums = {};
  float before = 0;
  int64_t at = from;
  for (; at < to && at % LANES != 0; ++at) {
    scores[at] = lanes::exponential_of_one<BYTES>(scale * scores[at] - shift);
    before += scores[at];
  }
  for (; at + LANES <= to; at += LANES) {
    const Vector share = lanes::exponential<BYTES>(scale * load<BYTES>(scores + at) - shift);
    store<BYTES>(scores + at, share);
    sums += share;
  }
  for (; at < to; ++at) {
    scores[at] = lanes::exponential_of_one<BYTES>(scale * scores[at] - shift);
    before += scores[at];
  }
  return before + lanes::total<BYTES>(sums);
}

// Likewise of the keys that a token sees, and 0 of the others in the block.
template <int BYTES>
SLHF_INLINE float exponentials_of(const Sight &sight, int64_t token, const Block &block, float *scores, float scale, float shift) {
  float sum = 0;
  int64_t done = 0;
  for (const Run *run = sight.begin(token); run != sight.end(token); ++run) {
    const int64_t from = run->begin - block.low, to = run->end - block.low;
    std::fill(scores + done, scores + from, 0.0f);
    sum += exponentials<BYTES>(scores, scale, shift, from, to);
    done = to;
  }
  std::fill(scores + done, scores + block.columns(), 0.0f);
  return sum;
}

float largest_of(const Sight &sight, int64_t token, const Block &block, const float *scores) {
  const Run *run = sight.begin(token);
  float largest = scores[run->begin - block.low];
  for (; run != sight.end(token); ++run)
    largest = std::max(largest, *std::max_element(scores + run->begin - block.low, scores + run->end - block.low));
  return largest;
}

struct Forth {
  const float *queries, *keys, *values;
  float *y, *logs;  // [tokens, heads, size]; log Σ exp of each query's scores, [tokens, heads]
  const Sight *sight;
};

template <int BYTES>
SLHF_INLINE void forth(const Shape &s, const Forth &f, const Item &item) {
  const int64_t columns = whole(item.tokens), width = whole(s.size), query = s.heads * s.size, key = s.pairs * s.size;
  Scratch scratch(s.size * columns + item.tokens * width + BLOCK * (columns + width));
  const Matrix keys = scratch.take(s.size, columns), values = scratch.take(item.tokens, width);
  const Matrix scores = scratch.take(BLOCK, columns), sums = scratch.take(BLOCK, width);
  const int64_t of_keys = (item.start * s.pairs + item.pair) * s.size;
  copy_columns(f.keys + of_keys, key, item.tokens, s.size, keys);
  copy_rows(f.values + of_keys, key, item.tokens, s.size, values);
  for (int64_t head = item.pair * s.group(); head < (item.pair + 1) * s.group(); ++head) {
    for (int64_t first = 0; first < item.tokens; first += BLOCK) {
      const Block block(*f.sight, item, first);
      const int64_t token = item.start + first;
      const Left from{f.queries + token * query + head * s.size, query, 1};
      product<BYTES, false>(block.count, from, s.size, {keys.numbers + block.low, columns}, block.columns(), scores);
      float totals[BLOCK];
      for (int64_t row = 0; row < block.count; ++row) {
        float *own = scores.numbers + row * columns;
        const float largest = s.scale * largest_of(*f.sight, token + row, block, own);
        totals[row] = exponentials_of<BYTES>(*f.sight, token + row, block, own, s.scale, largest);
        f.logs[(token + row) * s.heads + head] = largest + std::log(totals[row]);
      }
      const Left shares{scores.numbers, columns, 1};
      product<BYTES, false>(block.count, shares, block.high - block.low, {values.numbers + block.low * width, width}, width, sums);
      for (int64_t row = 0; row < block.count; ++row) {
        float *y = f.y + (token + row) * query + head * s.size;
        const float *sum = sums.numbers + row * width, factor = 1.0f / totals[row];
        for (int64_t at = 0; at < s.size; ++at) y[at] = sum[at] * factor;
      }
    }
  }
}

struct Back {
  Forth forth;
  const float *dy;
  float *dqueries, *dkeys, *dvalues;
};

template <int BYTES>
SLHF_INLINE void back(const Shape &s, const Back &b, const Item &item) {
  using Vector = typename Register<BYTES>::Float;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  const Forth &f = b.forth;
  const int64_t columns = whole(item.tokens), width = whole(s.size), query = s.heads * s.size, key = s.pairs * s.size;
  Scratch scratch(2 * s.size * columns + 3 * item.tokens * width + BLOCK * (2 * columns + 3 * width));
  const Matrix keys_across = scratch.take(s.size, columns), values_across = scratch.take(s.size, columns);
  const Matrix keys = scratch.take(item.tokens, width);
  const Matrix dkeys = scratch.zeros(item.tokens, width), dvalues = scratch.zeros(item.tokens, width);
  const Matrix shares = scratch.take(BLOCK, columns), slopes = scratch.take(BLOCK, columns);
  const Matrix queries = scratch.take(BLOCK, width), dy = scratch.take(BLOCK, width), dqueries = scratch.take(BLOCK, width);
  const int64_t of_keys = (item.start * s.pairs + item.pair) * s.size;
  copy_columns(f.keys + of_keys, key, item.tokens, s.size, keys_across);
  copy_columns(f.values + of_keys, key, item.tokens, s.size, values_across);
  copy_rows(f.keys + of_keys, key, item.tokens, s.size, keys);
  for (int64_t head = item.pair * s.group(); head < (item.pair + 1) * s.group(); ++head) {
    for (int64_t first = 0; first < item.tokens; first += BLOCK) {
      const Block block(*f.sight, item, first);
      const int64_t token = item.start + first, seen = block.high - block.low, own = token * query + head * s.size;
      copy_rows(f.queries + own, query, block.count, s.size, queries);
      copy_rows(b.dy + own, query, block.count, s.size, dy);
      product<BYTES, false>(block.count, {queries.numbers, width, 1}, s.size, {keys_across.numbers + block.low, columns},
                            block.columns(), shares);
      product<BYTES, false>(block.count, {dy.numbers, width, 1}, s.size, {values_across.numbers + block.low, columns},
                            block.columns(), slopes);
      for (int64_t row = 0; row < block.count; ++row) {
        float *share = shares.numbers + row * columns, *slope = slopes.numbers + row * columns;
        const float log = f.logs[(token + row) * s.heads + head];
        exponentials_of<BYTES>(*f.sight, token + row, block, share, s.scale, log);
        const float *y = f.y + own + row * query, *d = dy.numbers + row * width;
        float mean = 0;
        for (int64_t at = 0; at < s.size; ++at) mean += y[at] * d[at];
        for (int64_t at = 0; at < block.columns(); at += LANES) {
          const Vector of = load<BYTES>(share + at);
          store<BYTES>(slope + at, s.scale * of * (load<BYTES>(slope + at) - mean));
        }
      }
      product<BYTES, false>(block.count, {slopes.numbers, columns, 1}, seen, {keys.numbers + block.low * width, width}, width,
                            dqueries);
      for (int64_t row = 0; row < block.count; ++row)
        std::memcpy(b.dqueries + own + row * query, dqueries.numbers + row * width, static_cast<size_t>(s.size) * 4);
      product<BYTES, true>(seen, {slopes.numbers, 1, columns}, block.count, queries, width,
                           {dkeys.numbers + block.low * width, width});
      product<BYTES, true>(seen, {shares.numbers, 1, columns}, block.count, dy, width,
                           {dvalues.numbers + block.low * width, width});
    }
  }
  for (int64_t row = 0; row < item.tokens; ++row) {
    const int64_t at = of_keys + row * key;
    std::memcpy(b.dkeys + at, dkeys.numbers + row * width, static_cast<size_t>(s.size) * 4);
    std::memcpy(b.dvalues + at, dvalues.numbers + row * width, static_cast<size_t>(s.size) * 4);
  }
}

SLHF_512 void forth_512(const Shape &s, const Forth &f, const Item &item) { forth<64>(s, f, item); }
SLHF_256 void forth_256(const Shape &s, const Forth &f, const Item &item) { forth<32>(s, f, item); }
SLHF_512 void back_512(const Shape &s, const Back &b, const Item &item) { back<64>(s, b, item); }
SLHF_256 void back_256(const Shape &s, const Back &b, const Item &item) { back<32>(s, b, item); }

// call(item) for every sequence and head of keys.
template <typename Call>
void each(const Shape &s, const std::vector<int64_t> &lengths, const Call &call) {
  int64_t squares = 0;
  for (const int64_t tokens : lengths) squares += tokens * tokens;
  const int64_t items = static_cast<int64_t>(lengths.size()) * s.pairs;
  lanes::share(items, squares * s.heads * s.size, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t sequence = index / s.pairs;
      call(Item{sequence * s.length, lengths[static_cast<size_t>(sequence)], index % s.pairs});
    }
  });
}

struct AttentionBackward : torch::autograd::Node {
  Shape shape{};
  std::vector<int64_t> lengths;
  std::shared_ptr<const Sight> sight;
  torch::autograd::SavedVariable queries, keys, values;
  at::Tensor y, logs;

  std::string name() const override { return "CausalAttentionBackward"; }

  void release_variables() override {
    queries.reset_data();
    keys.reset_data();
    values.reset_data();
    y.reset();
    logs.reset();
  }

  torch::autograd::variable_list apply(torch::autograd::variable_list &&gradients) override {
    if (!gradients[0].defined()) return {at::Tensor(), at::Tensor(), at::Tensor()};
    at::NoGradGuard no_grad;
    const at::Tensor dy = gradients[0].contiguous(), q = queries.unpack(), k = keys.unpack(), v = values.unpack();
    // Padding has no gradient.
    at::Tensor dq = at::zeros_like(q), dk = at::zeros_like(k), dv = at::zeros_like(v);
    const Back all{{q.const_data_ptr<float>(), k.const_data_ptr<float>(), v.const_data_ptr<float>(), y.data_ptr<float>(),
                    logs.data_ptr<float>(), sight.get()},
                   dy.const_data_ptr<float>(), dq.data_ptr<float>(), dk.data_ptr<float>(), dv.data_ptr<float>()};
    const auto body = lanes::is_wide() ? back_512 : back_256;
    each(shape, lengths, [&](const Item &item) { body(shape, all, item); });
    return {dq, dk, dv};
  }
};

}  // namespace

#endif

extern "C" {

// Rust has checked every shape, that numbers are f32, contiguous and on the CPU, that no sequence is longer than `length`, that
// runs lie within their sequences and no token is without, and that the processor is one of ours. y is [sequences · length, heads · size], 0 where padding is.
int slhf_causal_attention(const SlhfCausal *from, at::Tensor **y, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::causal_attention", std::vector<c10::IValue>());
    const at::Tensor &queries = *from->queries, &keys = *from->keys, &values = *from->values;
    const Shape shape{from->length, queries.size(1), keys.size(1), queries.size(2),
                      1.0f / std::sqrt(static_cast<float>(queries.size(2)))};
    const std::vector<int64_t> lengths(from->lengths, from->lengths + from->sequences);
    const auto sight = std::make_shared<const Sight>(*from, queries.size(0));
    at::Tensor result = at::zeros({queries.size(0), shape.heads * shape.size}, queries.options().requires_grad(false));
    at::Tensor logs = at::empty({queries.size(0), shape.heads}, result.options());
    const Forth all{queries.const_data_ptr<float>(), keys.const_data_ptr<float>(), values.const_data_ptr<float>(),
                    result.data_ptr<float>(), logs.data_ptr<float>(), sight.get()};
    const auto body = lanes::is_wide() ? forth_512 : forth_256;
    each(shape, lengths, [&](const Item &item) { body(shape, all, item); });
    const torch::autograd::variable_list inputs{queries, keys, values};
    if (node::is_wanted(inputs)) {
      auto made = node::made<AttentionBackward>();
      made->shape = shape;
      made->lengths = lengths;
      made->sight = sight;
      made->queries = torch::autograd::SavedVariable(queries, false);
      made->keys = torch::autograd::SavedVariable(keys, false);
      made->values = torch::autograd::SavedVariable(values, false);
      made->y = result.detach();
      made->logs = logs;
      std::vector<at::Tensor> outputs{result};
      node::follow(outputs, made, inputs);
    }
    *y = new at::Tensor(std::move(result));
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

}  // extern "C"
