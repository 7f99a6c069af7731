// SPDX-License-Identifier: MIT
// Tests of a device through the C interface: accesses, interrupts, BARs by either side, restoring,
// removal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>
#include <unistd.h>

#include <thread>

#include "tests/fakes/eventually.h"
#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

MsiMessage message_of(unsigned vector) {
  return {0xfee0'0000, 0x40 + vector};
}

class CapiDevice : public CapiFixture {
 protected:
  CapiDevice() : hardware(plug()) {}
  FakeDevice& hardware;
};

TEST_F(CapiDevice, ItsBarIsMappedTrappedAndForwarded) {
  create();
  passthru_device* device = open();
  EXPECT_THAT(vmm.trapped, IsEmpty());
  place(device);
  ASSERT_EQ(vmm.host.mappings().size(), 1U);
  EXPECT_EQ(vmm.host.mappings()[0].address, kCWindow);
  EXPECT_EQ(vmm.trapped.at({PASSTHRU_MMIO, kCWindow}), 0x4000U) << "the whole BAR is announced";
  uint32_t value = 0;
  EXPECT_EQ(passthru_domain_mmio_read(domain, kCWindow + kCTable + 12, &value, 4), 0);
  EXPECT_EQ(value, 1U) << "the virtual table is masked";
  EXPECT_EQ(passthru_domain_mmio_read(domain, 0x1000, &value, 4), -ENXIO);
  EXPECT_EQ(value, UINT32_MAX);
  EXPECT_EQ(passthru_device_close(device), 0);
  EXPECT_THAT(vmm.trapped, IsEmpty());
}

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

TEST_F(CapiDevice, ManyRoutesComeInOneBatchAndAFailedCommitLeavesTheVectorsLatched) {
  passthru_callbacks callbacks = all_callbacks();
  callbacks.routes_begin = fake_callbacks::routes_begin;
  callbacks.routes_commit = fake_callbacks::routes_commit;
  create(callbacks);
  passthru_device* device = open();
  place(device);
  for (unsigned vector = 0; vector < 4; ++vector) program_by_address(vector);
  enable_msix(device);
  EXPECT_EQ(vmm.batches, 1U);
  EXPECT_EQ(vmm.host.armed(), 4U);
}

TEST_F(CapiDevice, AVmmWithoutIrqfdGetsEachInterruptAsAMessage) {
  passthru_callbacks callbacks = all_callbacks();
  callbacks.irqfd_on = nullptr;
  callbacks.irqfd_off = nullptr;
  callbacks.route_add = nullptr;
  callbacks.route_update = nullptr;
  callbacks.route_del = nullptr;
  create(callbacks);
  passthru_device* device = open();
  place(device);
  enable_msix(device);
  program_by_address(1);
  EXPECT_EQ(hardware.fire(1), Fired::Delivered);
  std::vector<MsiMessage> delivered;
  EXPECT_TRUE(eventually([&] {
    for (const MsiMessage& each : vmm.host.delivered()) delivered.push_back(each);
    return !delivered.empty();
  }));
  EXPECT_THAT(delivered, ElementsAre(message_of(1)));
}

TEST_F(CapiDevice, AVmmsLoopDrivesTheForwarder) {
  passthru_callbacks callbacks = all_callbacks();
  callbacks.irqfd_on = nullptr;
  callbacks.irqfd_off = nullptr;
  callbacks.route_add = nullptr;
  callbacks.route_update = nullptr;
  callbacks.route_del = nullptr;
  create(callbacks);
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

TEST_F(CapiDevice, BarsThatTheVmmPlacesAreMappedByNobodyElse) {
  create();
  passthru_device* device = open(PASSTHRU_BARS_BY_VMM);
  place(device);
  EXPECT_THAT(vmm.host.mappings(), IsEmpty());
  EXPECT_THAT(vmm.trapped, IsEmpty());
  EXPECT_EQ(vmm.placed.at(0), kCWindow);
  passthru_bar_info info{};
  info.size = sizeof info;
  ASSERT_EQ(passthru_device_bar_info(device, 0, &info), 0);
  EXPECT_EQ(info.bar_size, 0x4000U);
  EXPECT_EQ(info.guest_address, kCWindow);
  EXPECT_EQ(info.flags, uint32_t{PASSTHRU_BAR_DECODED | PASSTHRU_BAR_64BIT});

  passthru_span spans[8];
  size_t count = 8;
  ASSERT_EQ(passthru_device_bar_spans(device, 0, spans, &count), 0);
  ASSERT_EQ(count, 3U) << "registers, table, PBA";
  EXPECT_EQ(spans[0].offset, 0U);
  EXPECT_EQ(spans[0].size, 0x2000U);
  EXPECT_NE(spans[0].memory, nullptr);
  EXPECT_GE(spans[0].fd, 0);
  for (size_t trapped = 1; trapped < count; ++trapped) {
    EXPECT_EQ(spans[trapped].memory, nullptr);
    EXPECT_EQ(spans[trapped].fd, -1);
  }

  enable_msix(device);
  program(2, [&](uint32_t offset, uint32_t value) {
    EXPECT_EQ(passthru_device_bar_write(device, 0, offset, &value, 4), 0);
  });
  hardware.fire(2);
  EXPECT_THAT(vmm.host.delivered(), ElementsAre(message_of(2)));
  uint32_t data = 0;
  EXPECT_EQ(passthru_device_bar_read(device, 0, kCTable + 2 * 16 + 8, &data, 4), 0);
  EXPECT_EQ(data, 0x42U);

  EXPECT_EQ(passthru_device_config_write(device, 0x04, 2, 0x4), 0);
  EXPECT_THAT(vmm.placed, IsEmpty()) << "decode is off";
}

TEST_F(CapiDevice, APlaceThatTheVmmRefusesUndoesTheGuestsWrite) {
  create();
  passthru_device* device = open(PASSTHRU_BARS_BY_VMM);
  place(device);
  vmm.place_result = -ENOSPC;
  EXPECT_EQ(passthru_device_config_write(device, 0x10, 4, 0xd000'0000), 0);
  vmm.place_result = 0;
  uint32_t bar = 0;
  EXPECT_EQ(passthru_device_config_read(device, 0x10, 4, &bar), 0);
  EXPECT_EQ(bar & ~0xFU, kCWindow);
  EXPECT_EQ(vmm.placed.at(0), kCWindow);
}

// 1,000 moves in both ways. Each move is seen by the VMM, and the device answers at its new place.
class CapiMoves : public CapiDevice, public ::testing::WithParamInterface<bool> {};

TEST_P(CapiMoves, AThousandMovesLeaveTheBarWhereTheGuestPutIt) {
  create();
  const bool by_vmm = GetParam();
  passthru_device* device = open(by_vmm ? PASSTHRU_BARS_BY_VMM : 0);
  place(device);
  enable_msix(device);
  for (unsigned vector = 0; vector < 65 && !by_vmm; ++vector) program_by_address(vector);
  vmm.host.delivered();
  for (unsigned move = 0; move < 1000; ++move) {
    const uint64_t address = kCWindow + uint64_t{move % 64} * 0x4000;
    place(device, address);
    if (by_vmm) {
      ASSERT_EQ(vmm.placed.at(0), address);
      continue;
    }
    ASSERT_EQ(vmm.host.mappings().size(), 1U);
    ASSERT_EQ(vmm.host.mappings()[0].address, address);
    hardware.fire(move % 65);
    ASSERT_THAT(vmm.host.delivered(), ElementsAre(message_of(move % 65)));
  }
}

INSTANTIATE_TEST_SUITE_P(Sides, CapiMoves, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "ByTheVmm" : "ByTheLibrary"; });

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

TEST_F(CapiDevice, TheAuditFollowsADeviceThatIsOpenedLater) {
  create();
  ASSERT_EQ(passthru_domain_start_audit(domain, 10), 0);
  passthru_device* device = open();
  place(device);
  enable_msix(device);
  program_by_address(0);
  hardware.zero_table();
  EXPECT_TRUE(eventually([&] { return hardware.entry(0) == hardware.host_message(0); }));
  EXPECT_EQ(passthru_device_close(device), 0) << "while the audit runs";
  EXPECT_NE(open(), nullptr);
}

TEST_F(CapiDevice, WithNoResetADeviceIsNeverReset) {
  create();
  passthru_device* device = open(PASSTHRU_NO_RESET);
  EXPECT_EQ(vmm.events.size(), 1U) << "the warning";
  EXPECT_EQ(passthru_device_reset(device), 0);
  EXPECT_EQ(passthru_domain_reset(domain), 0);
  EXPECT_EQ(hardware.resets(), 0U);
}

TEST_F(CapiDevice, AnUnplugRequestIsReportedAndTheVmmCloses) {
  create();
  passthru_device* device = open(PASSTHRU_REPORT_UNPLUG);
  place(device);
  int fds[4];
  size_t count = 4;
  ASSERT_EQ(passthru_device_event_fds(device, fds, &count), 0);
  EXPECT_EQ(count, 2U);
  size_t too_small = 1;
  EXPECT_EQ(passthru_device_event_fds(device, fds, &too_small), -ENOSPC);
  EXPECT_EQ(too_small, 2U);
  hardware.notify(Irq::Request);
  EXPECT_EQ(passthru_device_handle_events(device), 0);
  ASSERT_EQ(vmm.events.size(), 1U);
  EXPECT_EQ(vmm.host.mappings().size(), 1U) << "the VMM decides";
  EXPECT_EQ(passthru_device_close(device), 0);
  EXPECT_THAT(vmm.host.mappings(), IsEmpty());
}

TEST_F(CapiDevice, ADeviceThatIsGoneReadsAllOnes) {
  create();
  passthru_device* device = open();
  place(device);
  hardware.notify(Irq::Request);
  EXPECT_EQ(passthru_device_handle_events(device), 0);
  uint32_t value = 0;
  EXPECT_EQ(passthru_device_config_read(device, 0, 4, &value), 0);
  EXPECT_EQ(value, UINT32_MAX);
  EXPECT_EQ(passthru_device_config_write(device, 4, 2, 6), 0);
  EXPECT_EQ(passthru_device_trigger(device, 0), -ENODEV);
  EXPECT_EQ(passthru_device_reset(device), -ENODEV);
}

TEST_F(CapiDevice, VcpusMayCallWhileTheDeviceIsClosed) {
  create();
  for (unsigned round = 0; round < 20; ++round) {
    passthru_device* device = open();
    place(device);
    std::atomic<bool> stop = false;
    std::thread vcpu([&] {
      while (!stop) {
        uint32_t value = 0;
        const int result = passthru_device_config_read(device, 0, 4, &value);
        EXPECT_TRUE(result == 0 || result == -EINVAL);
        passthru_domain_mmio_read(domain, kCWindow + kCTable, &value, 4);
        passthru_device_bar_read(device, 0, kCTable, &value, 4);
      }
    });
    EXPECT_EQ(passthru_device_close(device), 0);
    stop = true;
    vcpu.join();
    EXPECT_EQ(passthru_device_close(device), -EINVAL);
  }
}

TEST_F(CapiDevice, ManyThreadsCloseADeviceOnce) {
  create();
  for (unsigned round = 0; round < 50; ++round) {
    passthru_device* device = open();
    std::atomic<int> closed = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        const int result = passthru_device_close(device);
        EXPECT_TRUE(result == 0 || result == -EINVAL);
        if (result == 0) ++closed;
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(closed, 1);
  }
}

TEST_F(CapiDevice, DestroyingTheDomainClosesItsDevices) {
  create();
  passthru_device* device = open();
  place(device);
  ASSERT_EQ(passthru_domain_start_audit(domain, 10), 0);
  EXPECT_EQ(passthru_domain_destroy(domain), 0);
  domain = nullptr;
  EXPECT_EQ(passthru_device_close(device), -EINVAL);
  EXPECT_TRUE(kernel->nothing_leaked());
}

TEST_F(CapiDevice, AResetOfTheVmResetsEveryDevice) {
  create();
  passthru_device* device = open();
  place(device);
  const unsigned resets = hardware.resets();
  EXPECT_EQ(passthru_domain_reset(domain), 0);
  EXPECT_EQ(hardware.resets(), resets + 1);
  EXPECT_THAT(vmm.host.mappings(), IsEmpty());
  EXPECT_EQ(passthru_device_reset(device), 0);
  EXPECT_EQ(hardware.resets(), resets + 2);
}

TEST_F(CapiDevice, ItsStateIsReadableAsJson) {
  create();
  passthru_device* device = open();
  char* json = nullptr;
  ASSERT_EQ(passthru_device_inspect_json(device, &json), 0);
  EXPECT_THAT(json, HasSubstr("\"device\":\"0000:00:02.0\""));
  passthru_free(json);
}

TEST_F(CapiDevice, ASavedDeviceGoesOnElsewhereAndOnlyCloses) {
  create();
  passthru_device* device = open();
  place(device);
  size_t largest = 0;
  ASSERT_EQ(passthru_device_state_save(device, nullptr, &largest), 0);
  std::vector<std::byte> state(largest);
  size_t size = largest - 1;
  EXPECT_EQ(passthru_device_state_save(device, state.data(), &size), -ENOSPC);
  EXPECT_EQ(vmm.host.mappings().size(), 1U) << "nothing has changed";
  passthru_descriptors descriptors{};
  descriptors.size = sizeof descriptors;
  ASSERT_EQ(passthru_device_descriptors(device, &descriptors), 0);
  EXPECT_GE(descriptors.device, 0);
  const unsigned resets = hardware.resets();
  size = largest;
  ASSERT_EQ(passthru_device_state_save(device, state.data(), &size), 0) << passthru_last_error();
  EXPECT_LT(size, largest);
  EXPECT_THAT(vmm.host.mappings(), IsEmpty());
  uint32_t ids = 0;
  EXPECT_EQ(passthru_device_config_read(device, 0, 4, &ids), 0);
  EXPECT_EQ(ids, UINT32_MAX) << "an empty slot";
  EXPECT_EQ(passthru_device_state_save(device, state.data(), &largest), -ENODEV);
  EXPECT_EQ(hardware.resets(), resets);
}

TEST_F(CapiDevice, AStateIsLoadedOnlyIntoADeviceThatWaitsForIt) {
  create();
  passthru_device* device = open();
  const uint32_t state = 0;
  EXPECT_EQ(passthru_device_state_load(device, &state, sizeof state), -EINVAL);
  EXPECT_THAT(passthru_last_error(), HasSubstr("runs already"));
}

TEST_F(CapiDevice, AnErrorHasAText) {
  create();
  const auto given = options("0000:00:1f.0");
  passthru_device* device = nullptr;
  EXPECT_EQ(passthru_device_open(domain, &given, &device), -ENOENT);
  EXPECT_THAT(passthru_last_error(), HasSubstr("0000:00:1f.0: cannot"));
  std::thread([] { EXPECT_STREQ(passthru_last_error(), ""); }).join();
}

TEST_F(CapiDevice, ABarDoesNotAppearWhereItIsHidden) {
  create();
  ASSERT_EQ(passthru_domain_hide_bars(domain, kCWindow, 0x1000), 0);
  EXPECT_EQ(passthru_domain_hide_bars(domain, UINT64_MAX, 2), -EINVAL);
  passthru_device* device = open();
  place(device);
  ASSERT_EQ(vmm.host.mappings().size(), 1U);
  EXPECT_EQ(vmm.host.mappings()[0].address, kCWindow + 0x1000);
  uint32_t value = 0;
  EXPECT_EQ(passthru_domain_mmio_read(domain, kCWindow, &value, 4), -ENXIO);
  EXPECT_EQ(passthru_domain_mmio_read(domain, kCWindow + kCTable, &value, 4), 0);
}

TEST_F(CapiDevice, AnAccessOfAnySizeIsSplit) {
  create();
  passthru_device* device = open(PASSTHRU_BARS_BY_VMM);
  std::vector<uint8_t> bytes(40, 0);
  EXPECT_EQ(passthru_device_bar_read(device, 0, 0x4000 - 20, bytes.data(), bytes.size()), 0);
  for (size_t at = 20; at < bytes.size(); ++at) EXPECT_EQ(bytes[at], 0xff) << "beyond the BAR";
  const uint64_t message[] = {0xfee0'1000, 0x0000'0001'0000'0055};
  EXPECT_EQ(passthru_device_bar_write(device, 0, kCTable + 16, message, sizeof message), 0);
  uint64_t read[2] = {};
  EXPECT_EQ(passthru_device_bar_read(device, 0, kCTable + 16, read, sizeof read), 0);
  EXPECT_EQ(read[0], message[0]);
  EXPECT_EQ(read[1], message[1]);
}

TEST_F(CapiDevice, MemoryIsMappedForDmaWhileADeviceIsOpen) {
  create();
  alignas(4096) static std::byte memory[8192];
  EXPECT_EQ(passthru_domain_add_memory(domain, 0x10000, memory, sizeof memory, 0), 0);
  open();
  EXPECT_EQ(kernel->dma_mappings(), 1U);
  EXPECT_EQ(passthru_domain_add_memory(domain, 0x11000, memory, sizeof memory, 0), -EINVAL);
  EXPECT_EQ(passthru_domain_remove_memory(domain, 0x10000), 0);
  EXPECT_EQ(passthru_domain_remove_memory(domain, 0x10000), -ENOENT);
  EXPECT_EQ(kernel->dma_mappings(), 0U);
}

}  // namespace
}  // namespace passthru
