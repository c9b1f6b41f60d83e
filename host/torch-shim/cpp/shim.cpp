// What tch does not bind. Every function returns 0, or 1 with a message in `message` (cut at `capacity`, always ended by
// a zero byte).
//
// A tensor comes as the pointer that tch holds: an `at::Tensor` on the heap. A device is -1 for the CPU, or the number
// of a CUDA device. No CUDA header is read, so that the same file compiles against a libtorch without CUDA.

#include <ATen/Context.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/stack.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/GradMode.h>

#include <cstdint>
#include <mutex>
#include <vector>

#include "guard.h"

namespace {

std::vector<at::Tensor> list_of(const Handle *handles, size_t count) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(count);
  for (size_t index = 0; index < count; ++index) tensors.push_back(*handles[index]);
  return tensors;
}

c10::Device device_of(int32_t device) {
  return device < 0 ? c10::Device(c10::DeviceType::CPU)
                    : c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device));
}

c10::DeviceAllocator *cuda_allocator() {
  at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
  return c10::getDeviceAllocator(c10::DeviceType::CUDA);
}

}  // namespace

extern "C" {

struct SlhfAdamw {
  double learning_rate;
  double beta1;
  double beta2;
  double epsilon;
  double weight_decay;
};

struct SlhfMemory {
  int64_t allocated_bytes;
  int64_t peak_allocated_bytes;
  int64_t reserved_bytes;
  int64_t peak_reserved_bytes;
};

int slhf_fused_adamw(const Handle *parameters, const Handle *gradients, const Handle *means, const Handle *squares,
                     size_t count, Handle step, SlhfAdamw settings, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    c10::NoGradGuard no_grad;
    std::vector<at::Tensor> steps(count, *step);
    at::_fused_adamw_(list_of(parameters, count), list_of(gradients, count), list_of(means, count),
                      list_of(squares, count), /*max_exp_avg_sqs=*/{}, steps, settings.learning_rate, settings.beta1,
                      settings.beta2, settings.weight_decay, settings.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  });
}

int slhf_norms(const Handle *tensors, size_t count, at::Tensor **norms, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    c10::NoGradGuard no_grad;
    *norms = new at::Tensor(at::stack(at::_foreach_norm(list_of(tensors, count), 2)));
  });
}

int slhf_scale(const Handle *tensors, size_t count, double factor, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    c10::NoGradGuard no_grad;
    at::_foreach_mul_(list_of(tensors, count), factor);
  });
}

int slhf_seed(int32_t device, uint64_t seed, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    at::Generator generator = at::globalContext().defaultGenerator(device_of(device));
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(seed);
  });
}

int slhf_matmul_precision(const char *name, char *message, size_t capacity) {
  return guarded(message, capacity, [&] { at::globalContext().setFloat32MatmulPrecision(name); });
}

int slhf_cuda_memory(int32_t device, SlhfMemory *memory, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    auto stats = cuda_allocator()->getDeviceStats(static_cast<c10::DeviceIndex>(device));
    const size_t all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    memory->allocated_bytes = stats.allocated_bytes[all].current;
    memory->peak_allocated_bytes = stats.allocated_bytes[all].peak;
    memory->reserved_bytes = stats.reserved_bytes[all].current;
    memory->peak_reserved_bytes = stats.reserved_bytes[all].peak;
  });
}

int slhf_cuda_reset_peak(int32_t device, char *message, size_t capacity) {
  return guarded(message, capacity,
                 [&] { cuda_allocator()->resetPeakStats(static_cast<c10::DeviceIndex>(device)); });
}

}  // extern "C"
