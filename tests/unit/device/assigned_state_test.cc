// SPDX-License-Identifier: MIT
// Tests of a device that goes from one process to another without a reset: the guest finds it as it
// was, and no interrupt is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/device/handover_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr uint32_t kSavedPower = FakeCapability::kPowerManagement + 4;
constexpr uint64_t kPba = kWindow + 0x3000;

constexpr uint64_t control_of(unsigned vector) {
  return kNvmeTable + uint64_t{vector} * 16 + 12;
}

class AssignedState : public HandoverFixture {
 protected:
  /// The guest runs a driver of an NVMe drive with this many vectors.
  void start_first(unsigned vectors, const FakeSpec& spec = FakeSpec::nvme()) {
    open_first(spec);
    start_driver(vectors);
    host.delivered();
  }
  /// Two vectors of MSI, of which one fires between the two processes.
  void expect_msi_goes_on(bool maskable) {
    FakeSpec spec = FakeSpec::nvme();
    spec.msix = {};
    spec.msi_vectors = 4;
    spec.msi_maskable = maskable;
    open_first(spec);
    device->config_write(kMsi + 4, 4, 0xfee0'0000);
    device->config_write(kMsi + 12, 2, 0x40);
    device->config_write(kMsi + 2, 2, 0x11);
    const auto config = config_of(*device);
    const std::string state = save();
    hardware->fire(1);
    go_on(state);
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(config_of(*next), config);
    EXPECT_THAT(next_host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
    EXPECT_EQ(hardware->fire(1), Fired::Delivered);
    EXPECT_THAT(next_host.delivered(), ElementsAre(message_of(1)));
  }
  /// The line is asserted when the second VMM goes on.
  void expect_intx_fires(const std::string& state) {
    go_on(state);
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_TRUE(next_host.intx_delivered());
    hardware->set_intx(false);
    next_host.end_of_intx();
    EXPECT_FALSE(next_host.intx_delivered());
    hardware->set_intx(true);
    EXPECT_TRUE(next_host.intx_delivered());
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, AssignedState, testing::Values(Backend::Group, Backend::Cdev),
                         name_of_backend);

TEST_P(AssignedState, TheGuestFindsItsRegistersItsTableAndItsBarsAsTheyWere) {
  start_first(3);
  device->config_write(0x3c, 1, 0x0b);
  mmio_write(control_of(2), 1);
  const auto config = config_of(*device);
  std::vector<uint32_t> table;
  for (uint64_t at = 0; at < 65 * 16; at += 4) table.push_back(mmio_read(kNvmeTable + at));
  const auto mappings = host.mappings();
  ASSERT_THAT(mappings, SizeIs(1));
  hardware->bar(0)[8] = std::byte{0x77};

  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(config_of(*next), config);
  for (uint64_t at = 0; at < 65 * 16; at += 4) {
    ASSERT_EQ(next_read(kNvmeTable + at), table[at / 4]) << at;
  }
  ASSERT_THAT(next_host.mappings(), SizeIs(1));
  EXPECT_EQ(next_host.mappings()[0].address, mappings[0].address);
  EXPECT_EQ(next_host.mappings()[0].size, mappings[0].size);
  EXPECT_EQ(next_host.mappings()[0].memory[8], std::byte{0x77});
}

TEST_P(AssignedState, TheDeviceIsNotResetAndItsBusMasteringStaysOn) {
  start_first(2);
  const unsigned resets = hardware->resets();
  kernel->forget_calls();
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  for (const FakeCall& call : kernel->calls("pwrite")) {
    EXPECT_NE(call.offset & 0xfff, kCommand) << "COMMAND is as the guest left it";
  }
  device.reset();
  EXPECT_EQ(hardware->resets(), resets);
  EXPECT_THAT(kernel->calls("VFIO_DEVICE_RESET"), IsEmpty());
  EXPECT_EQ(next->config_read(kCommand, 2) & 0x7, 0x6U);
  next_host.delivered();
  EXPECT_EQ(hardware->fire(1), Fired::Delivered);
  EXPECT_THAT(next_host.delivered(), ElementsAre(message_of(1)));
}

TEST_P(AssignedState, BusMasteringThatAResetOfTheLinkTurnsOffComesBack) {
  start_first(1);
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  hardware->backdoor_reset();
  hardware->report_errors(0x0004'0000, 0x0046'2030);  // a fatal malformed TLP
  next->handle_events();
  EXPECT_EQ(next->config_read(kCommand, 2) & 0x4, 0x4U);
}

TEST_P(AssignedState, TheOldVmmFindsADetachedDevice) {
  start_first(1);
  save();
  EXPECT_EQ(device->config_read(0, 4), UINT32_MAX);
  EXPECT_EQ(mmio_read(kNvmeTable), UINT32_MAX);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(host.routes(), 0U);
  EXPECT_EQ(device->trigger(0).error().code, ENODEV);
  EXPECT_EQ(device->save_state().error().code, ENODEV);
  EXPECT_TRUE(device->descriptors()) << "they stay open for the next process";
  EXPECT_THAT(device->inspect().vectors, SizeIs(65)) << "the last state";
}

TEST_P(AssignedState, EachLiveVectorIsSignalledOnce) {
  start_first(2);
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_THAT(next_host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
  EXPECT_THAT(next_host.delivered(), IsEmpty());
}

TEST_P(AssignedState, AMaskedVectorThatFiredIsPendingAndDeliveredOnceOnUnmask) {
  start_first(2);
  mmio_write(control_of(1), 1);
  EXPECT_EQ(hardware->fire(1), Fired::Delivered);
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  next_host.delivered();
  EXPECT_EQ(next_read(kPba), 2U);
  next_write(control_of(1), 0);
  EXPECT_THAT(next_host.delivered(), ElementsAre(message_of(1)));
  EXPECT_EQ(next_read(kPba), 0U);
  EXPECT_THAT(next_host.delivered(), IsEmpty());
}

TEST_P(AssignedState, InterruptsBetweenTheTwoProcessesAreDelivered) {
  start_first(2);
  mmio_write(control_of(1), 1);
  const std::string state = save();
  EXPECT_NE(hardware->msix_control() & 0x8000, 0) << "otherwise the device falls back to INTx";
  EXPECT_EQ(hardware->fire(0), Fired::Pending);
  EXPECT_EQ(hardware->fire(1), Fired::Pending);
  go_on(state);
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_THAT(next_host.delivered(), ElementsAre(message_of(0)));
  EXPECT_EQ(next_read(kPba), 2U);
  next_write(control_of(1), 0);
  EXPECT_THAT(next_host.delivered(), ElementsAre(message_of(1)));
  EXPECT_EQ(hardware->lost(), 0U);
}

TEST_P(AssignedState, AMessageThatTheGuestIsChangingIsDeliveredWhole) {
  start_first(1);
  mmio_write(kNvmeTable, 0xfee0'1000);  // a live entry: in force only with the data
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_THAT(next_host.delivered(), ElementsAre(message_of(0)));
  EXPECT_EQ(next_read(kNvmeTable), 0xfee0'1000U);
  next_write(kNvmeTable + 8, 0x99);
  hardware->fire(0);
  EXPECT_THAT(next_host.delivered(), ElementsAre(MsiMessage{0xfee0'1000, 0x99}));
}

TEST_P(AssignedState, TheGuestGoesOnWithMoreVectors) {
  start_first(2);
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  next_host.delivered();
  const uint64_t entry = kNvmeTable + 9 * 16;
  next_write(entry, static_cast<uint32_t>(message_of(9).address));
  next_write(entry + 8, message_of(9).data);
  next_write(entry + 12, 0);
  next_host.delivered();  // the others may have lost one while the index grew
  for (const unsigned vector : {0U, 1U, 9U}) {
    EXPECT_EQ(hardware->fire(vector), Fired::Delivered) << vector;
    EXPECT_THAT(next_host.delivered(), ElementsAre(message_of(vector)));
  }
  next->config_write(kMsixControl, 2, 0);
  EXPECT_EQ(hardware->allocated(), 0U);
}

TEST_P(AssignedState, MsixThatIsOffStaysOff) {
  open_first(FakeSpec::nvme());
  place(kWindow);
  enable_vector(0);
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_THAT(next_host.delivered(), IsEmpty());
  EXPECT_EQ(hardware->allocated(), 0U);
  next->config_write(kMsixControl, 2, 0x8000);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  EXPECT_THAT(next_host.delivered(), ElementsAre(message_of(0)));
}

TEST_P(AssignedState, InD3HotTheDeviceWakesInTheNextProcess) {
  start_first(1);
  device->config_write(kSavedPower, 2, 3);
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(next->config_read(kSavedPower, 2) & 3, 3U);
  EXPECT_THAT(next_host.mappings(), IsEmpty());
  EXPECT_THAT(next_host.delivered(), IsEmpty());
  EXPECT_EQ(hardware->fire(0), Fired::Pending);
  next->config_write(kSavedPower, 2, 0);
  EXPECT_THAT(next_host.mappings(), SizeIs(1));
  EXPECT_THAT(next_host.delivered(), ElementsAre(message_of(0)));
}

TEST_P(AssignedState, MsiWithoutMaskBitsGoesOnWithAllItsVectors) {
  expect_msi_goes_on(false);
}

TEST_P(AssignedState, MsiWithMaskBitsGoesOnWithAllItsVectors) {
  expect_msi_goes_on(true);
}

TEST_P(AssignedState, IntxThatWasAssertedFiresAgain) {
  open_first(FakeSpec::nvme());
  hardware->set_intx(true);
  EXPECT_TRUE(host.intx_delivered());
  const std::string state = save();
  EXPECT_FALSE(host.intx_armed());
  expect_intx_fires(state);
}

TEST_P(AssignedState, IntxThatIsAssertedBetweenTheTwoProcessesFires) {
  open_first(FakeSpec::nvme());
  const std::string state = save();
  hardware->set_intx(true);
  expect_intx_fires(state);
}

TEST_P(AssignedState, IntxByLevelIsRaisedInTheNextProcess) {
  host.by_level = next_host.by_level = true;
  open_first(FakeSpec::nvme());
  hardware->set_intx(true);
  ASSERT_TRUE(soon_high());
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_FALSE(host.intx_level());
  EXPECT_TRUE(eventually([this] { return next_host.intx_level(); }));
  hardware->set_intx(false);
  next->end_of_intx();
  EXPECT_FALSE(next_host.intx_level());
}

TEST_P(AssignedState, ErrorsAndRequestsOfTheHostReachTheNextProcess) {
  start_first(1);
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  hardware->notify(Irq::Error);
  device->handle_events();
  next->handle_events();
  EXPECT_THAT(host.events, IsEmpty());
  ASSERT_THAT(next_host.events, SizeIs(1));
  EXPECT_EQ(next_host.events[0].kind, Event::Kind::DeviceError);
  device.reset();
  hardware->notify(Irq::Error);
  next->handle_events();
  EXPECT_THAT(next_host.events, SizeIs(2)) << "the old process has unbound only its own";
}

TEST_P(AssignedState, TheMemoryStaysMappedOnceForTheDevice) {
  start_first(1);
  const size_t maps = dma_mappings();
  const uint64_t bytes = device->inspect().dma.bytes;
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  device.reset();
  EXPECT_THAT(kernel->calls("VFIO_DEVICE_DETACH_IOMMUFD_PT"), IsEmpty()) << "its DMA goes on";
  EXPECT_TRUE(eventually([&] { return kernel->dma_mappings() == maps; }));
  EXPECT_EQ(next->inspect().dma.backend, GetParam());
  EXPECT_TRUE(eventually([&] { return next->inspect().dma.bytes == bytes; }));
  EXPECT_THAT(next_host.files, SizeIs(1));
  next.reset();
  EXPECT_THAT(next_host.files, IsEmpty());
}

TEST_P(AssignedState, TheNextProcessDetachesTheDeviceAsItsOwn) {
  start_first(1);
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  device.reset();
  const unsigned resets = hardware->resets();
  next->detach();
  EXPECT_GT(hardware->resets(), resets);
  EXPECT_FALSE(hardware->bound(0));
  EXPECT_EQ(kernel->dma_mappings(), 0U);
}

TEST_P(AssignedState, ADeviceGoesOnThroughSeveralProcesses) {
  start_first(2);
  const unsigned resets = hardware->resets();
  go_on(save());
  ASSERT_FALSE(HasFatalFailure());
  device.reset();
  mmio_write(kNvmeTable, 0);  // the old domain reaches nothing
  auto state = next->save_state();
  ASSERT_TRUE(state) << state.error().message();
  FakeHypervisor third_host(*kernel);
  Domain third_domain(kernel, third_host, sysfs.sysfs());
  auto third = AssignedDevice::open(third_domain,
                                    {.device = hardware->spec().bdf, .start = DeviceStart::Keep},
                                    handed_over(*next, third_domain));
  ASSERT_TRUE(third) << third.error().message();
  ASSERT_TRUE((*third)->load_state(*state));
  next.reset();
  EXPECT_THAT(third_host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
  EXPECT_EQ(hardware->fire(1), Fired::Delivered);
  EXPECT_EQ(hardware->resets(), resets);
}

}  // namespace
}  // namespace passthru
