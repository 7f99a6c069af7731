// SPDX-License-Identifier: MIT
// The poller for kernels that lack or forbid io_uring: edge-triggered epoll.
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>

#include "base/fd.h"
#include "irq/forward/edge_poller.h"

namespace passthru {
namespace {

class EpollPoller : public EdgePoller {
 public:
  explicit EpollPoller(Fd epoll) : epoll_(std::move(epoll)) {}

  void arm(int fd, uint64_t token) override {
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = token}};
    ++calls_;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return;
    ended_.push_back({.token = token, .ended = true, .error = errno});
  }

  void disarm(int fd, uint64_t token) override { disarmed_.push_back({fd, token}); }

  Result<size_t> collect(std::span<SourceEvent> fired, Wait wait) override {
    const bool at_once = wait == Wait::No || !ended_.empty() || !disarmed_.empty();
    std::array<epoll_event, 64> events{};
    const auto most = std::min(events.size(), fired.size());
    ++calls_;
    const int found =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(most), at_once ? 0 : -1);
    if (found < 0 && errno != EINTR) return fail(errno, "epoll_wait");
    size_t count = 0;
    const auto said = static_cast<size_t>(std::max(found, 0));
    for (; count < said; ++count) fired[count] = {events[count].data.u64, true};
    for (; !disarmed_.empty(); disarmed_.pop_front()) forget(disarmed_.front());
    for (; count < fired.size() && !ended_.empty(); ended_.pop_front()) {
      fired[count++] = ended_.front();
    }
    return count;
  }

  [[nodiscard]] int fd() const override { return epoll_.get(); }
  [[nodiscard]] uint64_t calls() const override { return calls_; }
  [[nodiscard]] const char* name() const override { return "epoll"; }

 private:
  struct Source {
    int fd;
    uint64_t token;
  };
  void forget(const Source& source) {
    ++calls_;
    // A source that could not be added has ended already.
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, source.fd, nullptr) != 0) return;
    ended_.push_back({.token = source.token, .ended = true});
  }

  const Fd epoll_;
  std::deque<Source> disarmed_;
  std::deque<SourceEvent> ended_;
  uint64_t calls_ = 0;
};

}  // namespace

Result<std::unique_ptr<EdgePoller>> make_epoll_poller() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail(errno, "epoll_create1");
  return std::make_unique<EpollPoller>(std::move(epoll));
}

}  // namespace passthru
