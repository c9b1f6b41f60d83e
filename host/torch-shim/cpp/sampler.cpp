// From a row of logits to a token: the inverse of the distribution function at one uniform number, with sums in f64.

#include <ATen/record_function.h>

#include <cmath>
#include <vector>

#include "guard.h"
#include "lanes.h"

#if SLHF_LANES

namespace {

using lanes::Register;

// Tokens whose probabilities are summed together; the sums of these are kept, so that the place of a uniform number is found
// without another pass over the row.
constexpr int64_t SEGMENT = 512;

struct Draw {
  const float *logits;     // [rows, vocabulary]
  const double *uniforms;  // [rows]
  int64_t *tokens;         // [rows]
  double *scores;          // [rows]: log-probabilities of these tokens
  int64_t vocabulary;
  double inverse_temperature;
};

template <int BYTES>
struct Doubles {
  typedef double Double __attribute__((vector_size(BYTES)));
  typedef int64_t Int __attribute__((vector_size(BYTES)));
  typedef float Half __attribute__((vector_size(BYTES / 2), aligned(4)));
  static constexpr int64_t LANES = BYTES / 8;
};

// eˣ to two units in the last place, for x ≤ 0; 0 below -708. Range reduction by ln 2 in two parts, then the rational function
// of Cephes' exp.
template <int BYTES>
SLHF_INLINE typename Doubles<BYTES>::Double exponential(typename Doubles<BYTES>::Double x) {
  using Vector = typename Doubles<BYTES>::Double;
  using Int = typename Doubles<BYTES>::Int;
  const Vector low = Vector{} - 708.0;
  const Int is_nothing = x < low;
  x = is_nothing ? low : x;
  const Vector magic = Vector{} + 6755399441055744.0;  // 1.5 · 2⁵²: adding it rounds to whole numbers
  const Vector shifted = x * 1.4426950408889634073599 + magic;
  const Vector whole = shifted - magic;
  const Vector rest = (x - whole * 6.93145751953125e-1) - whole * 1.42860682030941723212e-6;
  const Vector square = rest * rest;
  Vector over = Vector{} + 1.26177193074810590878e-4;
  over = over * square + 3.02994407707441961300e-2;
  over = over * square + 9.99999999999999999910e-1;
  over = over * rest;
  Vector under = Vector{} + 3.00198505138664455042e-6;
  under = under * square + 2.52448340349684104192e-3;
  under = under * square + 2.27265548208155028766e-1;
  under = under * square + 2.00000000000000000005e0;
  const Vector value = 1.0 + 2.0 * (over / (under - over));
  // The low bits of `shifted` are the whole number.
  const Int power = (reinterpret_cast<const Int &>(shifted) + 1023) << 52;
  const Vector scaled = value * reinterpret_cast<const Vector &>(power);
  return is_nothing ? Vector{} : scaled;
}

// Σ e^((logit − largest) / T) of tokens [begin, end), one by one within lanes; NaN counts as it comes.
template <int BYTES>
SLHF_INLINE double sum_of(const Draw &d, const float *row, float largest, int64_t begin, int64_t end) {
  using Vector = typename Doubles<BYTES>::Double;
  constexpr int64_t LANES = Doubles<BYTES>::LANES;
  Vector sums = {};
  int64_t at = begin;
  for (; at + LANES <= end; at += LANES) {
    const auto logits = *reinterpret_cast<const typename Doubles<BYTES>::Half *>(row + at);
    const Vector x = (__builtin_convertvector(logits, Vector) - static_cast<double>(largest)) * d.inverse_temperature;
    sums += exponential<BYTES>(x);
  }
  double sum = 0;
  for (int64_t lane = 0; lane < LANES; ++lane) sum += sums[lane];
  for (; at < end; ++at) {
    const Vector x = Vector{} + (static_cast<double>(row[at]) - static_cast<double>(largest)) * d.inverse_temperature;
    sum += exponential<BYTES>(x)[0];
  }
  return sum;
}

template <int BYTES>
SLHF_INLINE float largest_of(const float *row, int64_t count) {
  using Vector = typename Register<BYTES>::Float;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  float largest = row[0];
  int64_t at = 0;
  if (count >= LANES) {
    Vector most = lanes::load<BYTES>(row);
    for (; at + LANES <= count; at += LANES) {
      const Vector next = lanes::load<BYTES>(row + at);
      most = next > most ? next : most;
    }
    largest = most[0];
    for (int64_t lane = 1; lane < LANES; ++lane) largest = most[lane] > largest ? most[lane] : largest;
  }
  for (; at < count; ++at) largest = row[at] > largest ? row[at] : largest;
  return largest;
}

// The first token at which the distribution function is above u; where rounding leaves none, the likeliest. `total` becomes the sum of
// all e^((logit − largest) / T).
template <int BYTES>
SLHF_INLINE int64_t token_of(const Draw &d, const float *row, float largest, double uniform, double *sums, double &total) {
  const int64_t segments = (d.vocabulary + SEGMENT - 1) / SEGMENT;
  total = 0;
  for (int64_t segment = 0; segment < segments; ++segment) {
    const int64_t begin = segment * SEGMENT, end = std::min(begin + SEGMENT, d.vocabulary);
    total += sum_of<BYTES>(d, row, largest, begin, end);
    sums[segment] = total;
  }
  const double wanted = uniform * total;
  int64_t segment = 0;
  while (segment < segments && !(sums[segment] > wanted)) ++segment;
  for (; segment < segments; ++segment) {
    const int64_t begin = segment * SEGMENT, end = std::min(begin + SEGMENT, d.vocabulary);
    double so_far = segment > 0 ? sums[segment - 1] : 0;
    int64_t last = -1;
    for (int64_t token = begin; token < end; ++token) {
      const double share = sum_of<BYTES>(d, row, largest, token, token + 1);
      so_far += share;
      if (share > 0) last = token;
      if (so_far > wanted && share > 0) return token;
    }
    // The sum one by one may end a little below that of the lanes: the segment's last possible token stands there.
    if (last >= 0) return last;
  }
  for (int64_t token = 0; token < d.vocabulary; ++token)
    if (row[token] == largest) return token;
  return 0;
}

template <int BYTES>
SLHF_INLINE void draw(const Draw &d, double *sums, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float *logits = d.logits + row * d.vocabulary;
    const float largest = largest_of<BYTES>(logits, d.vocabulary);
    double total;
    const int64_t token = token_of<BYTES>(d, logits, largest, d.uniforms[row], sums, total);
    const double above = static_cast<double>(logits[token]) - static_cast<double>(largest);
    d.tokens[row] = token;
    d.scores[row] = above * d.inverse_temperature - std::log(total);
  }
}

SLHF_512 void draw_512(const Draw &d, double *sums, int64_t begin, int64_t end) { draw<64>(d, sums, begin, end); }
SLHF_256 void draw_256(const Draw &d, double *sums, int64_t begin, int64_t end) { draw<32>(d, sums, begin, end); }

}  // namespace

#endif

extern "C" {

// Rust has checked: f32 on the CPU, contiguous, [rows, vocabulary] with a vocabulary above 0; a uniform number and room for a
// token and its log-probability a row.
int slhf_draw_tokens(Handle logits, const double *uniforms, double temperature, int64_t *tokens, double *scores,
                     char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::draw_tokens", std::vector<c10::IValue>());
    const Draw d{logits->const_data_ptr<float>(), uniforms, tokens, scores, logits->size(1), 1.0 / temperature};
    const auto body = lanes::is_wide() ? draw_512 : draw_256;
    lanes::share(logits->size(0), 8 * logits->numel(), [&](int64_t begin, int64_t end) {
      std::vector<double> sums((d.vocabulary + SEGMENT - 1) / SEGMENT);
      body(d, sums.data(), begin, end);
    });
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

}  // extern "C"
