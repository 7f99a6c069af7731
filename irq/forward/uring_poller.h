// SPDX-License-Identifier: MIT
// Owns one io_uring with a multishot poll for each source. The fastest poller measured: the wake
// of a source costs one list insertion, and what became of a burst is worked out in one system
// call.
#pragma once

#include <liburing.h>

#include <deque>
#include <memory>

#include "irq/forward/edge_poller.h"

namespace passthru {

class UringPoller : public EdgePoller {
 public:
  /// Entries of the ring's two queues; powers of two, the second at least twice the first.
  struct Sizes {
    unsigned submissions = 128;
    unsigned completions = 4096;
  };
  static Result<std::unique_ptr<UringPoller>> make(Sizes sizes);
  ~UringPoller() override;
  UringPoller(const UringPoller&) = delete;
  UringPoller& operator=(const UringPoller&) = delete;

  void arm(int fd, uint64_t token) override;
  void disarm(int fd, uint64_t token) override;
  Result<size_t> collect(std::span<SourceEvent> fired, Wait wait) override;
  [[nodiscard]] int fd() const override { return ring_.ring_fd; }
  /// From Linux 6.3 on, what is deferred to the driving thread wakes that thread and nobody else.
  [[nodiscard]] bool wakes_polls() const override { return false; }
  [[nodiscard]] uint64_t calls() const override { return calls_; }
  [[nodiscard]] const char* name() const override { return "io_uring"; }

 protected:
  UringPoller() = default;
  Result<void> set_up(Sizes sizes);
  /// io_uring_enter: submits what is prepared, waits for `wait` completions, and has the kernel
  /// work out what has fired. Returns -errno on failure. A test fails it.
  virtual int enter(unsigned wait);

  io_uring ring_{};

 private:
  struct Request {
    int fd;  ///< -1: cancel
    uint64_t token;
  };
  void prepare(const Request& request);
  void prepare_backlog();
  [[nodiscard]] bool has_more() const;
  size_t take(std::span<SourceEvent> fired);

  bool is_set_up_ = false;
  bool enabled_ = false;
  /// What is to be submitted.
  std::deque<Request> backlog_;
  uint64_t calls_ = 0;
};

}  // namespace passthru
