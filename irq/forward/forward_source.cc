// SPDX-License-Identifier: MIT
// The checks of a source's descriptors, and the read and write of a delivery. Neither may block.
// O_NONBLOCK belongs to the open file, which the caller owns, so a blocking descriptor is polled
// first.
#include "irq/forward/forward_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/small_file.h"

namespace passthru {
namespace {

/// Returns the number of the eventfd behind `fd` (fdinfo "eventfd-id", Linux 5.2), or nullopt if
/// /proc does not show it.
Result<std::optional<uint64_t>> eventfd_number(int fd, const char* what) {
  if (::fcntl(fd, F_GETFD) < 0) return fail(errno, fmt::format("use {}", what));
  const auto info = read_file(fmt::format("/proc/self/fdinfo/{}", fd));
  if (!info) return std::optional<uint64_t>{};
  if (info->find("eventfd-count:") == std::string::npos) {
    return fail(EINVAL, fmt::format("use {}", what), "the descriptor is not an eventfd");
  }
  constexpr std::string_view kKey = "eventfd-id:";
  const size_t key = info->find(kKey);
  if (key == std::string::npos) return std::optional<uint64_t>{};
  const size_t begin = info->find_first_not_of(" \t", key + kKey.size());
  uint64_t number = 0;
  if (begin == std::string::npos ||
      std::from_chars(info->data() + begin, info->data() + info->size(), number).ec !=
          std::errc{}) {
    return std::optional<uint64_t>{};
  }
  return std::optional(number);
}

Result<Fd> duplicate(int fd) {
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail(errno, "duplicate an eventfd");
  return copy;
}

bool blocks(const Fd& fd) {
  return (::fcntl(fd.get(), F_GETFL) & O_NONBLOCK) == 0;
}

bool is_ready(const Fd& fd, short events) {
  pollfd asked{.fd = fd.get(), .events = events, .revents = 0};
  return ::poll(&asked, 1, 0) == 1 && (asked.revents & events) != 0;
}

}  // namespace

Result<ForwardSource> ForwardSource::open(int eventfd, Sink sink, const SourceOptions& options) {
  const bool to_eventfd = sink.eventfd >= 0;
  if (to_eventfd == static_cast<bool>(sink.call)) {
    return fail(EINVAL, "forward an eventfd", "the sink must be either an eventfd or a call");
  }
  if (options.max_per_second > kMaxPerSecond) {
    return fail(EINVAL, "forward an eventfd",
                fmt::format("max_per_second is above {}", kMaxPerSecond));
  }
  ForwardSource source;
  source.number_ = PASSTHRU_TRY(eventfd_number(eventfd, "the source of a forwarder"));
  source.source_ = PASSTHRU_TRY(duplicate(eventfd));
  source.source_blocks_ = blocks(source.source_);
  if (to_eventfd) {
    const auto number = PASSTHRU_TRY(eventfd_number(sink.eventfd, "the sink of a forwarder"));
    if (sink.eventfd == eventfd || (number && number == source.number_)) {
      return fail(EINVAL, "forward an eventfd", "the source and the sink are the same eventfd");
    }
    source.sink_ = PASSTHRU_TRY(duplicate(sink.eventfd));
    source.sink_blocks_ = blocks(source.sink_);
    // POLLOUT promises room for 1 only, not for a larger count.
    if (source.sink_blocks_ && options.kind == SourceKind::Counted) {
      return fail(EINVAL, "forward an eventfd",
                  "a Counted source needs a non-blocking sink. Set O_NONBLOCK on the sink");
    }
  }
  source.call_ = std::move(sink.call);
  source.kind_ = options.kind;
  source.label_ = options.label;
  if (options.max_per_second != 0) {
    source.min_interval_ =
        std::chrono::nanoseconds(std::chrono::seconds(1)) / options.max_per_second;
  }
  return source;
}

bool ForwardSource::take(uint64_t& count) {
  if (source_blocks_ && !is_ready(source_, POLLIN)) return false;
  return ::read(source_.get(), &count, sizeof(count)) == sizeof(count);
}

bool ForwardSource::sink_has_room() const {
  return is_ready(sink_, POLLOUT);
}

}  // namespace passthru
