// SPDX-License-Identifier: MIT
// The adapter that drives passthru::Forwarder, and the names of the ways.
#include "bench/forward_ways.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "bench/forward_peers.h"
#include "irq/forward/forwarder.h"

namespace passthru::bench {
namespace {

class Ours : public Way {
 public:
  Ours(unsigned sources, passthru::Forwarder::Backend backend) {
    auto made = passthru::Forwarder::make(sources, backend);
    if (!made) broke("make a Forwarder", made.error().code);
    forwarder_ = std::move(*made);
  }
  void add(int source, const Sink& sink) override {
    const auto added = forwarder_->add(source, sink);
    if (!added) broke("add a source", added.error().code);
  }
  void begin() override {
    if (!forwarder_->bind_to_this_thread()) broke("drive the Forwarder");
    while (run_once() != 0) {
    }
  }
  void forward(uint64_t count) override {
    for (uint64_t sum = 0; sum < count;) sum += run_once();
  }
  void start() override {
    if (!forwarder_->start_thread()) broke("start the Forwarder's thread");
    // Waits until the thread has taken its commands and sleeps, which it does in a system call.
    while (calls() == 0) std::this_thread::yield();
  }
  [[nodiscard]] uint64_t calls() const override { return forwarder_->stats().system_calls; }

 private:
  unsigned run_once() {
    const auto count = forwarder_->run_once();
    if (!count) broke("run_once", count.error().code);
    return *count;
  }
  std::unique_ptr<passthru::Forwarder> forwarder_;
};

}  // namespace

const char* key_of(Kind kind) {
  constexpr const char* kKeys[] = {"bare_write", "epoll_level", "epoll_edge",     "ring_coop",
                                   "ring_defer", "forwarder",   "forwarder_epoll"};
  return kKeys[static_cast<size_t>(kind)];
}

const char* to_string(Kind kind) {
  constexpr const char* kNames[] = {
      "bare write to the sink",      "epoll level-triggered, read, write",
      "epoll edge-triggered, write", "ring, COOP_TASKRUN, write",
      "ring, DEFER_TASKRUN, write",  "passthru::Forwarder",
      "Forwarder without io_uring"};
  return kNames[static_cast<size_t>(kind)];
}

void broke(const char* what, int error) {
  std::fprintf(stderr, "forward_bench: %s: %s\n", what,
               error != 0 ? std::strerror(error) : "must not happen");
  std::exit(1);
}

bool can_be_had(Kind kind) {
  if (kind == Kind::RingCoop || kind == Kind::RingDefer) return ring_can_be_had(kind);
  if (kind != Kind::Forwarder) return true;
  return passthru::Forwarder::make(1, passthru::Forwarder::Backend::Uring).has_value();
}

std::unique_ptr<Way> make_way(Kind kind, unsigned sources) {
  using Backend = passthru::Forwarder::Backend;
  if (kind == Kind::Forwarder) return std::make_unique<Ours>(sources, Backend::Uring);
  if (kind == Kind::ForwarderEpoll) return std::make_unique<Ours>(sources, Backend::Epoll);
  return make_peer(kind);
}

}  // namespace passthru::bench
