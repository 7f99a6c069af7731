// SPDX-License-Identifier: MIT
// Writes the bridge's registers through sysfs: the kernel does not read them again.
#include "tests/hil/taken_away.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/pci_regs.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

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
}

void Bridge::pass(bool on) {
  if (std::exchange(passes_, on) == on) return;
  constexpr std::array<std::byte, 2> kNone{};
  const auto& buses = on ? buses_ : kNone;
  EXPECT_EQ(::pwrite(config_.get(), buses.data(), 2, PCI_SECONDARY_BUS), 2);
}

}  // namespace passthru
