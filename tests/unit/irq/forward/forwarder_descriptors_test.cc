// SPDX-License-Identifier: MIT
// The arguments that a forwarder refuses, and that a refusal leaves no descriptor open.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "irq/forward/forwarder.h"
#include "tests/unit/irq/forward/forwarder_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

class ForwarderDescriptors : public ForwarderFixture {
 protected:
  Fd source = make_eventfd();
  Fd sink = make_eventfd();
};
PASSTHRU_ON_BOTH_BACKENDS(ForwarderDescriptors);

TEST_P(ForwarderDescriptors, BadOnesAreRefusedAndNothingIsLeft) {
  struct Case {
    int source;
    int sink;
    int code;
    const char* says;
  };
  const Fd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const Fd same(::fcntl(source.get(), F_DUPFD_CLOEXEC, 0));
  const int closed = ::fcntl(source.get(), F_DUPFD_CLOEXEC, 900);
  ::close(closed);
  for (const Case& each : {Case{closed, sink.get(), EBADF, "use the source"},
                           Case{source.get(), closed, EBADF, "use the sink"},
                           Case{file.get(), sink.get(), EINVAL, "not an eventfd"},
                           Case{source.get(), file.get(), EINVAL, "not an eventfd"},
                           Case{source.get(), same.get(), EINVAL, "the same eventfd"},
                           Case{source.get(), -1, EINVAL, "either an eventfd or a call"}}) {
    auto added = forwarder->add(each.source, {.eventfd = each.sink});
    ASSERT_FALSE(added) << each.says;
    EXPECT_EQ(added.error().code, each.code) << added.error().message();
    EXPECT_THAT(added.error().message(), HasSubstr(each.says));
  }
  const Fd blocking = make_eventfd(0);
  auto blocked =
      forwarder->add(source.get(), {.eventfd = blocking.get()}, {.kind = SourceKind::Counted});
  ASSERT_FALSE(blocked);
  EXPECT_EQ(blocked.error().code, EINVAL);
  EXPECT_THAT(blocked.error().message(), HasSubstr("needs a non-blocking sink"));
  auto too_fast =
      forwarder->add(source.get(), {.eventfd = sink.get()}, {.max_per_second = 1'000'001});
  EXPECT_EQ(too_fast.error().code, EINVAL);
  EXPECT_EQ(forwarder->stats().sources, 0U);

  add(source, sink);
  auto twice = forwarder->add(same.get(), {.eventfd = sink.get()});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, EEXIST);
  EXPECT_EQ(forwarder->stats().sources, 1U);
}

TEST(ForwarderMake, SizesThatMakeNoSenseAreRefused) {
  for (const unsigned sources : {0U, Forwarder::kMaxSources + 1}) {
    EXPECT_EQ(Forwarder::make(sources, Forwarder::Backend::Epoll).error().code, EINVAL);
  }
}

TEST(ForwarderMake, TheEnvironmentMayForbidTheRing) {
  const char* before = std::getenv("PASSTHRU_NO_URING");
  if (before == nullptr) ::setenv("PASSTHRU_NO_URING", "1", 1);
  auto made = Forwarder::make(4);
  if (before == nullptr) ::unsetenv("PASSTHRU_NO_URING");
  ASSERT_TRUE(made);
  EXPECT_STREQ((*made)->backend(), "epoll");
}

TEST_P(ForwarderDescriptors, AreClosedWithItOrWithTheirSource) {
  const auto open_descriptors = [] {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
  };
  forwarder.reset();
  const int before = open_descriptors();
  make(64);
  drive();
  const int made = open_descriptors();
  const SourceId id = add(source, sink);
  run_once();
  EXPECT_GT(open_descriptors(), made);
  forwarder->remove(id);
  run_once();
  EXPECT_EQ(open_descriptors(), made);
  add(source, sink);
  forwarder.reset();
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace passthru
