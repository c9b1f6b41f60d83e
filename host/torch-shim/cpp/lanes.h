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
  void (*barrier)();
  int (*thread)();
  int (*threads)();
};

inline const OpenMp &open_mp() {
  static const OpenMp found = [] {
    OpenMp it;
    it.parallel = reinterpret_cast<decltype(it.parallel)>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    it.barrier = reinterpret_cast<decltype(it.barrier)>(dlsym(RTLD_DEFAULT, "GOMP_barrier"));
    it.thread = reinterpret_cast<decltype(it.thread)>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
    it.threads = reinterpret_cast<decltype(it.threads)>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
    return it;
  }();
  return found;
}

// Fewer operations than a team of threads needs to wake up.
constexpr int64_t SMALL = 1 << 15;

// One thread of a team.
class Member {
 public:
  Member(int64_t thread, int64_t threads) : thread_(thread), threads_(threads) {}

  // body(begin, end) with this thread's part of [0, count).
  template <typename Body>
  void share(int64_t count, const Body &body) const {
    const int64_t part = (count + threads_ - 1) / threads_, begin = std::min(count, thread_ * part);
    const int64_t end = std::min(count, begin + part);
    if (begin < end) body(begin, end);
  }

  // Everything that any of the team has written before is seen by all of it afterwards.
  void wait() const {
    if (threads_ > 1) open_mp().barrier();
  }

 private:
  int64_t thread_, threads_;
};

// body(member) by every thread of a team: all of libtorch's, or this one where they would take longer to wake up.
template <typename Body>
void together(int64_t operations, const Body &body) {
  const OpenMp &omp = open_mp();
  const bool found = omp.parallel && omp.barrier && omp.thread && omp.threads;
  if (!found || operations < SMALL || at::get_num_threads() < 2 || at::in_parallel_region()) {
    body(Member(0, 1));
    return;
  }
  omp.parallel([](void *data) { (*static_cast<const Body *>(data))(Member(open_mp().thread(), open_mp().threads())); },
               const_cast<Body *>(&body), 0, 0);
}

// body(begin, end) over [0, count), which is `operations` large in all.
template <typename Body>
void share(int64_t count, int64_t operations, const Body &body) {
  together(operations, [&](const Member &member) { member.share(count, body); });
}

}  // namespace lanes

#endif
