// SPDX-License-Identifier: MIT
// Refusals of the kernel while a device is attached, and the facts of sysfs that explain them.
#include "vfio/attach_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/sysfs_tree.h"
#include "vfio/device.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kDirect = "0x00000000df000000 0x00000000df1fffff direct\n";
constexpr const char* kRelaxable = "0x00000000df000000 0x00000000df1fffff direct-relaxable\n";
constexpr const char* kMessages = "0x00000000fee00000 0x00000000feefffff msi\n";

TEST(DirectRegions, Case1AreThoseThatTheKernelMustKeepMapped) {
  EXPECT_THAT(parse_direct_regions(std::string(kMessages) + kDirect +
                                   "0x00000000000e0000 0x00000000000fffff direct\n"),
              ElementsAre(IovaRange{0xdf000000, 0xdf1fffff}, IovaRange{0xe0000, 0xfffff}));
  for (const char* text :
       {"", "\n", kMessages, kRelaxable, "0x1 0x2 reserved\n", "0x1 direct\n", "x y direct\n",
        "0x2 0x1 direct\n", "0x1ffffffffffffffff 0x2 direct\n"}) {
    EXPECT_THAT(parse_direct_regions(text), IsEmpty()) << text;
  }
}

TEST(UnusableRegions, AreThoseThatTheKernelNeitherMapsNorRelaxes) {
  EXPECT_THAT(parse_unusable_regions(std::string(kMessages) + kDirect + kRelaxable +
                                     "0x000000fd00000000 0x000000ffffffffff reserved\n"
                                     "0x0000000000001000 0x0000000000001fff of-the-future\n"),
              ElementsAre(IovaRange{0xfee00000, 0xfeefffff},
                          IovaRange{0xfd'0000'0000, 0xff'ffff'ffff}, IovaRange{0x1000, 0x1fff}));
  for (const char* text : {"", "\n", kDirect, kRelaxable, "0x1 reserved\n", "0x1 0x2\n",
                           "x y reserved\n", "0x2 0x1 msi\n"}) {
    EXPECT_THAT(parse_unusable_regions(text), IsEmpty()) << text;
  }
}

/// The device of group 2, opened in one way, on a host that may reserve memory for it.
class AttachRefused : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    kernel.add(FakeSpec::nvme());
    sysfs.add({.driver = "vfio-pci", .group = 2, .vfio_dev = true});
  }
  void reserve(const char* regions) {
    sysfs.put("kernel/iommu_groups/2/reserved_regions", std::string(kMessages) + regions);
  }
  void remap_interrupts() { sysfs.put("kernel/irq/24/chip_name", "IR-PCI-MSI-0000:00:02.0\n"); }
  Error refused(const char* call, int code) {
    kernel.fail(call, code);
    const Sysfs seen = sysfs.sysfs();
    const FakeSpec spec = FakeSpec::nvme();
    auto opened = VfioDevice::open(
        kernel, dma, GetParam() == Backend::Cdev ? spec.cdev_door() : spec.door(), false, &seen);
    EXPECT_FALSE(opened);
    return opened ? Error{} : opened.error();
  }
  [[nodiscard]] static bool by_node() { return GetParam() == Backend::Cdev; }

  FakeKernel kernel;
  SysfsTree sysfs;
  DmaSpace dma{kernel};
};

TEST_P(AttachRefused, Case1TheErrorNamesTheMemoryThatFirmwareReserves) {
  reserve(kDirect);
  remap_interrupts();
  const struct {
    const char* call;
    int code;
    bool by_node;
  } cases[] = {{"VFIO_SET_IOMMU", EPERM, false},
               {"VFIO_GROUP_SET_CONTAINER", EPERM, false},
               {"VFIO_GROUP_SET_CONTAINER", EINVAL, false},
               {"VFIO_DEVICE_BIND_IOMMUFD", EINVAL, true}};
  for (const auto& [call, code, node] : cases) {
    if (node != by_node()) continue;
    const Error error = refused(call, code);
    EXPECT_EQ(error.code, EPERM) << call;
    EXPECT_EQ(error.operation, call);
    EXPECT_THAT(error.cause, HasSubstr("0xdf000000 to 0xdf1fffff")) << call;
    EXPECT_THAT(error.message(), Not(HasSubstr("remapping"))) << call;
    EXPECT_THAT(error.message(), Not(HasSubstr("another process"))) << call;
  }
  EXPECT_TRUE(kernel.nothing_leaked());
}

TEST_P(AttachRefused, Case1ARelaxableRegionIsNotTheCause) {
  reserve(kRelaxable);
  const Error error =
      by_node() ? refused("VFIO_DEVICE_BIND_IOMMUFD", EINVAL) : refused("VFIO_SET_IOMMU", EPERM);
  EXPECT_THAT(error.message(), Not(HasSubstr("firmware reserves")));
  EXPECT_THAT(error.cause, HasSubstr(by_node() ? "another process" : "no interrupt remapping"));
}

TEST_P(AttachRefused, Case1OtherErrorsKeepTheirCause) {
  reserve(kDirect);
  if (by_node()) {
    EXPECT_THAT(refused("VFIO_DEVICE_BIND_IOMMUFD", EBUSY).cause, HasSubstr("another process"));
  } else {
    EXPECT_EQ(refused("VFIO_SET_IOMMU", EINVAL).code, EINVAL);
    EXPECT_EQ(refused("VFIO_GROUP_SET_CONTAINER", ENOMEM).code, ENOMEM);
  }
}

TEST_P(AttachRefused, Case1RemappingIsNotCalledMissingIfItIsThere) {
  const char* const call = by_node() ? "VFIO_DEVICE_BIND_IOMMUFD" : "VFIO_SET_IOMMU";
  EXPECT_THAT(refused(call, EPERM).cause, HasSubstr("no interrupt remapping"))
      << "sysfs does not show it";
  sysfs.put("kernel/irq/1/chip_name", "IO-APIC\n");
  EXPECT_THAT(refused(call, EPERM).cause, HasSubstr("no interrupt remapping")) << "it is off";
  remap_interrupts();
  const Error error = refused(call, EPERM);
  EXPECT_EQ(error.code, EPERM);
  EXPECT_THAT(error.message(), Not(HasSubstr("no interrupt remapping")));
  EXPECT_THAT(error.message(), Not(HasSubstr("allow_unsafe_interrupts")));
  EXPECT_THAT(error.message(), HasSubstr(by_node() ? "another owner" : "dmesg"));
}

TEST_P(AttachRefused, Case1ADeviceWithARelaxableRegionIsOpened) {
  reserve(kRelaxable);
  const Sysfs seen = sysfs.sysfs();
  const FakeSpec spec = FakeSpec::nvme();
  EXPECT_TRUE(
      VfioDevice::open(kernel, dma, by_node() ? spec.cdev_door() : spec.door(), false, &seen));
}

INSTANTIATE_TEST_SUITE_P(Ways, AttachRefused, testing::Values(Backend::Group, Backend::Cdev),
                         [](const auto& test) {
                           return std::string(test.param == Backend::Cdev ? "Node" : "Group");
                         });

}  // namespace
}  // namespace passthru
