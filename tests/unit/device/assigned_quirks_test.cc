// SPDX-License-Identifier: MIT
// Devices whose capabilities do not match their BARs, and what their guests get.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <string>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint32_t kPbaRegister = FakeCapability::kMsix + 8;

class AssignedQuirks : public AssignedFixture {
 protected:
  /// A drive whose capability says that the pending bits are at this place.
  void open_drive(uint64_t pba_offset, unsigned pba_bar, const AssignOptions& options = {}) {
    FakeSpec spec = FakeSpec::nvme();
    spec.msix.pba_bar = pba_bar;
    spec.msix.pba_offset = pba_offset;
    hardware = &plug(spec);
    open(options);
  }
};

TEST_F(AssignedQuirks, Case9PendingBitsBeyondTheirBarGetABarOfTheirOwn) {
  open_drive(0x8000, 0);
  EXPECT_EQ(device->config_read(kPbaRegister, 4), 2U) << "offset 0 of BAR 2";
  place(kWindow);
  place(kElsewhere, 2);
  EXPECT_TRUE(mapped(kWindow + 0x3000)) << "the device has only registers there";
  EXPECT_FALSE(mapped(kWindow + 0x2000)) << "the table stays in its place";
  enable_msix();
  enable_vector(64);
  EXPECT_EQ(hardware->fire(64), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(64)));
  mmio_write(kWindow + 0x2000 + 64 * 16 + 12, 1);  // mask
  hardware->fire(64);
  EXPECT_EQ(mmio_read(kElsewhere + 8), 1U) << "pending";
}

TEST_F(AssignedQuirks, Case9ItIsReportedOnce) {
  open_drive(0x8000, 0);
  ASSERT_THAT(host.events, SizeIs(1));
  EXPECT_EQ(host.events[0].kind, Event::Kind::DeviceLimited);
  EXPECT_THAT(host.events[0].detail, HasSubstr("at offset 0x8000 of BAR 0"));
  EXPECT_THAT(host.events[0].detail, HasSubstr("in BAR 2"));
  ASSERT_TRUE(device->reset());
  EXPECT_EQ(device->config_read(kPbaRegister, 4), 2U);
  EXPECT_THAT(host.events, SizeIs(1));
}

TEST_F(AssignedQuirks, Case9PendingBitsInABarThatTheDeviceLacksGetOne) {
  open_drive(0, 4);
  EXPECT_EQ(device->config_read(kPbaRegister, 4), 2U);
  EXPECT_THAT(host.events, SizeIs(1));
}

TEST_F(AssignedQuirks, Case9SoundPendingBitsStayAndNothingIsReported) {
  open_drive(0x3000, 0);
  EXPECT_EQ(device->config_read(kPbaRegister, 4), 0x3000U);
  EXPECT_THAT(host.events, IsEmpty());
}

TEST_F(AssignedQuirks, Case9TableAndPendingBitsCanStillBePutIntoAChosenBar) {
  open_drive(0x8000, 0, {.msix = {.kind = MsixChoice::Kind::Bar, .bar = 4}});
  EXPECT_EQ(device->config_read(FakeCapability::kMsix + 4, 4), 4U);
  EXPECT_EQ(device->config_read(kPbaRegister, 4), 0x414U);
}

TEST_F(AssignedQuirks, Case12ADeviceThatIsDeadAfterItsResetIsRefusedWithThatReset) {
  hardware = &plug(FakeSpec::nvme());
  const std::string directory = "bus/pci/devices/" + hardware->spec().bdf.str();
  sysfs.put(directory + "/reset_method", "flr bus\n").put(directory + "/power_state", "D0\n");
  hardware->set_reset_pause([this] { hardware->set_gone(true); });
  auto refused = try_open({.response_timeout = std::chrono::milliseconds(0)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EIO);
  EXPECT_EQ(refused.error().cause, "its config space reads as all ones after its reset (flr)");
  EXPECT_TRUE(kernel->nothing_leaked());
}

TEST_F(AssignedQuirks, Case12ADeadDevicesPowerStateIsNamedUnlessItIsD0) {
  FakeSpec spec = FakeSpec::nvme();
  spec.resets = false;
  hardware = &plug(spec);
  sysfs.put("bus/pci/devices/" + spec.bdf.str() + "/power_state", "D3cold\n");
  hardware->set_gone(true);
  auto refused = try_open({.response_timeout = std::chrono::milliseconds(0)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().cause,
            "its config space reads as all ones; the kernel has it in D3cold");
}

}  // namespace
}  // namespace passthru
