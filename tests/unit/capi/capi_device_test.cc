// SPDX-License-Identifier: MIT
// Tests of a device through the C interface: events, resets, its state as JSON, DMA.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "base/fd.h"
#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

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

TEST_F(CapiDevice, AResetOfTheVmResetsEveryDevice) {
  FakeDevice& other = plug(FakeSpec::e1000e());
  create();
  passthru_device* device = open();
  open(0, "0000:00:03.0");
  place(device);
  const unsigned resets = hardware.resets();
  const unsigned resets_of_other = other.resets();
  EXPECT_EQ(passthru_domain_reset(domain), 0);
  EXPECT_EQ(hardware.resets(), resets + 1);
  EXPECT_EQ(other.resets(), resets_of_other + 1);
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
  EXPECT_THAT(json, HasSubstr("\"version\":1"));
  passthru_free(json);
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

TEST_F(CapiDevice, MemoryOfAFileIsMappedByTheFileIfTheKernelCan) {
  plug_with_node(FakeSpec::e1000e());
  constexpr size_t kSize = 8192;
  const Fd file(::memfd_create("guest memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_TRUE(file);
  ASSERT_EQ(::ftruncate(file.get(), kSize), 0);
  void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  for (const bool can : {true, false}) {
    kernel->set_maps_files(can);
    create();
    {
      const Fd copy(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
      EXPECT_EQ(passthru_domain_add_memory_fd(domain, 0x10000, copy.get(), 0, memory, kSize, 0), 0)
          << passthru_last_error();
    }
    kernel->forget_calls();
    EXPECT_NE(open(0, "0000:00:03.0"), nullptr);
    EXPECT_FALSE(kernel->calls("IOMMU_IOAS_MAP_FILE").empty()) << "the library has its own copy";
    EXPECT_EQ(kernel->calls("IOMMU_IOAS_MAP").empty(), can);
    EXPECT_EQ(kernel->dma_mappings(), 1U);
    EXPECT_EQ(passthru_domain_destroy(domain), 0);
    domain = nullptr;
  }
  ::munmap(memory, kSize);
}

}  // namespace
}  // namespace passthru
