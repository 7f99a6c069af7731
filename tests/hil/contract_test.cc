// SPDX-License-Identifier: MIT
// Tests that the running Linux keeps the contract that FakeKernel imitates, with every device that
// is bound to vfio-pci. Backdoor resets go through sysfs, past VFIO.
#include "pci/sysfs.h"
#include "tests/contract/attach_contract.h"
#include "tests/contract/gone_contract.h"
#include "tests/contract/interrupt_contract.h"
#include "tests/contract/node_contract.h"
#include "tests/contract/region_contract.h"
#include "tests/hil/borrowed_device.h"
#include "tests/hil/bound_devices.h"
#include "tests/hil/taken_away.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

std::vector<ContractSource> sources(const std::vector<BoundDevice>& devices) {
  std::vector<ContractSource> sources;
  for (const BoundDevice& device : devices) {
    sources.push_back({device.name(), [=] {
                         const DeviceHandle door = device.door();
                         ContractTarget target{std::make_shared<LinuxKernel>(), door.group,
                                               door.bdf, door.backend, door.cdev};
                         const auto function = Sysfs().function(door.bdf);
                         target.virtual_function = function && function->physical_function;
                         target.backdoor_reset = [=] { device.reset_behind_vfio(); };
                         return target;
                       }});
  }
  return sources;
}

/// Returns the emulator's entropy source, which is alone below a port, and two ehci below a bridge,
/// which have no capabilities.
std::vector<Bdf> devices_to_take_away() {
  std::vector<Bdf> found = functions_with(0x1af4, 0x1044);
  for (const Bdf ehci : functions_with(0x8086, 0x24cd)) found.push_back(ehci);
  return found;
}

std::vector<ContractSource> sources_to_take_away() {
  std::vector<ContractSource> sources;
  for (const Bdf bdf : devices_to_take_away()) {
    sources.push_back(
        {BoundDevice{.bdf = bdf}.name(), [bdf] {
           std::shared_ptr<BorrowedDevice> borrowed = BorrowedDevice::borrow(bdf).value();
           std::shared_ptr<Bridge> bridge = Bridge::above(bdf).value();
           const auto function = Sysfs().function(bdf).value();
           const DeviceHandle door = BoundDevice{bdf, function.iommu_group.value_or(0)}.door();
           ContractTarget target{std::make_shared<LinuxKernel>(), door.group, door.bdf,
                                 door.backend, door.cdev};
           target.set_gone = [borrowed, bridge](bool gone) { bridge->pass(!gone); };
           return target;
         }});
  }
  return sources;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KernelContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GroupContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(NodeContract);
INSTANTIATE_TEST_SUITE_P(Linux, KernelContract, testing::ValuesIn(sources(bound_devices())),
                         [](const auto& each) { return each.param.name; });
INSTANTIATE_TEST_SUITE_P(Linux, GroupContract,
                         testing::ValuesIn(sources(devices_by(Backend::Group))),
                         [](const auto& each) { return each.param.name; });
INSTANTIATE_TEST_SUITE_P(Linux, NodeContract, testing::ValuesIn(sources(devices_by(Backend::Cdev))),
                         [](const auto& each) { return each.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BackdoorResetContract);
INSTANTIATE_TEST_SUITE_P(Linux, BackdoorResetContract,
                         testing::ValuesIn(sources(devices_with_flr())),
                         [](const auto& each) { return each.param.name; });

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(IntxContract);
INSTANTIATE_TEST_SUITE_P(Linux, IntxContract, testing::ValuesIn(sources(devices_with_pin())),
                         [](const auto& each) { return each.param.name; });

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoneContract);
INSTANTIATE_TEST_SUITE_P(Linux, GoneContract, testing::ValuesIn(sources_to_take_away()),
                         [](const auto& each) { return each.param.name; });

// A suite that runs for each device of a kind reports nothing if there is no such device. These
// tests are then skipped, and in the lab a skipped test is a failure.
constexpr const char* kAdvice =
    "bind an unused device with 'passthru bind BDF', or run this in the lab: scripts/lab run "
    "--nvme build/lab/x.img --bind 0000:00:02.0";

TEST(BoundDevices, OneIsHere) {
  if (bound_devices().empty()) GTEST_SKIP() << "no device is bound to vfio-pci: " << kAdvice;
}

TEST(BoundDevices, OneWithMsixIsHere) {
  if (devices_with_msix().empty()) GTEST_SKIP() << "no bound device has MSI-X: " << kAdvice;
}

TEST(BoundDevices, OneWithAFunctionLevelResetIsHere) {
  if (devices_with_flr().empty()) GTEST_SKIP() << "no bound device has an FLR: " << kAdvice;
}

TEST(BoundDevices, OneWithAnInterruptPinIsHere) {
  if (devices_with_pin().empty()) GTEST_SKIP() << "no bound device has a pin: " << kAdvice;
}

TEST(BoundDevices, OneToTakeAwayIsHere) {
  if (functions_with(0x1af4, 0x1044).empty()) {
    GTEST_SKIP() << "no virtio-rng-pci below a port. Use: scripts/lab run --device "
                    "pcie-root-port,id=port --device virtio-rng-pci,bus=port";
  }
}

}  // namespace
}  // namespace passthru
