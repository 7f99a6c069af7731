// SPDX-License-Identifier: MIT
// Writes the bridge's registers through sysfs: the kernel does not read them again.
#include "tests/hil/taken_away.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/pci_regs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "pci/capability_list.h"
#include "pci/sysfs.h"

namespace passthru {

Result<std::unique_ptr<Bridge>> Bridge::above(Bdf bdf) {
  std::error_code failed;
  const auto function = std::filesystem::canonical(Sysfs().function_path(bdf), failed);
  const auto bridge = Bdf::parse(function.parent_path().filename().string());
  if (failed || !bridge) return fail(ENODEV, "find the bridge above " + bdf.str());
  const auto path = Sysfs().function_path(*bridge) / "config";
  Fd config(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!config) return fail(errno, "open " + path.string());
  std::unique_ptr<Bridge> found(new Bridge(std::move(config)));
  if (::pread(found->config_.get(), found->buses_.data(), 2, PCI_SECONDARY_BUS) != 2) {
    return fail(EIO, "read " + path.string());
  }
  return found;
}

Bridge::~Bridge() {
  pass(true);
  EXPECT_TRUE(power(true));
}

void Bridge::pass(bool on) {
  if (std::exchange(passes_, on) == on) return;
  constexpr std::array<std::byte, 2> kNone{};
  const auto& buses = on ? buses_ : kNone;
  EXPECT_EQ(::pwrite(config_.get(), buses.data(), 2, PCI_SECONDARY_BUS), 2);
}

// The power indicator stays on: the emulator takes a slot without power and without indicator as
// the end of an unplug, and removes the device.
Result<void> Bridge::power(bool on) {
  if (powered_ == on) return {};
  std::array<std::byte, PCI_CFG_SPACE_SIZE> config{};
  if (::pread(config_.get(), config.data(), config.size(), 0) != ssize_t{PCI_CFG_SPACE_SIZE}) {
    return fail(errno, "read the port's config space");
  }
  const auto express = find_capability(config, PCI_CAP_ID_EXP);
  if (!express) return fail(ENOTSUP, "find the port's slot");
  uint32_t capabilities = 0;
  std::memcpy(&capabilities, &config[*express + PCI_EXP_SLTCAP], sizeof(capabilities));
  if ((capabilities & PCI_EXP_SLTCAP_PCP) == 0) return fail(ENOTSUP, "switch the slot's power");
  const uint16_t control = PCI_EXP_SLTCTL_PWR_IND_ON | (on ? 0 : PCI_EXP_SLTCTL_PWR_OFF);
  if (::pwrite(config_.get(), &control, sizeof(control), *express + PCI_EXP_SLTCTL) !=
      ssize_t{sizeof(control)}) {
    return fail(errno, "write the slot's control register");
  }
  powered_ = on;
  return {};
}

}  // namespace passthru
