// SPDX-License-Identifier: MIT
// Tests of the options of a domain on KVM: their conversion, and the callback intx_gsi.
#include "capi/kvm_arguments.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>

namespace passthru {
namespace {

passthru_kvm_options given(uint32_t flags = 0) {
  passthru_kvm_options options{};
  options.size = sizeof options;
  options.flags = flags;
  options.vm_fd = 5;
  return options;
}

TEST(KvmArguments, NumbersThatAreLeftOutHaveTheirDefaults) {
  const passthru_kvm_options options = given();
  const auto arguments = kvm_arguments(&options, nullptr);
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->vm_fd, 5);
  EXPECT_EQ(arguments->options.first_slot, 16U);
  EXPECT_EQ(arguments->options.first_gsi, 24U);
  EXPECT_TRUE(arguments->options.irqchip_pins);
  EXPECT_FALSE(arguments->options.extended_destinations);
  EXPECT_FALSE(arguments->options.msi_by_message);
  EXPECT_FALSE(arguments->options.intx_gsi);
}

TEST(KvmArguments, EachFlagSelectsItsOption) {
  passthru_kvm_options options = given(PASSTHRU_KVM_SPLIT_IRQCHIP);
  EXPECT_FALSE(kvm_arguments(&options, nullptr)->options.irqchip_pins);
  options = given(PASSTHRU_KVM_EXTENDED_DESTINATIONS);
  EXPECT_TRUE(kvm_arguments(&options, nullptr)->options.extended_destinations);
  options = given(PASSTHRU_KVM_MSI_BY_MESSAGE);
  EXPECT_TRUE(kvm_arguments(&options, nullptr)->options.msi_by_message);
  options = given(1U << 31);
  const auto unknown = kvm_arguments(&options, nullptr);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, EINVAL);
}

TEST(KvmArguments, AnErrnoOfTheCallbackIsNoGsi) {
  int answer = 17;
  passthru_kvm_options options = given();
  options.intx_gsi = [](void* vmm, uint32_t guest_address, uint32_t pin) {
    EXPECT_EQ(guest_address, 5U << 3);
    EXPECT_EQ(pin, 2U);
    EXPECT_EQ(passthru_domain_destroy(nullptr), -EDEADLK) << "it is a callback";
    return *static_cast<int*>(vmm);
  };
  const auto arguments = kvm_arguments(&options, &answer);
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->options.intx_gsi({.device = 5}, 2).value(), 17U);
  answer = -ENXIO;
  const auto no_gsi = arguments->options.intx_gsi({.device = 5}, 2);
  ASSERT_FALSE(no_gsi);
  EXPECT_EQ(no_gsi.error().code, ENXIO);
}

}  // namespace
}  // namespace passthru
