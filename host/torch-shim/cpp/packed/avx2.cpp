// Products with packed weights in registers of 32 bytes. Compiled for processors with AVX2, FMA and F16C.

#include "packed.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <immintrin.h>

namespace {

struct Isa {
  using Float = __m256;
  using Int = __m256i;
  static constexpr int64_t LANES = 8;
  // Rows of a tile whose sums stay in registers: where weights are unpacked there, too, and where they are not.
  static constexpr int64_t FUSED_ROWS = 4;
  static constexpr int64_t TILE_ROWS = 4;

  struct Table {
    Float offset;
    Int high_mask;
    explicit Table(const packed::Format &format)
        : offset(_mm256_set1_ps(static_cast<float>(format.offset))),
          high_mask(_mm256_set1_epi32(format.high_bits == 2 ? 0x30 : 0x10)) {}
  };

  static inline Float load(const float *at) { return _mm256_loadu_ps(at); }
  static inline void store(float *at, Float value) { _mm256_storeu_ps(at, value); }
  static inline Float all(float value) { return _mm256_set1_ps(value); }
  static inline Float fused(Float a, Float b, Float sum) { return _mm256_fmadd_ps(a, b, sum); }
  static inline Float mul(Float a, Float b) { return _mm256_mul_ps(a, b); }
  static inline Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
  static inline Int dwords(const uint8_t *at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(at)); }
  static inline Int right(Int bits, int count) { return count ? _mm256_srli_epi32(bits, count) : bits; }
  static inline Float nibble(const Table &table, Int bits) {
    return _mm256_sub_ps(_mm256_cvtepi32_ps(_mm256_and_si256(bits, _mm256_set1_epi32(15))), table.offset);
  }
  static inline Float high(const Table &table, Int bits) {
    return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_slli_epi32(bits, 4), table.high_mask));
  }
  static inline Float signed_byte(Int bits, int byte) {
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(bits, 24 - 8 * byte), 24));
  }
  static inline Float halves(const uint16_t *at) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(at)));
  }
  static inline Float bfloats(const uint16_t *at) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i *>(at));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  // Eight by eight numbers of rows that are 32 long.
  static inline void transpose(const float *from, float *to) {
    __m256 r[8], t[8];
    for (int i = 0; i < 8; ++i) r[i] = load(from + i * 32);
    for (int i = 0; i < 8; i += 4) {
      const __m256 low = _mm256_unpacklo_ps(r[i], r[i + 1]), high = _mm256_unpackhi_ps(r[i], r[i + 1]);
      const __m256 next_low = _mm256_unpacklo_ps(r[i + 2], r[i + 3]), next_high = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
      t[i] = _mm256_shuffle_ps(low, next_low, 0x44);
      t[i + 1] = _mm256_shuffle_ps(low, next_low, 0xee);
      t[i + 2] = _mm256_shuffle_ps(high, next_high, 0x44);
      t[i + 3] = _mm256_shuffle_ps(high, next_high, 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      store(to + i * 32, _mm256_permute2f128_ps(t[i], t[i + 4], 0x20));
      store(to + (i + 4) * 32, _mm256_permute2f128_ps(t[i], t[i + 4], 0x31));
    }
  }
  static inline void fetch(const uint8_t *at, int64_t bytes) {
    for (int64_t line = 0; line < bytes; line += 64) _mm_prefetch(reinterpret_cast<const char *>(at + line), _MM_HINT_T0);
  }
};

}  // namespace

#include "kernels.h"

SLHF_PACKED(256)

#endif
