// Counts what goes through libtorch's dispatcher on this thread.

#include <ATen/record_function.h>

#include <cstdint>
#include <memory>

#include "guard.h"

namespace {

thread_local int64_t counted = 0;

std::unique_ptr<at::ObserverContext> count(const at::RecordFunction &) {
  ++counted;
  return nullptr;
}

}  // namespace

extern "C" {

int slhf_count_operators(uint64_t *handle, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    counted = 0;
    *handle = at::addThreadLocalCallback(at::RecordFunctionCallback(count).scopes({at::RecordScope::FUNCTION}));
  });
}

int slhf_counted_operators(uint64_t handle, int64_t *operators, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    at::removeCallback(handle);
    *operators = counted;
  });
}

}  // extern "C"
