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

// Rows up to which every thread takes them through A by itself: to wait for the others costs more.
constexpr int64_t TWICE_ROWS = 4;

const float *numbers(Handle handle) { return handle ? handle->const_data_ptr<float>() : nullptr; }

// Rows [begin, end) of `from` through A, into rows of `low`.
void through_lower(const SlhfPackedProduct &from, float *low, int64_t begin, int64_t end) {
  if (begin >= end) return;
  const int64_t inputs = from.input->size(1);
  const Product product{{Codes::Float, 0, 32, 0, 0, 0}, from.lower->const_data_ptr<uint8_t>(),
                        numbers(from.input) + begin * inputs, nullptr, nullptr, nullptr, nullptr, 0, 0, 0,
                        low + begin * from.ranks, end - begin, inputs, from.ranks, 0, from.ranks};
  (lanes::is_wide() ? multiply_512 : multiply_256)(product, scratch(), 0, panels_of(from.ranks));
}

}  // namespace

at::Tensor in_blocks(const at::Tensor &x) {
  const int64_t lacking = blocks_of(x.size(1)) * BLOCK - x.size(1);
  return lacking == 0 ? x : at::constant_pad_nd(x, {0, lacking});
}

at::Tensor product(const SlhfPackedProduct &given, at::Tensor *low) {
  const at::Tensor input = in_blocks(*given.input);
  SlhfPackedProduct from = given;
  from.input = &input;
  const int64_t rows = from.input->size(0), inputs = from.input->size(1);
  const bool has_low = from.lower != nullptr;
  int64_t width = 0;
  for (size_t index = 0; index < from.count; ++index) width += from.parts[index].outputs;
  at::Tensor result = at::empty({rows, width}, from.input->options());
  const bool apart = low != nullptr || rows > TWICE_ROWS;
  at::Tensor shared;
  if (has_low && apart) {
    shared = at::empty({rows, from.ranks}, from.input->options());
    float *into = shared.data_ptr<float>();
    lanes::share(rows, rows * inputs * from.ranks,
                 [&](int64_t begin, int64_t end) { through_lower(from, into, begin, end); });
    if (low) *low = shared;
  }
  std::vector<Product> products;
  std::vector<int64_t> starts;
  int64_t first = 0, panels = 0;
  for (size_t index = 0; index < from.count; ++index) {
    const SlhfPackedPart &part = from.parts[index];
    products.push_back({part.format, part.bytes->const_data_ptr<uint8_t>(), numbers(from.input), numbers(from.bias),
                        numbers(from.add), nullptr, numbers(part.raise), part.first_rank, part.end_rank, from.ranks,
                        result.data_ptr<float>(), rows, inputs, part.outputs, first, width});
    starts.push_back(panels);
    first += part.outputs;
    panels += panels_of(part.outputs);
  }
  const auto multiply = lanes::is_wide() ? multiply_512 : multiply_256;
  lanes::share(panels, rows * inputs * width, [&](int64_t begin, int64_t end) {
    std::vector<float> own(has_low && !apart ? rows * from.ranks : 0);
    if (!own.empty() && begin < end) through_lower(from, own.data(), 0, rows);
    for (size_t index = 0; index < products.size(); ++index) {
      Product part = products[index];
      if (has_low && part.raise) part.low = apart ? shared.const_data_ptr<float>() : own.data();
      const int64_t start = starts[index], stop = start + panels_of(part.outputs);
      const int64_t lower = std::max(begin, start), upper = std::min(end, stop);
      if (lower < upper) multiply(part, scratch(), lower - start, upper - start);
    }
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
    if (begin < end) multiply(transposed, scratch(), begin, end);
  });
  return result;
}

}  // namespace packed

#endif
