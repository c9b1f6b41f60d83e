// How every function of this crate's C++ ends: 0, or 1 with a message. No exception leaves it.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cstring>
#include <exception>

using Handle = const at::Tensor *;

inline void write_message(const char *text, char *message, size_t capacity) {
  if (capacity == 0) return;
  std::strncpy(message, text, capacity - 1);
  message[capacity - 1] = '\0';
}

template <typename Body>
int guarded(char *message, size_t capacity, Body body) noexcept {
  try {
    body();
    return 0;
  } catch (const c10::Error &error) {
    write_message(error.what_without_backtrace(), message, capacity);
  } catch (const std::exception &error) {
    write_message(error.what(), message, capacity);
  } catch (...) {
    write_message("an unknown C++ exception", message, capacity);
  }
  return 1;
}
