// Packs weights into the layout of packed.h, and hands products to the functions for this processor.

#include <ATen/Functions.h>
#include <ATen/record_function.h>

#include <vector>

#include "../guard.h"
#include "../lanes.h"
#include "product.h"

namespace {

using namespace packed;

#if SLHF_LANES

// IEEE's half of a float that is one exactly.
uint16_t half_bits(float value) { return c10::detail::fp16_ieee_from_fp32_value(value); }

template <typename Number>
void put(uint8_t *at, int64_t index, Number value) {
  std::memcpy(at + index * static_cast<int64_t>(sizeof(Number)), &value, sizeof(Number));
}

void put_scale(const Format &format, uint8_t *at, int64_t index, float value) {
  if (format.wide_scales) put(at, index, value);
  else put(at, index, half_bits(value));
}

struct Source {
  const uint8_t *codes;    // [outputs, inputs], or numbers of 16 or 32 bits
  const float *scales;     // [outputs, inputs / group]
  const float *minima;     // likewise, or none
  int64_t outputs, inputs;
};

// One block of one output; `lane` is its place in the panel. The block was zero.
void put_codes(const Format &f, const Source &from, int64_t output, int64_t input, uint8_t *block, int64_t lane) {
  const uint8_t *codes = from.codes + output * from.inputs + input;
  const int64_t groups = BLOCK / f.group, scale_bytes = f.wide_scales ? 4 : 2;
  const int64_t scales_bytes = groups * PANEL * scale_bytes;
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t at = output * (from.inputs / f.group) + input / f.group + group;
    put_scale(f, block, group * PANEL + lane, from.scales[at]);
    if (f.has_minima) put_scale(f, block + scales_bytes, group * PANEL + lane, from.minima[at]);
  }
  uint8_t *low = block + scales_bytes * (f.has_minima ? 2 : 1);
  const int64_t bits = static_cast<int64_t>(f.codes), dwords = BLOCK * bits / 32, each = 32 / bits;
  for (int64_t dword = 0; dword < dwords; ++dword) {
    uint32_t word = 0;
    for (int64_t j = 0; j < each; ++j)
      word |= (codes[dword * each + j] & ((uint32_t{1} << bits) - 1)) << (bits * j);
    put(low, dword * PANEL + lane, word);
  }
  if (f.high_bits == 0) return;
  uint8_t *high = low + dwords * PANEL * 4;
  const int64_t in_a_word = 32 / f.high_bits;
  for (int64_t dword = 0; dword < f.high_bits; ++dword) {
    uint32_t word = 0;
    for (int64_t j = 0; j < in_a_word; ++j)
      word |= static_cast<uint32_t>(codes[dword * in_a_word + j] >> 4) << (f.high_bits * j);
    put(high, dword * PANEL + lane, word);
  }
}

void pack_panel(const Format &f, const Source &from, int64_t panel, uint8_t *into) {
  const int64_t bytes = block_bytes(f), blocks = blocks_of(from.inputs), width = number_bytes(f);
  for (int64_t lane = 0; lane < PANEL && panel * PANEL + lane < from.outputs; ++lane) {
    const int64_t output = panel * PANEL + lane;
    for (int64_t b = 0; b < blocks; ++b) {
      uint8_t *block = into + (panel * blocks + b) * bytes;
      if (is_coded(f)) {
        put_codes(f, from, output, b * BLOCK, block, lane);
        continue;
      }
      for (int64_t input = 0; input < BLOCK && b * BLOCK + input < from.inputs; ++input)
        std::memcpy(block + (input * PANEL + lane) * width,
                    from.codes + (output * from.inputs + b * BLOCK + input) * width, width);
    }
  }
}

#endif

}  // namespace

#if SLHF_LANES

at::Tensor packed::pack(const Format &format, const uint8_t *codes, const float *scales, const float *minima,
                        int64_t outputs, int64_t inputs) {
  const int64_t panels = panels_of(outputs), bytes = panels * blocks_of(inputs) * block_bytes(format);
  at::Tensor result = at::zeros({bytes}, at::TensorOptions().dtype(at::kByte));
  const Source from{codes, scales, minima, outputs, inputs};
  uint8_t *into = result.data_ptr<uint8_t>();
  lanes::share(panels, outputs * inputs, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) pack_panel(format, from, panel, into);
  });
  return result;
}

#endif

extern "C" {

// Rust has checked that there are as many numbers as the format and the shape need, and that the scales fit the format.
int slhf_pack(const packed::Format *format, const uint8_t *codes, const float *scales, const float *minima,
              int64_t outputs, int64_t inputs, at::Tensor **bytes, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    *bytes = new at::Tensor(packed::pack(*format, codes, scales, minima, outputs, inputs));
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

int slhf_unpack(const packed::Format *format, Handle bytes, int64_t outputs, int64_t inputs, at::Tensor **y, char *message,
                size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::unpack", std::vector<c10::IValue>());
    at::Tensor result = at::empty({outputs, inputs}, at::TensorOptions().dtype(at::kFloat));
    const uint8_t *weight = bytes->const_data_ptr<uint8_t>();
    float *into = result.data_ptr<float>();
    const auto unpack = lanes::is_wide() ? unpack_512 : unpack_256;
    lanes::share(panels_of(outputs), outputs * inputs, [&](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) unpack(*format, weight, inputs, outputs, into, panel);
    });
    *y = new at::Tensor(std::move(result));
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

// Rust has checked every shape, that numbers are f32, contiguous and on the CPU, and that the processor is one of ours.
int slhf_packed_linear(const SlhfPackedProduct *from, at::Tensor **y, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::packed_linear", std::vector<c10::IValue>());
    *y = new at::Tensor(packed::product(*from, nullptr));
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

// Likewise; input is [rows, outputs of the weight].
int slhf_transposed_linear(Handle input, Handle bytes, const packed::Format *format, int64_t inputs, at::Tensor **y,
                           char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::transposed_linear", std::vector<c10::IValue>());
    const packed::Weight weight{*bytes, *format, input->size(1)};
    *y = new at::Tensor(packed::transposed_product(*input, &weight, 1, inputs, nullptr));
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

}  // extern "C"
