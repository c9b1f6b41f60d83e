// y = x Wᵀ for few rows of x: what decoding does. The time is that of reading W once from memory, and the BLAS that
// libtorch is built with comes nowhere near it on processors of another maker (docs/benchmarks.md, Language models).
//
// Threads are those of libtorch's own OpenMP runtime, found at run time: a second pool would fight the first for the
// cores, since idle OpenMP threads spin.

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "guard.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define SLHF_FEW_ROWS 1
#else
#define SLHF_FEW_ROWS 0
#endif

#if SLHF_FEW_ROWS

namespace {

#define INLINE __attribute__((always_inline)) inline

// A vector register of BYTES bytes; loads need no more alignment than a float's.
template <int BYTES>
struct Register {
  typedef float Type __attribute__((vector_size(BYTES), aligned(4)));
  static constexpr int64_t LANES = BYTES / 4;
};

struct Product {
  const float *x;      // [rows, inputs]
  const float *weight; // [outputs, inputs]
  float *y;            // [rows, outputs]
  int64_t rows, inputs, outputs;
};

// ROWS rows of x with one row of W, UNROLL registers of it at a time: W is read as one stream.
template <int BYTES, int ROWS, int UNROLL>
INLINE void stream(const Product &p, int64_t row, int64_t output) {
  using Vector = typename Register<BYTES>::Type;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  const float *weight = p.weight + output * p.inputs;
  const float *x = p.x + row * p.inputs;
  Vector sums[ROWS][UNROLL] = {};
  int64_t at = 0;
  for (; at + LANES * UNROLL <= p.inputs; at += LANES * UNROLL) {
    for (int u = 0; u < UNROLL; ++u) {
      const Vector w = *reinterpret_cast<const Vector *>(weight + at + u * LANES);
      for (int r = 0; r < ROWS; ++r)
        sums[r][u] += w * *reinterpret_cast<const Vector *>(x + r * p.inputs + at + u * LANES);
    }
  }
  for (int r = 0; r < ROWS; ++r) {
    Vector sum = sums[r][0];
    for (int u = 1; u < UNROLL; ++u) sum += sums[r][u];
    float total = 0;
    for (int64_t lane = 0; lane < LANES; ++lane) total += sum[lane];
    for (int64_t rest = at; rest < p.inputs; ++rest) total += weight[rest] * x[r * p.inputs + rest];
    p.y[(row + r) * p.outputs + output] = total;
  }
}

// ROWS rows of x with OUTPUTS rows of W: every load serves several products.
template <int BYTES, int ROWS, int OUTPUTS>
INLINE void tile(const Product &p, int64_t row, int64_t output) {
  using Vector = typename Register<BYTES>::Type;
  constexpr int64_t LANES = Register<BYTES>::LANES;
  const float *weight = p.weight + output * p.inputs;
  const float *x = p.x + row * p.inputs;
  Vector sums[OUTPUTS][ROWS] = {};
  int64_t at = 0;
  for (; at + LANES <= p.inputs; at += LANES) {
    Vector w[OUTPUTS];
    for (int o = 0; o < OUTPUTS; ++o) w[o] = *reinterpret_cast<const Vector *>(weight + o * p.inputs + at);
    for (int r = 0; r < ROWS; ++r) {
      const Vector value = *reinterpret_cast<const Vector *>(x + r * p.inputs + at);
      for (int o = 0; o < OUTPUTS; ++o) sums[o][r] += w[o] * value;
    }
  }
  for (int o = 0; o < OUTPUTS; ++o) {
    for (int r = 0; r < ROWS; ++r) {
      float total = 0;
      for (int64_t lane = 0; lane < LANES; ++lane) total += sums[o][r][lane];
      for (int64_t rest = at; rest < p.inputs; ++rest)
        total += weight[o * p.inputs + rest] * x[r * p.inputs + rest];
      p.y[(row + r) * p.outputs + output + o] = total;
    }
  }
}

// All rows with OUTPUTS rows of W, which stay in the nearest cache meanwhile.
template <int BYTES, int OUTPUTS>
INLINE void tiles(const Product &p, int64_t output) {
  int64_t row = 0;
  for (; row + 4 <= p.rows; row += 4) tile<BYTES, 4, OUTPUTS>(p, row, output);
  switch (p.rows - row) {
    case 3: tile<BYTES, 3, OUTPUTS>(p, row, output); break;
    case 2: tile<BYTES, 2, OUTPUTS>(p, row, output); break;
    case 1: tile<BYTES, 1, OUTPUTS>(p, row, output); break;
    default: break;
  }
}

// Outputs [begin, end) of all rows.
template <int BYTES, int OUTPUTS>
INLINE void multiply(const Product &p, int64_t begin, int64_t end) {
  switch (p.rows) {
    case 1:
      for (int64_t output = begin; output < end; ++output) stream<BYTES, 1, 4>(p, 0, output);
      return;
    case 2:
      for (int64_t output = begin; output < end; ++output) stream<BYTES, 2, 2>(p, 0, output);
      return;
    case 3:
      for (int64_t output = begin; output < end; ++output) stream<BYTES, 3, 2>(p, 0, output);
      return;
    default: break;
  }
  int64_t output = begin;
  for (; output + OUTPUTS <= end; output += OUTPUTS) tiles<BYTES, OUTPUTS>(p, output);
  for (; output < end; ++output) tiles<BYTES, 1>(p, output);
}

__attribute__((target("avx512f,fma"))) void multiply_512(const Product &p, int64_t begin, int64_t end) {
  multiply<64, 6>(p, begin, end);
}

__attribute__((target("avx2,fma"))) void multiply_256(const Product &p, int64_t begin, int64_t end) {
  multiply<32, 3>(p, begin, end);
}

using Multiply = void (*)(const Product &, int64_t, int64_t);

Multiply best_multiply() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return multiply_512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return multiply_256;
  return nullptr;
}

