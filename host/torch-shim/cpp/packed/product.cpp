// The products of product.h, shared among libtorch's threads.

#include <algorithm>
#include <vector>

#include "../guard.h"
#include "../lanes.h"
#include "product.h"

#if SLHF_LANES

namespace packed {

namespace {

// Of this thread.
float *scratch() {
  thread_local std::vector<float> numbers(SCRATCH_NUMBERS);
  return numbers.data();
}

const float *numbers(Handle handle) { return handle ? handle->const_data_ptr<float>() : nullptr; }

}  // namespace

Operation::Operation(const SlhfPackedProduct &from, const Rows &rows) {
  const auto place = [&](const SlhfPackedPart &part, int64_t first) {
    return Product{part.format, part.bytes->const_data_ptr<uint8_t>(), rows.x, numbers(from.bias), rows.add, nullptr,
                   numbers(part.raise), part.first_rank, part.end_rank, from.ranks, rows.y, rows.rows, rows.inputs,
                   part.outputs, first, 0};
  };
  for (size_t index = 0; index < from.count; ++index) {
    products_.push_back(place(from.parts[index], width_));
    starts_.push_back(panels_);
    width_ += from.parts[index].outputs;
    panels_ += panels_of(from.parts[index].outputs);
  }
  for (Product &product : products_) product.width = width_;
  if (!from.lower) return;
  lower_ = Product{{Codes::Float, 0, 32, 0, 0, 0}, from.lower->const_data_ptr<uint8_t>(), rows.x, nullptr, nullptr,
                   nullptr, nullptr, 0, 0, 0, nullptr, rows.rows, rows.inputs, from.ranks, 0, from.ranks};
}

void Operation::read(const float *x) {
  for (Product &product : products_) product.x = x;
  lower_.x = x;
}

void Operation::through_lower(float *low, int64_t begin, int64_t end) const {
  Product product = lower_;
  product.x += begin * product.inputs;
  product.y = low + begin * product.outputs;
  product.rows = end - begin;
  (lanes::is_wide() ? multiply_512 : multiply_256)(product, scratch(), 0, panels_of(product.outputs));
}

void Operation::multiply(const float *low, int64_t begin, int64_t end) const {
  const auto multiply = lanes::is_wide() ? multiply_512 : multiply_256;
  for (size_t index = 0; index < products_.size(); ++index) {
    Product part = products_[index];
    if (part.raise) part.low = low;
    const int64_t start = starts_[index], stop = start + panels_of(part.outputs);
    const int64_t lower = std::max(begin, start), upper = std::min(end, stop);
    if (lower < upper) multiply(part, scratch(), lower - start, upper - start);
  }
}

at::Tensor in_blocks(const at::Tensor &x) {
  const int64_t lacking = blocks_of(x.size(1)) * BLOCK - x.size(1);
  return lacking == 0 ? x : at::constant_pad_nd(x, {0, lacking});
}

at::Tensor product(const SlhfPackedProduct &from, at::Tensor *low) {
  const at::Tensor input = in_blocks(*from.input);
  const int64_t rows = input.size(0), inputs = input.size(1);
  int64_t width = 0;
  for (size_t index = 0; index < from.count; ++index) width += from.parts[index].outputs;
  at::Tensor result = at::empty({rows, width}, input.options());
  const Operation operation(from, {numbers(&input), numbers(from.add), result.data_ptr<float>(), rows, inputs});
  const bool apart = low != nullptr || rows > TWICE_ROWS;
  at::Tensor shared;
  if (operation.ranks() > 0 && apart) {
    shared = at::empty({rows, from.ranks}, input.options());
    float *into = shared.data_ptr<float>();
    lanes::share(rows, rows * inputs * from.ranks,
                 [&](int64_t begin, int64_t end) { operation.through_lower(into, begin, end); });
    if (low) *low = shared;
  }
  lanes::share(operation.panels(), rows * inputs * width, [&](int64_t begin, int64_t end) {
    std::vector<float> own(apart ? 0 : rows * operation.ranks());
    if (!own.empty()) operation.through_lower(own.data(), 0, rows);
    operation.multiply(shared.defined() ? shared.const_data_ptr<float>() : own.data(), begin, end);
  });
  return result;
}

at::Tensor transposed_product(const at::Tensor &x, const Weight *weights, size_t count, int64_t inputs,
                              const at::Tensor *add) {
  if (inputs % BLOCK != 0) {
    const at::Tensor whole = add ? in_blocks(*add) : at::Tensor();
    const at::Tensor wide = transposed_product(x, weights, count, blocks_of(inputs) * BLOCK, add ? &whole : nullptr);
    return wide.narrow(1, 0, inputs).contiguous();
  }
  std::vector<TransposedPart> parts;
  int64_t first = 0;
  for (size_t index = 0; index < count; ++index) {
    const Weight &weight = weights[index];
    parts.push_back({weight.format, weight.bytes.const_data_ptr<uint8_t>(), weight.outputs, first});
    first += weight.outputs;
  }
  const int64_t rows = x.size(0);
  at::Tensor result = at::empty({rows, inputs}, x.options());
  const Transposed transposed{parts.data(), static_cast<int64_t>(count), x.const_data_ptr<float>(),
                              add ? add->const_data_ptr<float>() : nullptr, result.data_ptr<float>(), rows, inputs, first};
  const auto multiply = lanes::is_wide() ? multiply_transposed_512 : multiply_transposed_256;
  lanes::share(inputs / BLOCK, rows * inputs * first, [&](int64_t begin, int64_t end) {
    multiply(transposed, scratch(), begin, end);
  });
  return result;
}

}  // namespace packed

#endif
