// Processes that compute one run: c10d's group over Gloo, for tensors on a CPU.

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "guard.h"

namespace {

using Milliseconds = std::chrono::milliseconds;

struct Meeting {
  c10::intrusive_ptr<c10d::TCPStore> store;
};

struct Group {
  // The group's own store goes through it.
  c10::intrusive_ptr<c10d::TCPStore> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
};

// libtorch's recorder of collectives is one for the process, and enters the group of a collective into a map before it takes its own lock: groups
// of one process hand collectives in one at a time. What they wait for they wait for side by side.
std::mutex &handing_in() {
  static std::mutex one;
  return one;
}

template <class Collective>
void handed_in(Collective collective) {
  c10::intrusive_ptr<c10d::Work> work;
  {
    const std::lock_guard<std::mutex> lock(handing_in());
    work = collective();
  }
  work->wait();
}

}  // namespace

extern "C" {

// A place where ranks meet: served here on `listener`, a socket that is taken over, or that of another process (`listener` < 0).
int slhf_meeting_open(const char *host, uint16_t port, int listener, int64_t timeout_ms, void **meeting, char *message,
                      size_t capacity) {
  return guarded(message, capacity, [&] {
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = listener >= 0;
    if (listener >= 0) options.masterListenFd = listener;
    options.waitWorkers = false;
    options.timeout = Milliseconds(timeout_ms);
    auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    *meeting = new Meeting{std::move(store)};
  });
}

void slhf_meeting_close(void *meeting) { delete static_cast<Meeting *>(meeting); }

// Returns once all ranks are there, each connected with every other one at the address by which `host` reaches it.
int slhf_group_join(const void *meeting, const char *host, int32_t rank, int32_t size, int64_t timeout_ms, void **group,
                    char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    const auto &store = static_cast<const Meeting *>(meeting)->store;
    auto options = c10d::ProcessGroupGloo::Options::create(Milliseconds(timeout_ms));
    const std::string own(host);
    options->devices.push_back(own.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                                           : c10d::ProcessGroupGloo::createDeviceForHostname(own));
    auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, std::move(options));
    *group = new Group{store, std::move(gloo)};
  });
}

void slhf_group_leave(void *group) { delete static_cast<Group *>(group); }

int slhf_group_broadcast(const void *group, Handle tensor, int32_t root, int64_t timeout_ms, char *message,
                         size_t capacity) {
  return guarded(message, capacity, [&] {
    std::vector<at::Tensor> tensors{*tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.timeout = Milliseconds(timeout_ms);
    handed_in([&] { return static_cast<const Group *>(group)->gloo->broadcast(tensors, options); });
  });
}

// The sum of what all ranks have in `tensor`, at every rank.
int slhf_group_all_reduce(const void *group, Handle tensor, int64_t timeout_ms, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    std::vector<at::Tensor> tensors{*tensor};
    c10d::AllreduceOptions options;
    options.reduceOp = c10d::ReduceOp::SUM;
    options.timeout = Milliseconds(timeout_ms);
    handed_in([&] { return static_cast<const Group *>(group)->gloo->allreduce(tensors, options); });
  });
}

int slhf_group_all_gather(const void *group, Handle input, const Handle *outputs, size_t count, int64_t timeout_ms,
                          char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    std::vector<at::Tensor> inputs{*input};
    std::vector<std::vector<at::Tensor>> gathered(1);
    for (size_t index = 0; index < count; ++index) gathered[0].push_back(*outputs[index]);
    c10d::AllgatherOptions options;
    options.timeout = Milliseconds(timeout_ms);
    handed_in([&] { return static_cast<const Group *>(group)->gloo->allgather(gathered, inputs, options); });
  });
}

}  // extern "C"
