// SPDX-License-Identifier: MIT
// The ring. Its creator sets it up; the driving thread enables it and is then the only thread that
// may enter it (IORING_SETUP_SINGLE_ISSUER).
#include "irq/forward/uring_poller.h"

#include <poll.h>

#include <algorithm>
#include <bit>
#include <cerrno>

namespace passthru {
namespace {

// With IORING_SETUP_DEFER_TASKRUN the kernel completes polls when the driving thread asks, a burst
// at a time. With IORING_SETUP_COOP_TASKRUN it does so each time that thread returns from a
// write(2), which doubled the measured cost of a signal. A flag in memory shows that there is
// deferred work, so no system call is needed without it.
constexpr unsigned kDeferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                               IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED;  // Linux 6.1
constexpr unsigned kOlder = IORING_SETUP_R_DISABLED;                                 // 5.10

}  // namespace

Result<std::unique_ptr<UringPoller>> UringPoller::make(Sizes sizes) {
  std::unique_ptr<UringPoller> poller(new UringPoller);
  PASSTHRU_TRY(poller->set_up(sizes));
  return poller;
}

Result<void> UringPoller::set_up(Sizes sizes) {
  int failed = -EINVAL;
  io_uring_params params{};
  for (const unsigned flags : {kDeferred, kOlder}) {
    params = {};
    params.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = sizes.completions;
    failed = io_uring_queue_init_params(sizes.submissions, &ring_, &params);
    if (failed != -EINVAL) break;
  }
  if (failed != 0) return fail(-failed, "io_uring_setup");
  is_set_up_ = true;
  // Multishot polls and this feature both came with Linux 5.13.
  if ((params.features & IORING_FEAT_RSRC_TAGS) == 0) {
    return fail(EINVAL, "io_uring_setup", "the kernel has no multishot poll (Linux 5.13)");
  }
  return {};
}

UringPoller::~UringPoller() {
  if (is_set_up_) io_uring_queue_exit(&ring_);
}

void UringPoller::arm(int fd, uint64_t token) {
  backlog_.push_back({fd, token});
}

// Cancelling by token (IORING_OP_ASYNC_CANCEL) also ends a poll that is firing. Removing it
// (IORING_OP_POLL_REMOVE) would fail then.
void UringPoller::disarm(int /*fd*/, uint64_t token) {
  backlog_.push_back({-1, token});
}

void UringPoller::prepare_backlog() {
  while (!backlog_.empty() && io_uring_sq_space_left(&ring_) != 0) {
    prepare(backlog_.front());
    backlog_.pop_front();
  }
}

void UringPoller::prepare(const Request& request) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (request.fd < 0) {
    io_uring_prep_cancel64(entry, request.token, 0);
    io_uring_sqe_set_data64(entry, kReserved);
  } else {
    io_uring_prep_poll_multishot(entry, request.fd, POLLIN);
    io_uring_sqe_set_data64(entry, request.token);
  }
}

Result<size_t> UringPoller::collect(std::span<SourceEvent> fired, Wait wait) {
  if (!enabled_) {
    ++calls_;
    // liburing 2.3 declares io_uring_enable_rings but does not export it.
    const int failed = io_uring_register(static_cast<unsigned>(ring_.ring_fd),
                                         IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    if (failed != 0) return fail(-failed, "io_uring_register(IORING_REGISTER_ENABLE_RINGS)");
    enabled_ = true;
  }
  // Empties the completion queue before it submits. A source that is armed again may fire at once,
  // and all completions of one submission queue fit into this queue. So arming never ends other
  // polls.
  size_t count = take(fired);
  if (count == fired.size()) return count;
  do {
    prepare_backlog();
    const bool idle = io_uring_sq_ready(&ring_) == 0;
    const bool waits = idle && wait == Wait::UntilOne && count == 0;
    if (idle && !waits && !has_more()) break;
    const int entered = enter(waits ? 1 : 0);
    const bool came = io_uring_cq_ready(&ring_) != 0;
    count += take(fired.subspan(count));
    if (entered < 0 && entered != -EINTR && count == 0) return fail(-entered, "io_uring_enter");
    if (entered < 0 || (!came && backlog_.empty())) break;
  } while (count < fired.size() && (!backlog_.empty() || has_more()));
  return count;
}

// Returns whether the kernel may have completions that are not in the queue yet. It raises the flag
// after it puts the work on its list (io_req_local_work_add). If we take the work in between, the
// flag stays up with no work behind it until new work comes.
bool UringPoller::has_more() const {
  return (IO_URING_READ_ONCE(*ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

int UringPoller::enter(unsigned wait) {
  ++calls_;
  return wait != 0 ? io_uring_submit_and_wait(&ring_, wait)
                   : io_uring_submit_and_get_events(&ring_);
}

size_t UringPoller::take(std::span<SourceEvent> fired) {
  size_t count = 0;
  unsigned seen = 0;
  unsigned head = 0;
  io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(&ring_, head, entry) {
    if (count == fired.size()) break;
    ++seen;
    if (entry->user_data == kReserved) continue;
    const bool ended = (entry->flags & IORING_CQE_F_MORE) == 0;
    const bool cancelled = entry->res == -ECANCELED;
    fired[count++] = {.token = entry->user_data,
                      .signalled = entry->res > 0,
                      .ended = ended,
                      .error = entry->res < 0 && !cancelled ? -entry->res : 0};
  }
  io_uring_cq_advance(&ring_, seen);
  return count;
}

namespace {

// A seccomp filter may allow io_uring_setup but forbid the other two system calls. Their first use
// would come too late to choose another poller.
Result<void> try_calls() {
  io_uring ring{};
  if (const int failed = io_uring_queue_init(1, &ring, 0); failed != 0) {
    return fail(-failed, "io_uring_setup");
  }
  io_uring_prep_nop(io_uring_get_sqe(&ring));
  const int entered = io_uring_submit(&ring);
  io_uring_probe* const probe = io_uring_get_probe_ring(&ring);
  io_uring_free_probe(probe);
  io_uring_queue_exit(&ring);
  if (entered < 0) return fail(-entered, "io_uring_enter");
  if (probe == nullptr) return fail(EPERM, "io_uring_register");
  return {};
}

}  // namespace

Result<std::unique_ptr<EdgePoller>> make_uring_poller(unsigned sources) {
  PASSTHRU_TRY(try_calls());
  // A source has at most one completion between two calls of the driver, unless it is signalled
  // while the kernel completes its polls.
  const unsigned completions = std::bit_ceil(std::clamp(2 * sources, 256U, 32768U));
  return PASSTHRU_TRY(UringPoller::make({.submissions = 128, .completions = completions}));
}

}  // namespace passthru
