// SPDX-License-Identifier: MIT
// Tests of LinuxKernel's ioctl arguments and of its handling of answers, including answers that a
// kernel seldom gives. This binary's ioctl asks the test first.
#include "vfio/linux_kernel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstring>

#include "tests/unit/vfio/answered_ioctl.h"

extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  if (passthru::t_answer != nullptr) return (*passthru::t_answer)(request, argument);
  return static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
}

namespace passthru {
namespace {

constexpr int kDeviceFd = 1000;

TEST(LinuxKernel, APositiveAnswerToSetIrqsIsAnErrorThatSaysHowManyVectorsThereAre) {
  const Answering kernel([](unsigned long, void*) { return 12; });
  const std::vector<int> eventfds(16, -1);
  const auto bound = LinuxKernel().bind_irqs(kDeviceFd, {.index = Irq::Msix, .eventfds = eventfds});
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().code, ENOSPC);
  EXPECT_EQ(bound.error().index, 12U);
  EXPECT_THAT(bound.error().message(), ::testing::HasSubstr("12 vectors"));
}

TEST(LinuxKernel, BindingHandsOverEveryEventfdInOneCall) {
  unsigned calls = 0;
  const Answering kernel([&](unsigned long request, void* argument) {
    const auto* set = static_cast<const vfio_irq_set*>(argument);
    ++calls;
    EXPECT_EQ(request, static_cast<unsigned long>(VFIO_DEVICE_SET_IRQS));
    EXPECT_EQ(set->argsz, sizeof *set + 12);
    EXPECT_EQ(set->flags, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
    EXPECT_EQ(set->index, static_cast<uint32_t>(VFIO_PCI_MSIX_IRQ_INDEX));
    EXPECT_EQ(set->start, 5U);
    EXPECT_EQ(set->count, 3U);
    const int expected[] = {7, -1, 8};
    EXPECT_EQ(std::memcmp(set->data, expected, sizeof expected), 0);
    return 0;
  });
  const int eventfds[] = {7, -1, 8};
  EXPECT_TRUE(
      LinuxKernel().bind_irqs(kDeviceFd, {.index = Irq::Msix, .start = 5, .eventfds = eventfds}));
  EXPECT_EQ(calls, 1U);
}

TEST(LinuxKernel, DisablingMaskingAndTriggeringCarryNoData) {
  std::vector<uint32_t> flags;
  const Answering kernel([&](unsigned long, void* argument) {
    const auto* set = static_cast<const vfio_irq_set*>(argument);
    EXPECT_EQ(set->argsz, sizeof *set);
    flags.push_back(set->flags);
    EXPECT_EQ(set->count, flags.size() == 1 ? 0U : 1U);
    return 0;
  });
  EXPECT_TRUE(LinuxKernel().disable_irqs(kDeviceFd, Irq::Intx));
  for (const IrqAction action : {IrqAction::Mask, IrqAction::Unmask, IrqAction::Trigger}) {
    EXPECT_TRUE(LinuxKernel().act_on_irqs(kDeviceFd, Irq::Intx, action, 0, 1));
  }
  EXPECT_THAT(flags, ::testing::ElementsAre(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
                                            VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK,
                                            VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
                                            VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER));
}

TEST(LinuxKernel, ARegionIsAskedForAgainWithRoomForItsCapabilities) {
  std::vector<uint32_t> asked;
  const Answering kernel([&](unsigned long, void* argument) {
    auto* info = static_cast<vfio_region_info*>(argument);
    const uint32_t room = info->argsz;
    asked.push_back(room);
    EXPECT_EQ(info->index, static_cast<uint32_t>(VFIO_PCI_BAR2_REGION_INDEX));
    info->argsz = sizeof *info + sizeof(vfio_info_cap_header);
    info->flags =
        VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
    info->size = 0x4000;
    info->offset = 0x20000000000;
    info->cap_offset = 0;
    if (room < info->argsz) return 0;
    info->cap_offset = sizeof *info;
    const vfio_info_cap_header header{VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, 0};
    std::memcpy(info + 1, &header, sizeof header);
    return 0;
  });
  const auto info = LinuxKernel().region_info(kDeviceFd, Region::Bar2);
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_THAT(asked, ::testing::ElementsAre(32, 40));
  EXPECT_EQ(info->size, 0x4000U);
  EXPECT_EQ(info->fd_offset, 0x20000000000U);
  EXPECT_TRUE(info->readable && !info->writable && info->mappable && info->msix_mappable);
}

TEST(LinuxKernel, ARegionThatAlwaysWantsMoreRoomIsGivenUp) {
  for (const uint32_t more : {8U, UINT32_MAX / 2}) {
    unsigned calls = 0;
    const Answering kernel([&](unsigned long, void* argument) {
      ++calls;
      static_cast<vfio_region_info*>(argument)->argsz += more;
      return 0;
    });
    EXPECT_EQ(LinuxKernel().region_info(kDeviceFd, Region::Bar0).error().code, EMSGSIZE);
    EXPECT_LE(calls, 3U);
  }
}

TEST(LinuxKernel, UnmappingLessThanAskedForIsNoSuccess) {
  const Answering kernel([](unsigned long, void* argument) {
    static_cast<vfio_iommu_type1_dma_unmap*>(argument)->size = 0;
    return 0;
  });
  EXPECT_EQ(LinuxKernel().unmap_dma(kDeviceFd, 0, 4096).error().code, ENOENT);
}

TEST(LinuxKernel, AnErrorCarriesErrnoAndTheNameOfTheCall) {
  const Answering refusing([](unsigned long, void*) {
    errno = ENXIO;
    return -1;
  });
  LinuxKernel kernel;
  const int none = -1;
  const struct {
    const char* name;
    Result<void> result;
  } cases[] = {
      {"VFIO_GROUP_SET_CONTAINER", kernel.set_container(1, 2)},
      {"VFIO_GROUP_UNSET_CONTAINER", kernel.unset_container(1)},
      {"VFIO_SET_IOMMU", kernel.set_iommu(1, 3)},
      {"VFIO_IOMMU_MAP_DMA", kernel.map_dma(1, 0, {}, true)},
      {"VFIO_IOMMU_UNMAP_DMA", kernel.unmap_dma(1, 0, 4096)},
      {"VFIO_DEVICE_SET_IRQS", kernel.bind_irqs(1, {.eventfds = {&none, 1}})},
      {"VFIO_DEVICE_SET_IRQS", kernel.disable_irqs(1, Irq::Msi)},
      {"VFIO_DEVICE_RESET", kernel.reset_device(1)},
  };
  for (const auto& each : cases) {
    ASSERT_FALSE(each.result) << each.name;
    EXPECT_EQ(each.result.error().operation, each.name);
    EXPECT_EQ(each.result.error().code, ENXIO);
  }
  EXPECT_EQ(kernel.open_device(1, "0000:00:02.0").error().operation, "VFIO_GROUP_GET_DEVICE_FD");
  EXPECT_EQ(kernel.region_info(1, Region::Bar0).error().operation, "VFIO_DEVICE_GET_REGION_INFO");
}

TEST(LinuxKernel, AGroupThatIsNotThereIsNamedByItsPath) {
  const auto group = LinuxKernel().open_group(4000000);
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ENOENT);
  EXPECT_EQ(group.error().operation, "open /dev/vfio/4000000");
}

TEST(LinuxKernel, AShortTransferIsAnError) {
  const Fd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  std::array<std::byte, 4> bytes{};
  EXPECT_EQ(LinuxKernel().read_region(file.get(), 0, bytes).error().code, EIO);
  EXPECT_EQ(LinuxKernel().read_region(-1, 0, bytes).error().code, EBADF);
}

TEST(LinuxKernel, AnEventfdNeverBlocksAndIsNotInherited) {
  LinuxKernel kernel;
  const auto eventfd = kernel.make_eventfd();
  ASSERT_TRUE(eventfd);
  EXPECT_NE(fcntl(eventfd->get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(eventfd->get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(*kernel.drain_eventfd(eventfd->get()), 0U);
  ASSERT_TRUE(kernel.signal_eventfd(eventfd->get()));
  ASSERT_TRUE(kernel.signal_eventfd(eventfd->get()));
  EXPECT_EQ(*kernel.drain_eventfd(eventfd->get()), 2U);
  EXPECT_EQ(kernel.drain_eventfd(-1).error().code, EBADF);
}

}  // namespace
}  // namespace passthru