struct OpenMp {
  void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
  int (*thread)();
  int (*threads)();
};

const OpenMp &open_mp() {
  static const OpenMp found = [] {
    OpenMp it;
    it.parallel = reinterpret_cast<decltype(it.parallel)>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    it.thread = reinterpret_cast<decltype(it.thread)>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
    it.threads = reinterpret_cast<decltype(it.threads)>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
    return it;
  }();
  return found;
}

struct Job {
  const Product *product;
  Multiply multiply;
};

void share_of_a_thread(void *data) {
  const Job &job = *static_cast<const Job *>(data);
  const OpenMp &omp = open_mp();
  const int64_t outputs = job.product->outputs, threads = omp.threads();
  const int64_t share = (outputs + threads - 1) / threads;
  const int64_t begin = std::min(outputs, omp.thread() * share);
  job.multiply(*job.product, begin, std::min(outputs, begin + share));
}

// Fewer multiplications than a team of threads needs to wake up.
constexpr int64_t SMALL = 1 << 15;

void run(const Product &product, Multiply multiply) {
  const OpenMp &omp = open_mp();
  const bool team = omp.parallel && omp.thread && omp.threads && at::get_num_threads() > 1 && !at::in_parallel_region();
  if (!team || product.rows * product.inputs * product.outputs < SMALL) {
    multiply(product, 0, product.outputs);
    return;
  }
  Job job{&product, multiply};
  omp.parallel(share_of_a_thread, &job, 0, 0);
}

}  // namespace

#endif

extern "C" {

int slhf_few_rows_supported() {
#if SLHF_FEW_ROWS
  return best_multiply() != nullptr;
#else
  return 0;
#endif
}

// Rust has checked: f32 on the CPU, contiguous, x [rows, inputs], weight [outputs, inputs].
int slhf_few_rows_linear(Handle x, Handle weight, at::Tensor **y, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
#if SLHF_FEW_ROWS
    RECORD_FUNCTION("slhf::few_rows_linear", std::vector<c10::IValue>());
    static const Multiply multiply = best_multiply();
    TORCH_CHECK(multiply, "this processor has neither AVX2 nor AVX-512");
    const int64_t rows = x->size(0), inputs = x->size(1), outputs = weight->size(0);
    at::Tensor result = at::empty({rows, outputs}, x->options());
    run(Product{x->const_data_ptr<float>(), weight->const_data_ptr<float>(), result.data_ptr<float>(), rows, inputs,
                outputs},
        multiply);
    *y = new at::Tensor(std::move(result));
#else
    TORCH_CHECK(false, "it was compiled for another processor");
#endif
  });
}

}  // extern "C"
