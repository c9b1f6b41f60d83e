// Counts and times what goes through libtorch's dispatcher on this thread.

#include <ATen/record_function.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "guard.h"

namespace {

thread_local int64_t counted = 0;

std::unique_ptr<at::ObserverContext> count(const at::RecordFunction &) {
  ++counted;
  return nullptr;
}

struct Spent {
  int64_t calls = 0;
  double seconds = 0;  // without the operators inside
};

// An operator that runs, inside of another or of none.
struct Running : at::ObserverContext {
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  Running *around = nullptr;
  double inside = 0;
};

thread_local std::map<std::string, Spent> spent;
thread_local Running *innermost = nullptr;

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction &) {
  auto running = std::make_unique<Running>();
  running->around = innermost;
  innermost = running.get();
  return running;
}

void leave(const at::RecordFunction &function, at::ObserverContext *context) {
  auto *running = static_cast<Running *>(context);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - running->start;
  Spent &of = spent[function.name()];
  ++of.calls;
  of.seconds += took.count() - running->inside;
  innermost = running->around;
  if (innermost) innermost->inside += took.count();
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

int slhf_time_operators(uint64_t *handle, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    spent.clear();
    innermost = nullptr;
    *handle = at::addThreadLocalCallback(at::RecordFunctionCallback(enter, leave)
                                             .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
  });
}

// Tells each operator that ran, by name.
int slhf_timed_operators(uint64_t handle, void (*tell)(void *to, const char *name, int64_t calls, double seconds), void *to,
                         char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    at::removeCallback(handle);
    for (const auto &[name, of] : spent) tell(to, name.c_str(), of.calls, of.seconds);
    spent.clear();
  });
}

}  // extern "C"
