// SPDX-License-Identifier: MIT
// That the running Linux keeps the contract that FakeKernel imitates, with every device that is
// bound to vfio-pci here. Backdoor resets are done through sysfs, past VFIO.
#include "tests/contract/attach_contract.h"
#include "tests/contract/interrupt_contract.h"
#include "tests/contract/region_contract.h"
#include "tests/hil/bound_devices.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

enum class Which { All, WithFlr };

std::vector<ContractSource> sources(Which which) {
  std::vector<ContractSource> sources;
  for (const BoundDevice& device : bound_devices()) {
    if (which == Which::WithFlr && !device.has_flr()) continue;
    sources.push_back(
        {device.name(), [=] {
           ContractTarget target{std::make_shared<LinuxKernel>(), device.group, device.bdf};
           target.backdoor_reset = [=] { device.reset_behind_vfio(); };
           return target;
         }});
  }
  return sources;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KernelContract);
INSTANTIATE_TEST_SUITE_P(Linux, KernelContract, testing::ValuesIn(sources(Which::All)),
                         [](const auto& each) { return each.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BackdoorResetContract);
INSTANTIATE_TEST_SUITE_P(Linux, BackdoorResetContract, testing::ValuesIn(sources(Which::WithFlr)),
                         [](const auto& each) { return each.param.name; });

TEST(KernelContractOfLinux, HasADeviceToBeTestedWith) {
  if (bound_devices().empty()) {
    GTEST_SKIP()
        << "no device is bound to vfio-pci: 'passthru bind BDF' binds one that this "
           "machine can spare, or run in the lab: scripts/lab run --device nvme... --bind BDF";
  }
}

}  // namespace
}  // namespace passthru
