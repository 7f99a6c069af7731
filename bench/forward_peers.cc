// SPDX-License-Identifier: MIT
// The peers' loops at their best: one system call reports up to 512 signals, and nothing is
// counted, checked or allocated on the way.
#include "bench/forward_peers.h"

#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace passthru::bench {
namespace {

constexpr size_t kAtOnce = 512;

/// The common base of the peers' loops.
class Loop : public Way {
 public:
  Loop() {
    if (!stop_) broke("eventfd", errno);
  }
  void add(int source, const Sink& sink) override { pairs_.push_back({source, sink}); }

  void begin() override {
    set_up();
    for (size_t i = 0; i < pairs_.size(); ++i) watch(pairs_[i].source, i);
  }

  void forward(uint64_t count) override {
    for (uint64_t sum = 0; sum < count;) sum += deliver_all();
  }

  void start() override {
    std::atomic<bool> ready = false;
    thread_ = std::thread([this, &ready] {
      begin();
      watch(stop_.get(), kStop);
      ready = true;
      ready.notify_one();
      while (!stopping_.load(std::memory_order_relaxed)) deliver_all();
    });
    ready.wait(false);
  }

  [[nodiscard]] uint64_t calls() const override { return calls_.get(); }

 protected:
  using Tokens = std::array<uint64_t, kAtOnce>;
  static constexpr uint64_t kStop = ~uint64_t{0};

  virtual void set_up() = 0;
  virtual void watch(int fd, uint64_t token) = 0;
  /// Waits for at least one signal.
  virtual size_t collect(Tokens& tokens) = 0;
  virtual void take(int /*source*/) {}

  void deliver(uint64_t token) {
    const Pair& pair = pairs_[token];
    take(pair.source);
    const uint64_t one = 1;
    if (pair.sink.call) {
      pair.sink.call(one);
    } else if (::write(pair.sink.eventfd, &one, sizeof(one)) != sizeof(one)) {
      broke("write to a sink", errno);
    }
  }
  /// Each derived class must call this in its destructor, because the loop calls its members.
  void end() {
    if (!thread_.joinable()) return;
    stopping_ = true;
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  Counter calls_;

 private:
  struct Pair {
    int source;
    Sink sink;
  };

  size_t deliver_all() {
    const size_t count = collect(tokens_);
    for (size_t i = 0; i < count; ++i) {
      if (tokens_[i] != kStop) deliver(tokens_[i]);
    }
    return count;
  }

  const Fd stop_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::vector<Pair> pairs_;
  Tokens tokens_{};
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

class BareWrite : public Loop {
 public:
  void forward(uint64_t count) override {
    for (uint64_t i = 0; i < count; ++i) deliver(next_++ % sources_);
  }
  void start() override { broke("a bare write cannot drive: it polls no source"); }

 private:
  void set_up() override {}
  void watch(int /*fd*/, uint64_t /*token*/) override { ++sources_; }
  size_t collect(Tokens& /*tokens*/) override { return 0; }
  uint64_t sources_ = 0;
  uint64_t next_ = 0;
};

class Epoll : public Loop {
 public:
  explicit Epoll(bool edge) : edge_(edge) {}
  ~Epoll() override { end(); }

 private:
  void set_up() override {
    epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_) broke("epoll_create1", errno);
  }
  void watch(int fd, uint64_t token) override {
    epoll_event event{.events = EPOLLIN | (edge_ ? EPOLLET : 0U), .data = {.u64 = token}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) broke("epoll_ctl", errno);
  }
  size_t collect(Tokens& tokens) override {
    calls_.add();
    const int count = ::epoll_wait(epoll_.get(), events_.data(), kAtOnce, -1);
    const size_t found = count < 0 ? 0 : static_cast<size_t>(count);
    for (size_t i = 0; i < found; ++i) tokens[i] = events_[i].data.u64;
    return found;
  }
  void take(int source) override {
    if (edge_) return;
    calls_.add();
    uint64_t count = 0;
    if (::read(source, &count, sizeof(count)) != sizeof(count)) broke("read of a source", errno);
  }
  const bool edge_;
  Fd epoll_;
  std::array<epoll_event, kAtOnce> events_{};
};

int set_up_ring(io_uring& ring, bool defer) {
  io_uring_params params{};
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                 (defer ? IORING_SETUP_DEFER_TASKRUN : IORING_SETUP_COOP_TASKRUN);
  params.cq_entries = 16384;
  return io_uring_queue_init_params(256, &ring, &params);
}

/// Created on the driving thread, which is its single issuer.
class Ring : public Loop {
 public:
  explicit Ring(bool defer) : defer_(defer) {}
  ~Ring() override {
    end();
    if (is_set_up_) io_uring_queue_exit(&ring_);
  }

 private:
  void set_up() override {
    const int failed = set_up_ring(ring_, defer_);
    if (failed != 0) broke("io_uring_setup", -failed);
    is_set_up_ = true;
  }
  void watch(int fd, uint64_t token) override {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    io_uring_prep_poll_multishot(entry, fd, POLLIN);
    io_uring_sqe_set_data64(entry, token);
    if (io_uring_submit(&ring_) != 1) broke("io_uring_submit");
  }
  size_t collect(Tokens& tokens) override {
    const size_t there = take_completions(tokens);
    if (there != 0) return there;
    calls_.add();
    io_uring_submit_and_wait(&ring_, 1);
    return take_completions(tokens);
  }
  size_t take_completions(Tokens& tokens) {
    size_t count = 0;
    unsigned head = 0;
    io_uring_cqe* entry = nullptr;
    io_uring_for_each_cqe(&ring_, head, entry) {
      if (count == tokens.size()) break;
      if ((entry->flags & IORING_CQE_F_MORE) == 0) broke("a multishot poll ended");
      tokens[count++] = entry->user_data;
    }
    io_uring_cq_advance(&ring_, static_cast<unsigned>(count));
    return count;
  }
  const bool defer_;
  bool is_set_up_ = false;
  io_uring ring_{};
};

}  // namespace

bool ring_can_be_had(Kind kind) {
  io_uring ring{};
  if (set_up_ring(ring, kind == Kind::RingDefer) != 0) return false;
  io_uring_queue_exit(&ring);
  return true;
}

std::unique_ptr<Way> make_peer(Kind kind) {
  switch (kind) {
    case Kind::BareWrite:
      return std::make_unique<BareWrite>();
    case Kind::EpollLevel:
    case Kind::EpollEdge:
      return std::make_unique<Epoll>(kind == Kind::EpollEdge);
    case Kind::RingCoop:
    case Kind::RingDefer:
      return std::make_unique<Ring>(kind == Kind::RingDefer);
    default:
      return nullptr;
  }
}

}  // namespace passthru::bench
