// SPDX-License-Identifier: MIT
// Tests of interrupts through the C interface: routes, batches of routes, messages, restoring.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "irq/forward/edge_poller.h"
#include "tests/fakes/eventually.h"
#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(CapiDevice, AnInterruptTravelsThroughTheVmmsRoutes) {
  create();
  passthru_device* device = open();
  place(device);
  enable_msix(device);
  program_by_address(3);
  EXPECT_EQ(hardware.fire(3), Fired::Delivered);
  EXPECT_THAT(vmm.host.delivered(), ElementsAre(message_of(3)));
  EXPECT_EQ(passthru_device_trigger(device, 3), 0);
  EXPECT_THAT(vmm.host.delivered(), ElementsAre(message_of(3)));
}

/// Callbacks of a VMM that gives the hypervisor its whole table at once.
passthru_callbacks batching_callbacks() {
  passthru_callbacks callbacks = all_callbacks();
  callbacks.routes_begin = fake_callbacks::routes_begin;
  callbacks.routes_commit = fake_callbacks::routes_commit;
  return callbacks;
}

TEST_F(CapiDevice, ManyRoutesComeInOneBatch) {
  create(batching_callbacks());
  passthru_device* device = open();
  place(device);
  for (unsigned vector = 0; vector < 4; ++vector) program_by_address(vector);
  enable_msix(device);
  EXPECT_EQ(vmm.batches, 1U);
  EXPECT_EQ(vmm.host.armed(), 4U);
}

TEST_F(CapiDevice, AFailedCommitIsTheErrorOfEachChange) {
  const auto host = CallbackHypervisor::create(batching_callbacks(), &vmm, {});
  ASSERT_TRUE(host);
  const RouteId kept = (*host)->create_route(message_of(0), 8).value();
  vmm.commit_result = -ENOSPC;
  const std::array changes = {RouteChange{.route = kept, .message = message_of(1)},
                              RouteChange{.message = message_of(2), .requester_id = 8}};
  const auto answers = (*host)->change_routes(changes);
  ASSERT_EQ(answers.size(), 2U);
  for (const auto& answer : answers) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ENOSPC);
    EXPECT_THAT(answer.error().message(), HasSubstr("routes_commit"));
  }
  (*host)->destroy_route(kept);
}

TEST_F(CapiDevice, VectorsOfAFailedCommitAreLatchedUntilACheckSucceeds) {
  create(batching_callbacks());
  passthru_device* device = open();
  place(device);
  for (unsigned vector = 0; vector < 4; ++vector) program_by_address(vector);
  vmm.commit_result = -ENOSPC;
  enable_msix(device);
  EXPECT_EQ(vmm.batches, 1U);
  EXPECT_EQ(vmm.host.routes(), 0U);
  EXPECT_EQ(vmm.host.armed(), 0U);
  EXPECT_EQ(vmm.events.size(), 4U) << "one for each vector";
  EXPECT_THAT(vmm.events, Each(HasSubstr("routes_commit: No space left on device")));
  EXPECT_EQ(hardware.fire(2), Fired::Delivered);
  EXPECT_THAT(vmm.host.delivered(), IsEmpty());

  vmm.commit_result = 0;
  uint32_t restored = 0;
  EXPECT_EQ(passthru_device_check(device, &restored), 0);
  EXPECT_EQ(restored, 4U);
  EXPECT_EQ(vmm.batches, 2U);
  EXPECT_EQ(vmm.host.armed(), 4U);
  EXPECT_THAT(vmm.host.delivered(), ElementsAre(message_of(2))) << "what fired meanwhile";
}

TEST_F(CapiDevice, ALiveVectorWhoseNewMessageIsNotCommittedDeliversNoOldMessage) {
  create(batching_callbacks());
  passthru_device* device = open();
  place(device);
  enable_msix(device);
  program_by_address(0);
  vmm.host.delivered();
  vmm.commit_result = -ENOMEM;
  const uint32_t data = 0x55;
  EXPECT_EQ(passthru_domain_mmio_write(domain, kCWindow + kCTable + 8, &data, 4), 0);
  EXPECT_EQ(vmm.host.routes(), 1U) << "the route stays, with its old message";
  EXPECT_EQ(vmm.host.armed(), 0U);
  EXPECT_THAT(vmm.events, ElementsAre(HasSubstr("routes_commit: Cannot allocate memory")));
  EXPECT_EQ(hardware.fire(0), Fired::Delivered);
  EXPECT_THAT(vmm.host.delivered(), IsEmpty());

  vmm.commit_result = 0;
  EXPECT_EQ(passthru_device_check(device, nullptr), 0);
  EXPECT_EQ(vmm.host.routes(), 1U);
  EXPECT_THAT(vmm.host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, data}));
}

/// A VMM without irqfds, which gets interrupts from the forwarder.
class CapiForwarder : public CapiDevice {
 protected:
  /// Fires a vector. Expects its message, once.
  void expect_one_message() {
    create(callbacks_without_irqfd());
    passthru_device* device = open();
    place(device);
    enable_msix(device);
    program_by_address(1);
    EXPECT_THAT(vmm.events, IsEmpty());
    EXPECT_EQ(hardware.fire(1), Fired::Delivered);
    std::vector<MsiMessage> delivered;
    EXPECT_TRUE(eventually([&] { return !(delivered = vmm.host.delivered()).empty(); }));
    EXPECT_THAT(delivered, ElementsAre(message_of(1)));
  }
};

