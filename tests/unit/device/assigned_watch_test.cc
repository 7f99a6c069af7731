// SPDX-License-Identifier: MIT
// Tests of watching a vector of an assigned device, as an inspecting client does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "irq/trace_label.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

class AssignedWatch : public AssignedFixture {
 protected:
  void SetUp() override { open_driven(2); }
  VectorInspection vector(unsigned index) { return device->inspect().vectors.at(index); }
};

TEST_F(AssignedWatch, ItsInterruptsAreTimedTracedAndStillDelivered) {
  ASSERT_TRUE(device->watch(1, true));
  EXPECT_EQ(vector(1).owner, EventfdOwner::Forwarder);
  hardware->fire(1);
  ASSERT_TRUE(eventually([this] { return !domain.interrupts().trace().empty(); }));
  EXPECT_THAT(host.delivered(), testing::SizeIs(1));
  const auto trace = domain.interrupts().trace();
  ASSERT_THAT(trace, testing::SizeIs(1));
  EXPECT_EQ(TraceLabel::of(trace[0].label),
            (TraceLabel{.device = hardware->spec().bdf, .vector = 1}));
  EXPECT_EQ(vector(1).forwarded->delivered, 1U);
  ASSERT_TRUE(device->watch(1, false));
  EXPECT_EQ(vector(1).owner, EventfdOwner::Irqfd);
  EXPECT_EQ(vector(1).forwarded->delivered, 1U);
}

TEST_F(AssignedWatch, AVectorThatIsNotThereAndADeviceThatIsGoneAreErrors) {
  auto none = device->watch(5000, true);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, EINVAL);
  EXPECT_THAT(none.error().message(),
              testing::AllOf(testing::HasSubstr(hardware->spec().bdf.str()),
                             testing::HasSubstr("5000"), testing::HasSubstr("vectors")));
  device->detach();
  const auto gone = device->watch(1, true);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ENODEV);
  EXPECT_EQ(gone.error().message(), "0000:00:02.0: cannot watch a vector: the device was detached");
  const auto triggered = device->trigger(1);
  ASSERT_FALSE(triggered);
  EXPECT_EQ(triggered.error().code, ENODEV);
  EXPECT_EQ(triggered.error().message(),
            "0000:00:02.0: cannot trigger a vector: the device was detached");
}

}  // namespace
}  // namespace passthru
