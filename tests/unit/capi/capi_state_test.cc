// SPDX-License-Identifier: MIT
// Tests of a device that goes on in another process, through the C interface.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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

/// Two VMMs on one kernel. The second goes on with the device of the first.
class CapiHandover : public CapiFixture, public ::testing::WithParamInterface<passthru_backend> {
 protected:
  ~CapiHandover() override {
    if (next_domain != nullptr) {
      EXPECT_EQ(passthru_domain_destroy(next_domain), 0);
    }
  }
  [[nodiscard]] passthru_device* open_first() const {
    passthru_device_options wanted = options();
    wanted.backend = GetParam();
    passthru_device* device = nullptr;
    EXPECT_EQ(passthru_device_open(domain, &wanted, &device), 0) << passthru_last_error();
    return device;
  }
  /// Opens the device in the second VMM by the descriptors of the first.
  [[nodiscard]] passthru_device* open_next(passthru_device* first) {
    passthru_descriptors from{};
    from.size = sizeof from;
    EXPECT_EQ(passthru_device_descriptors(first, &from), 0) << passthru_last_error();
    EXPECT_EQ(from.backend, uint32_t{GetParam()});
    const bool by_node = GetParam() == PASSTHRU_BACKEND_CDEV;
    const passthru_callbacks callbacks = all_callbacks();
    next_domain = make_domain(kernel, sysfs.sysfs(), &callbacks, &next_vmm, {}).value();
    EXPECT_EQ(by_node ? passthru_domain_use_iommufd(next_domain, from.iommu)
                      : passthru_domain_use_container(next_domain, from.iommu),
              0)
        << passthru_last_error();
    passthru_device_options wanted = options();
    wanted.flags = PASSTHRU_KEEP_STATE | (by_node ? PASSTHRU_USE_CDEV_FD : PASSTHRU_USE_GROUP_FD);
    wanted.cdev_fd = from.device;
    wanted.group_fd = from.group;
    passthru_device* device = nullptr;
    EXPECT_EQ(passthru_device_open(next_domain, &wanted, &device), 0) << passthru_last_error();
    return device;
  }
  static std::vector<std::byte> save(passthru_device* device) {
    size_t size = 0;
    EXPECT_EQ(passthru_device_state_save(device, nullptr, &size), 0) << passthru_last_error();
    std::vector<std::byte> state(size);
    EXPECT_EQ(passthru_device_state_save(device, state.data(), &size), 0) << passthru_last_error();
    state.resize(size);
    return state;
  }

  FakeDevice& hardware = plug_with_node(FakeSpec::nvme());
  FakeVmm next_vmm{*kernel};
  passthru_domain* next_domain = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Backends, CapiHandover,
                         ::testing::Values(PASSTHRU_BACKEND_GROUP, PASSTHRU_BACKEND_CDEV),
                         [](const auto& tested) {
                           return std::string(tested.param == PASSTHRU_BACKEND_GROUP ? "group"
                                                                                     : "cdev");
                         });

TEST_P(CapiHandover, TheNextVmmLoadsTheStateAndGetsTheInterrupts) {
  create();
  passthru_device* device = open_first();
  place(device);
  enable_msix(device);
  program_by_address(1);
  const unsigned resets = hardware.resets();
  const std::vector<std::byte> state = save(device);
  passthru_device* next = open_next(device);
  ASSERT_EQ(passthru_device_state_load(next, state.data(), state.size()), 0)
      << passthru_last_error();
  EXPECT_EQ(passthru_device_close(device), 0);
  EXPECT_EQ(next_vmm.host.mappings().size(), 1U) << "the BAR is where it was";
  EXPECT_THAT(next_vmm.host.delivered(), ElementsAre(message_of(1))) << "each live vector, once";
  EXPECT_EQ(hardware.fire(1), Fired::Delivered);
  EXPECT_THAT(next_vmm.host.delivered(), ElementsAre(message_of(1)));
  EXPECT_EQ(hardware.resets(), resets);
}

}  // namespace
}  // namespace passthru
