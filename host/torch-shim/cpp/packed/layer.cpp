// A decoder's whole layer over packed weights for one new token a row: one team of threads goes through all of it. As an
// operator each, its eight parts wait for the team eight times, and between them for this process.

#include <ATen/Functions.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "../guard.h"
#include "../lanes.h"
#include "../one_token.h"
#include "product.h"

struct SlhfLayer {
  Handle hidden, attention_norm, feed_forward_norm;
  const SlhfPackedProduct *query_key_value, *output, *gate_up, *down;
  const SlhfAttention *attention;
  double norm_epsilon;
};

#if SLHF_LANES

namespace packed {

namespace {

using one_token::Attention;
using one_token::Gate;
using one_token::Norm;

// Room for rows of numbers that one part of the layer leaves to the next, all in one tensor.
class Room {
 public:
  Room(const at::Tensor &like, std::initializer_list<int64_t> widths) : rows_(like.size(0)) {
    int64_t numbers = 0;
    for (const int64_t width : widths) numbers += rows_ * whole(width);
    tensor_ = at::empty({numbers}, like.options());
    next_ = tensor_.data_ptr<float>();
  }

  float *take(int64_t width) {
    float *taken = next_;
    next_ += rows_ * whole(width);
    return taken;
  }

 private:
  // Rows begin where cache lines do.
  static int64_t whole(int64_t width) { return (width + 15) / 16 * 16; }

  int64_t rows_;
  at::Tensor tensor_;
  float *next_;
};

// What a thread has for itself.
struct Own {
  std::vector<float> normed, low;
};

int64_t width_of(const SlhfPackedProduct &product) {
  int64_t width = 0;
  for (size_t index = 0; index < product.count; ++index) width += product.parts[index].outputs;
  return width;
}

class Layer {
 public:
  explicit Layer(const SlhfLayer &from)
      : rows_(from.hidden->size(0)), width_(from.hidden->size(1)),
        attended_width_(from.attention->heads * from.attention->size), half_(width_of(*from.gate_up) / 2),
        joined_width_(width_of(*from.query_key_value)), ranks_(most_ranks(from)),
        room_(*from.hidden, {width_, ranks_, joined_width_, attended_width_, width_, 2 * half_, half_}),
        normed_(room_.take(width_)), low_(room_.take(ranks_)), joined_(room_.take(joined_width_)),
        attended_(room_.take(attended_width_)), middle_(room_.take(width_)), gates_(room_.take(2 * half_)),
        gated_(room_.take(half_)), result_(at::empty_like(*from.hidden)), hidden_(from.hidden->const_data_ptr<float>()),
        attention_norm_(norm(from.attention_norm, hidden_, from.norm_epsilon)),
        feed_forward_norm_(norm(from.feed_forward_norm, middle_, from.norm_epsilon)),
        query_key_value_(*from.query_key_value, {nullptr, nullptr, joined_, rows_, width_}),
        output_(*from.output, {attended_, hidden_, middle_, rows_, attended_width_}),
        gate_up_(*from.gate_up, {nullptr, nullptr, gates_, rows_, width_}),
        down_(*from.down, {gated_, middle_, result_.data_ptr<float>(), rows_, half_}),
        attention_(one_token::attention_of(*from.attention, {joined_, attended_})) {}

  int64_t operations() const {
    const int64_t columns = query_key_value_.panels() + output_.panels() + gate_up_.panels() + down_.panels();
    return rows_ * width_ * columns * PANEL;
  }

  // By every thread of a team.
  void run(const lanes::Member &member) const {
    Own own;
    multiply(member, own, normed(query_key_value_, attention_norm_, member, own));
    member.wait();
    member.share(rows_ * attention_.pairs,
                 [&](int64_t begin, int64_t end) { one_token::attend(attention_, begin, end); });
    member.wait();
    multiply(member, own, output_);
    member.wait();
    gate(member, own, normed(gate_up_, feed_forward_norm_, member, own));
    member.wait();
    multiply(member, own, down_);
  }

  at::Tensor result() const { return result_; }

 private:
  static int64_t most_ranks(const SlhfLayer &from) {
    int64_t most = 0;
    for (const SlhfPackedProduct *product : {from.query_key_value, from.output, from.gate_up, from.down})
      most = std::max(most, product->lower ? product->ranks : 0);
    return most;
  }

  Norm norm(Handle weight, const float *x, double epsilon) const {
    return {x, weight->const_data_ptr<float>(), normed_, width_, static_cast<float>(epsilon)};
  }

  // Few rows are normed, and taken through A, by every thread for itself.
  bool by_each() const { return rows_ <= TWICE_ROWS; }

  // The product over rows that this norms first.
  Operation normed(Operation operation, Norm norm, const lanes::Member &member, Own &own) const {
    if (by_each()) {
      own.normed.resize(rows_ * width_);
      norm.y = own.normed.data();
      one_token::norms(norm, 0, rows_);
    } else {
      member.share(rows_, [&](int64_t begin, int64_t end) { one_token::norms(norm, begin, end); });
      member.wait();
    }
    operation.read(norm.y);
    return operation;
  }

  // What went through A: of this thread, or of all of them.
  const float *low(const lanes::Member &member, Own &own, const Operation &operation) const {
    if (operation.ranks() == 0) return nullptr;
    if (by_each()) {
      own.low.resize(rows_ * operation.ranks());
      operation.through_lower(own.low.data(), 0, rows_);
      return own.low.data();
    }
    float *shared = low_;
    member.share(rows_, [&](int64_t begin, int64_t end) { operation.through_lower(shared, begin, end); });
    member.wait();
    return shared;
  }

  void multiply(const lanes::Member &member, Own &own, const Operation &operation) const {
    const float *low = this->low(member, own, operation);
    member.share(operation.panels(), [&](int64_t begin, int64_t end) { operation.multiply(low, begin, end); });
  }

  // A thread takes the same panels of gate and up, so that it needs nobody else's for silu(gate) ⊙ up.
  void gate(const lanes::Member &member, Own &own, const Operation &operation) const {
    const float *low = this->low(member, own, operation);
    const int64_t panels = operation.panels() / 2;
    member.share(panels, [&](int64_t begin, int64_t end) {
      operation.multiply(low, begin, end);
      operation.multiply(low, panels + begin, panels + end);
      const Gate g{gates_, gated_, half_, begin * PANEL, std::min(half_, end * PANEL)};
      one_token::gates(g, 0, rows_);
    });
  }

  const int64_t rows_, width_, attended_width_, half_, joined_width_, ranks_;
  Room room_;
  float *const normed_, *const low_, *const joined_, *const attended_, *const middle_, *const gates_, *const gated_;
  const at::Tensor result_;
  const float *hidden_;
  const Norm attention_norm_, feed_forward_norm_;
  const Operation query_key_value_, output_, gate_up_, down_;
  const Attention attention_;
};

}  // namespace

}  // namespace packed

#endif

extern "C" {

// Rust has checked every shape, that numbers are f32, contiguous and on the CPU, that inputs are whole blocks, that gate and
// up are two parts of equal size, and that the processor is one of ours.
int slhf_decode_layer(const SlhfLayer *from, at::Tensor **y, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::decode_layer", std::vector<c10::IValue>());
    const packed::Layer layer(*from);
    lanes::together(layer.operations(), [&](const lanes::Member &member) { layer.run(member); });
    *y = new at::Tensor(layer.result());
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

}  // extern "C"
