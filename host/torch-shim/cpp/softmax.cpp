// What a row of logits says of one token: log-probability and entropy, and the probabilities in the place of the logits.

#include <ATen/record_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "guard.h"
#include "lanes.h"
#include "rows.h"

#if SLHF_LANES

namespace {

using lanes::load;
using lanes::Register;
using lanes::store;

// Tokens that are summed in f32; the sums of these are added in f64.
constexpr int64_t SEGMENT = 1024;

struct Scores {
  float *logits;           // [rows, vocabulary]
  const int64_t *targets;  // [rows]
  double *log_probabilities, *entropies;  // [rows]
  int64_t vocabulary;
  float inverse_temperature;
  bool keeps;  // leaves the probabilities where the logits are
};

template <int BYTES>
SLHF_INLINE void score(const Scores &scores, int64_t row) {
  using Vector = typename Register<BYTES>::Float;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  const int64_t count = scores.vocabulary;
  float *z = scores.logits + row * count;
  const float target = z[scores.targets[row]];
  float largest = z[0];
  int64_t at = 0;
  if (count >= LANES) {
    Vector most = load<BYTES>(z);
    for (; at + LANES <= count; at += LANES) {
      const Vector next = load<BYTES>(z + at);
      most = next > most ? next : most;
    }
    for (int64_t lane = 0; lane < LANES; ++lane) largest = std::max(largest, most[lane]);
  }
  for (; at < count; ++at) largest = std::max(largest, z[at]);
  double total = 0, weighted = 0;
  for (int64_t begin = 0; begin < count; begin += SEGMENT) {
    const int64_t end = std::min(begin + SEGMENT, count);
    Vector sums = {}, products = {};
    for (at = begin; at + LANES <= end; at += LANES) {
      const Vector x = (load<BYTES>(z + at) - largest) * scores.inverse_temperature, e = lanes::exponential<BYTES>(x);
      sums += e;
      products += e * x;
      if (scores.keeps) store<BYTES>(z + at, e);
    }
    float sum = lanes::total<BYTES>(sums), product = lanes::total<BYTES>(products);
    for (; at < end; ++at) {
      const float x = (z[at] - largest) * scores.inverse_temperature, e = lanes::exponential_of_one<BYTES>(x);
      sum += e;
      product += e * x;
      if (scores.keeps) z[at] = e;
    }
    total += sum;
    weighted += product;
  }
  const double log_total = std::log(total);
  scores.log_probabilities[row] = static_cast<double>((target - largest) * scores.inverse_temperature) - log_total;
  scores.entropies[row] = log_total - weighted / total;
  if (!scores.keeps) return;
  const float share = static_cast<float>(1.0 / total);
  for (at = 0; at + LANES <= count; at += LANES) store<BYTES>(z + at, load<BYTES>(z + at) * share);
  for (; at < count; ++at) z[at] *= share;
}

SLHF_512 void score_512(const Scores &scores, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) score<64>(scores, row);
}
SLHF_256 void score_256(const Scores &scores, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) score<32>(scores, row);
}

}  // namespace

#endif

extern "C" {

// Rust has checked: f32 on the CPU, contiguous, [rows, vocabulary]; targets, one a row, contiguous 64-bit numbers on the CPU; room
// for two numbers a row. Targets are within the vocabulary or refused here.
int slhf_score_rows(at::Tensor *logits, Handle targets, double temperature, int keeps, double *log_probabilities,
                    double *entropies, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_LANES
    RECORD_FUNCTION("slhf::score_rows", std::vector<c10::IValue>());
    const int64_t rows = logits->size(0), vocabulary = logits->size(1);
    const int64_t *wanted = targets->const_data_ptr<int64_t>();
    for (int64_t row = 0; row < rows; ++row)
      TORCH_CHECK(wanted[row] >= 0 && wanted[row] < vocabulary, "token ", wanted[row], " is not one of ", vocabulary);
    const Scores scores{logits->data_ptr<float>(), wanted, log_probabilities, entropies, vocabulary,
                        static_cast<float>(1.0 / temperature), keeps != 0};
    const auto body = lanes::is_wide() ? score_512 : score_256;
    lanes::share(rows, 8 * logits->numel(), [&](int64_t begin, int64_t end) { body(scores, begin, end); });
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

}  // extern "C"
