// Vector registers, and libtorch's own team of threads.
//
// Threads are found at run time: a second pool would fight the first for the cores, since idle OpenMP threads spin.
#pragma once

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define SLHF_LANES 1
#else
#define SLHF_LANES 0
#endif

#if SLHF_LANES

#define SLHF_INLINE __attribute__((always_inline)) inline
#define SLHF_512 __attribute__((target("avx512f,fma")))
#define SLHF_256 __attribute__((target("avx2,fma")))

namespace lanes {

// A vector register of BYTES bytes; loads need no more alignment than a float's.
template <int BYTES>
struct Register {
  typedef float Float __attribute__((vector_size(BYTES), aligned(4)));
  typedef int32_t Int __attribute__((vector_size(BYTES)));
  static constexpr int64_t LANES = BYTES / 4;
};

template <int BYTES>
SLHF_INLINE typename Register<BYTES>::Float load(const float *from) {
  return *reinterpret_cast<const typename Register<BYTES>::Float *>(from);
}

template <int BYTES>
SLHF_INLINE void store(float *to, typename Register<BYTES>::Float value) {
  *reinterpret_cast<typename Register<BYTES>::Float *>(to) = value;
}

// The sum of all lanes, as a tree.
template <int BYTES>
SLHF_INLINE float total(typename Register<BYTES>::Float value) {
  typedef float Quarter __attribute__((vector_size(16)));
  Quarter parts[BYTES / 16];
  std::memcpy(parts, &value, BYTES);
  for (int count = BYTES / 32; count > 0; count /= 2)
    for (int part = 0; part < count; ++part) parts[part] += parts[part + count];
  return (parts[0][0] + parts[0][2]) + (parts[0][1] + parts[0][3]);
}

enum class Width { None, Bytes32, Bytes64 };

// Whether registers of 64 bytes are left alone where they are: for tests of the others.
inline std::atomic<bool> &is_narrow() {
  static std::atomic<bool> narrow{false};
  return narrow;
}

inline Width width() {
  static const Width found = [] {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return Width::Bytes64;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) return Width::Bytes32;
    return Width::None;
  }();
  return found == Width::Bytes64 && is_narrow() ? Width::Bytes32 : found;
}

// Whether registers are of 64 bytes.
inline bool is_wide() { return width() == Width::Bytes64; }

struct OpenMp {
  void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
  int (*thread)();
  int (*threads)();
};

inline const OpenMp &open_mp() {
  static const OpenMp found = [] {
    OpenMp it;
    it.parallel = reinterpret_cast<decltype(it.parallel)>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    it.thread = reinterpret_cast<decltype(it.thread)>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
    it.threads = reinterpret_cast<decltype(it.threads)>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
    return it;
  }();
  return found;
}

// Fewer operations than a team of threads needs to wake up.
constexpr int64_t SMALL = 1 << 15;

// body(begin, end) over [0, count), which is `operations` large in all.
template <typename Body>
void share(int64_t count, int64_t operations, const Body &body) {
  const OpenMp &omp = open_mp();
  const bool team = omp.parallel && omp.thread && omp.threads && at::get_num_threads() > 1 && !at::in_parallel_region();
  if (!team || operations < SMALL) {
    body(0, count);
    return;
  }
  struct Job {
    const Body *body;
    int64_t count;
  } job{&body, count};
  omp.parallel(
      [](void *data) {
        const Job &job = *static_cast<const Job *>(data);
        const int64_t threads = open_mp().threads(), part = (job.count + threads - 1) / threads;
        const int64_t begin = std::min(job.count, open_mp().thread() * part);
        (*job.body)(begin, std::min(job.count, begin + part));
      },
      &job, 0, 0);
}

}  // namespace lanes

#endif