TEST_F(CapiForwarder, AVmmWithoutIrqfdGetsEachInterruptAsAMessage) {
  expect_one_message();
}

TEST_F(CapiForwarder, AVmmsLoopDrivesTheForwarder) {
  create(callbacks_without_irqfd());
  EXPECT_EQ(passthru_domain_forward(domain), -EPERM) << "no thread drives it yet";
  int fd = -1;
  ASSERT_EQ(passthru_domain_forwarder_fd(domain, &fd), 0) << passthru_last_error();
  EXPECT_EQ(passthru_domain_forwarder_fd(domain, &fd), -EBUSY);
  passthru_device* device = open();
  place(device);
  enable_msix(device);
  program_by_address(1);
  ASSERT_EQ(passthru_domain_forward(domain), 0);
  hardware.fire(1);
  pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
  int polled = ::poll(&ready, 1, 10'000);
  if (polled < 0 && errno == EINTR) polled = ::poll(&ready, 1, 10'000);
  EXPECT_EQ(polled, 1);
  EXPECT_THAT(vmm.host.delivered(), IsEmpty()) << "only the loop delivers";
  EXPECT_EQ(passthru_domain_forward(domain), 0);
  EXPECT_THAT(vmm.host.delivered(), ElementsAre(message_of(1)));
}

/// Forbids io_uring to the calling thread, and to the threads that it starts.
[[nodiscard]] bool forbid_io_uring() {
  std::array program = {
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST_F(CapiForwarder, WhereIoUringIsForbiddenItUsesEpoll) {
  std::thread([this] {
    ASSERT_TRUE(forbid_io_uring());
    const auto ring = make_uring_poller(1);
    ASSERT_FALSE(ring);
    EXPECT_EQ(ring.error().code, EPERM);
    expect_one_message();
    EXPECT_STREQ(domains().find(domain)->domain().interrupts().forwarder().value()->backend(),
                 "epoll");
  }).join();
}

/// What the callback `translate` returns, and the vector's data if that is 0.
int translation_result = 0;
constexpr uint32_t kTranslatedData = 0x81;

TEST_F(CapiDevice, AMessageIsTranslatedByTheVmmAndAgainWhenItAsksForIt) {
  passthru_callbacks callbacks = all_callbacks();
  callbacks.translate = [](void* /*vmm*/, uint32_t source, passthru_message* message) {
    EXPECT_EQ(source, 5U << 3);
    if (translation_result == 0) message->data = kTranslatedData;
    return translation_result;
  };
  translation_result = -ENXIO;
  create(callbacks);
  passthru_device* device = open();
  place(device);
  enable_msix(device);
  program_by_address(1);
  EXPECT_THAT(vmm.events, ElementsAre(HasSubstr("translate")));
  EXPECT_EQ(hardware.fire(1), Fired::Delivered);
  EXPECT_THAT(vmm.host.delivered(), IsEmpty()) << "the vector latches its interrupts";
  translation_result = 0;
  EXPECT_EQ(passthru_device_retranslate(device), 0);
  EXPECT_THAT(vmm.host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, kTranslatedData}));
}

TEST_F(CapiDevice, IntxByLevelFollowsTheDeviceAndTheGuestsEndOfInterrupt) {
  passthru_callbacks callbacks = callbacks_without_irqfd();
  callbacks.intx_on = nullptr;
  callbacks.intx_off = nullptr;
  callbacks.intx_level = fake_callbacks::intx_level;
  vmm.host.by_level = true;
  FakeDevice& other = plug(FakeSpec::e1000e());
  create(callbacks);
  passthru_device* device = open(0, "0000:00:03.0");
  place(device);
  EXPECT_FALSE(vmm.host.intx_level());
  other.set_intx(true);
  EXPECT_TRUE(eventually([&] { return vmm.host.intx_level(); }));
  other.set_intx(false);
  EXPECT_TRUE(vmm.host.intx_level()) << "until the guest has ended the interrupt";
  EXPECT_EQ(passthru_device_end_of_intx(device), 0);
  EXPECT_TRUE(eventually([&] { return !vmm.host.intx_level(); }));
}

TEST_F(CapiDevice, AZeroedTableIsRestoredByACheckAndByTheAudit) {
  create();
  passthru_device* device = open();
  place(device);
  enable_msix(device);
  program_by_address(0);
  program_by_address(1);
  hardware.zero_table();
  EXPECT_EQ(hardware.fire(0), Fired::Lost);
  uint32_t restored = 0;
  EXPECT_EQ(passthru_device_check(device, &restored), 0);
  EXPECT_EQ(restored, 2U);
  EXPECT_EQ(hardware.fire(0), Fired::Delivered);

  ASSERT_EQ(passthru_domain_start_audit(domain, 10), 0);
  EXPECT_EQ(passthru_domain_start_audit(domain, 10), -EBUSY);
  hardware.zero_table();
  EXPECT_TRUE(eventually([&] { return hardware.entry(1) == hardware.host_message(1); }));
  EXPECT_EQ(passthru_domain_stop_audit(domain), 0);
  EXPECT_EQ(passthru_domain_stop_audit(domain), 0);
}

}  // namespace
}  // namespace passthru
