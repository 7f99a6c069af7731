// SPDX-License-Identifier: MIT
// Tests of the errors and hints if a group cannot be attached or memory cannot be mapped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/unit/vfio/dma_space_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

TEST_F(DmaSpaceTest, AGroupOfAnotherProcessIsNamedWithAWayToFindIt) {
  DmaSpace other(kernel_);
  ASSERT_TRUE(other.attach_group(2));
  const auto attached = dma_.attach_group(2);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, EBUSY);
  EXPECT_THAT(attached.error().message(), HasSubstr("another process uses group 2"));
  EXPECT_THAT(attached.error().advice, HasSubstr("fuser -v /dev/vfio/2"));
}

TEST_F(DmaSpaceTest, WhatCannotBeOpenedSaysWhatToDo) {
  const struct {
    const char* call;
    int code;
    const char* advice;
  } cases[] = {
      {"open_container", ENOENT, "modprobe vfio-pci"},
      {"open_container", ENODEV, "modprobe vfio-pci"},
      {"open_container", EACCES, "/dev/vfio/vfio"},
      {"open_group", EACCES, "chown USER /dev/vfio/2"},
      {"open_container", EPERM, "DeviceAllow=/dev/vfio/vfio rw"},
      {"open_group", EPERM, "DeviceAllow=/dev/vfio/2 rw"},
      {"open_group", ENOENT, "passthru bind"},
  };
  for (const auto& each : cases) {
    kernel_.fail(each.call, each.code);
    const auto attached = dma_.attach_group(2);
    ASSERT_FALSE(attached) << each.call;
    EXPECT_EQ(attached.error().code, each.code);
    EXPECT_THAT(attached.error().advice, HasSubstr(each.advice)) << each.call << each.code;
  }
}

TEST_F(DmaSpaceTest, AGroupThatIsNotViableIsNamed) {
  kernel_.set_group_viable(2, false);
  const auto attached = dma_.attach_group(2);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, EPERM);
  EXPECT_THAT(attached.error().message(), HasSubstr("group 2 is not viable"));
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(DmaSpaceTest, WhatIsNoContainerIsRefusedAndTheRightOneMayFollow) {
  {
    DmaSpace dma(kernel_);
    constexpr int kClosed = 1000;
    const int something_else = kernel_.open_group(3)->release();
    for (const auto& [fd, code] : {std::pair{kClosed, EBADF}, std::pair{something_else, ENOTTY}}) {
      const auto refused = dma.use_container(Fd(fd));
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, code);
      EXPECT_EQ(refused.error().cause,
                "descriptor " + std::to_string(fd) + " is not a VFIO container");
      EXPECT_THAT(refused.error().advice, HasSubstr("/dev/vfio/vfio"));
    }
    EXPECT_EQ(kernel_.open_fds(), 0U) << "the given descriptors are closed";

    ASSERT_TRUE(dma.use_container(std::move(*kernel_.open_container())));
    EXPECT_TRUE(dma.attach_group(2));
    dma.detach_group(2);
  }
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(DmaSpaceTest, TooSmallAMemlockLimitSaysHowMuchIsNeededInAll) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  ASSERT_TRUE(dma_.add(0x100000, pages(3), true));
  kernel_.set_locked_memory_limit(3 * kPage);
  const auto attached = dma_.attach_group(2);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, ENOMEM);
  EXPECT_THAT(attached.error().cause,
              HasSubstr("20480 bytes are needed, RLIMIT_MEMLOCK is 12288 bytes"));
  EXPECT_THAT(attached.error().advice, HasSubstr("ulimit -l 20"));
  EXPECT_THAT(attached.error().advice, HasSubstr("LimitMEMLOCK="));
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(DmaSpaceTest, WhatIsOfferedIsNotLockedAndNotCounted) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  ASSERT_TRUE(dma_.offer(0x100000, pages(3)));
  kernel_.set_locked_memory_limit(kPage);
  EXPECT_THAT(dma_.attach_group(2).error().cause, HasSubstr("8192 bytes are needed"));
}

TEST_F(DmaSpaceTest, WithoutALimitItIsMemoryThatIsMissing) {
  ASSERT_TRUE(dma_.add(0, pages(2), true));
  kernel_.fail("VFIO_IOMMU_MAP_DMA", ENOMEM);
  EXPECT_THAT(dma_.attach_group(2).error().cause, HasSubstr("8192 bytes of guest memory"));
}

TEST(DmaSpaceInterrupts, WithoutRemappingAGroupIsRefused) {
  FakeKernel kernel;
  kernel.set_interrupt_remapping(false);
  kernel.add(FakeSpec::nvme());
  DmaSpace dma(kernel);
  for (const bool agreed : {false, true}) {
    const auto attached = dma.attach_group(2, agreed);
    ASSERT_FALSE(attached) << "type1 itself refuses";
    EXPECT_EQ(attached.error().code, EPERM);
    EXPECT_THAT(attached.error().cause, HasSubstr("no interrupt remapping"));
    EXPECT_THAT(attached.error().advice, HasSubstr("allow_unsafe_interrupts"));
    EXPECT_THAT(attached.error().advice, HasSubstr("--allow-unsafe-interrupts"));
  }
  EXPECT_TRUE(kernel.nothing_leaked());
}

TEST(DmaSpaceInterrupts, WhereType1DoesNotInsistTheUserMustAgree) {
  FakeKernel kernel;
  kernel.set_interrupt_remapping(false);
  kernel.set_unsafe_interrupts_allowed(true);
  kernel.add(FakeSpec::nvme());
  DmaSpace dma(kernel);
  const auto attached = dma.attach_group(2);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, EPERM);
  EXPECT_THAT(attached.error().advice, HasSubstr("--allow-unsafe-interrupts"));
  EXPECT_TRUE(dma.attach_group(2, true));
}

TEST(DmaSpaceInterrupts, ASecondGroupIsRefusedAlike) {
  FakeKernel kernel;
  kernel.add(FakeSpec::nvme());
  kernel.add(FakeSpec::e1000e());
  DmaSpace dma(kernel);
  ASSERT_TRUE(dma.attach_group(2));
  kernel.set_interrupt_remapping(false);
  const auto attached = dma.attach_group(3);
  ASSERT_FALSE(attached);
  EXPECT_THAT(attached.error().cause, HasSubstr("group 3 has no interrupt remapping"));
}

}  // namespace
}  // namespace passthru
