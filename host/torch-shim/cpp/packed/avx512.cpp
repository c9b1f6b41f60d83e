// Products with packed weights in registers of 64 bytes. Compiled for processors with AVX-512F and FMA.

#include "packed.h"

#if defined(__AVX512F__) && defined(__FMA__)

#include <immintrin.h>

namespace {

struct Isa {
  using Float = __m512;
  using Int = __m512i;
  static constexpr int64_t LANES = 16;
  // Rows of a tile whose sums stay in registers: where weights are unpacked there, too, and where they are not.
  static constexpr int64_t FUSED_ROWS = 12;
  static constexpr int64_t TILE_ROWS = 12;

  // What the sixteen values of a nibble, and of the bits above it, stand for: a permutation looks at the low four bits of
  // an index, so that no mask is needed.
  struct Table {
    Float nibbles, highs;
    explicit Table(const packed::Format &format) {
      float low[16], high[16];
      for (int code = 0; code < 16; ++code) {
        low[code] = static_cast<float>(code - format.offset);
        high[code] = static_cast<float>(16 * (code & (format.high_bits == 2 ? 3 : 1)));
      }
      nibbles = _mm512_loadu_ps(low);
      highs = _mm512_loadu_ps(high);
    }
  };

  static inline Float load(const float *at) { return _mm512_loadu_ps(at); }
  static inline void store(float *at, Float value) { _mm512_storeu_ps(at, value); }
  static inline Float all(float value) { return _mm512_set1_ps(value); }
  static inline Float fused(Float a, Float b, Float sum) { return _mm512_fmadd_ps(a, b, sum); }
  static inline Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static inline Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
  static inline Int dwords(const uint8_t *at) { return _mm512_loadu_si512(at); }
  static inline Int right(Int bits, int count) { return count ? _mm512_srli_epi32(bits, count) : bits; }
  static inline Float nibble(const Table &table, Int bits) { return _mm512_permutexvar_ps(bits, table.nibbles); }
  static inline Float high(const Table &table, Int bits) { return _mm512_permutexvar_ps(bits, table.highs); }
  static inline Float signed_byte(Int bits, int byte) {
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(bits, 24 - 8 * byte), 24));
  }
  static inline Float halves(const uint16_t *at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(at)));
  }
  static inline Float bfloats(const uint16_t *at) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  // Sixteen by sixteen numbers of rows that are 32 long.
  static inline void transpose(const float *from, float *to) {
    __m512 r[16], t[16];
    for (int i = 0; i < 16; ++i) r[i] = load(from + i * 32);
    for (int i = 0; i < 16; i += 4) {
      const __m512 low = _mm512_unpacklo_ps(r[i], r[i + 1]), high = _mm512_unpackhi_ps(r[i], r[i + 1]);
      const __m512 next_low = _mm512_unpacklo_ps(r[i + 2], r[i + 3]), next_high = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
      t[i] = _mm512_shuffle_ps(low, next_low, 0x44);
      t[i + 1] = _mm512_shuffle_ps(low, next_low, 0xee);
      t[i + 2] = _mm512_shuffle_ps(high, next_high, 0x44);
      t[i + 3] = _mm512_shuffle_ps(high, next_high, 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      const __m512 low = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88), high = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd);
      const __m512 next_low = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88);
      const __m512 next_high = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xdd);
      store(to + i * 32, _mm512_shuffle_f32x4(low, next_low, 0x88));
      store(to + (i + 8) * 32, _mm512_shuffle_f32x4(low, next_low, 0xdd));
      store(to + (i + 4) * 32, _mm512_shuffle_f32x4(high, next_high, 0x88));
      store(to + (i + 12) * 32, _mm512_shuffle_f32x4(high, next_high, 0xdd));
    }
  }
  static inline void fetch(const uint8_t *at, int64_t bytes) {
    for (int64_t line = 0; line < bytes; line += 64) _mm_prefetch(reinterpret_cast<const char *>(at + line), _MM_HINT_T0);
  }
};

}  // namespace

#include "kernels.h"

SLHF_PACKED(512)

#endif
