// SPDX-License-Identifier: MIT
#include "tests/hil/borrowed_device.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "pci/sysfs.h"
#include "prepare/binding.h"

namespace passthru {

std::vector<Bdf> functions_with(uint16_t vendor, uint16_t device) {
  std::vector<Bdf> found;
  const Sysfs sysfs;
  const auto all = sysfs.functions();
  if (!all) return found;
  for (const Bdf bdf : *all) {
    const auto function = sysfs.function(bdf);
    if (function && function->vendor == vendor && function->device == device) found.push_back(bdf);
  }
  return found;
}

Result<std::unique_ptr<BorrowedDevice>> BorrowedDevice::borrow(Bdf bdf) {
  std::string records =
      (std::filesystem::temp_directory_path() / "passthru-borrowed-XXXXXX").string();
  if (::mkdtemp(records.data()) == nullptr) return fail(errno, "mkdtemp " + records);
  const auto before = PASSTHRU_TRY(Sysfs().function(bdf));
  std::unique_ptr<BorrowedDevice> borrowed(new BorrowedDevice(bdf, before.driver, records));
  const ChangePlan plan = PASSTHRU_TRY(Binding(Sysfs(), records).bind(bdf));
  PASSTHRU_TRY(carry_out(plan));
  return borrowed;
}

BorrowedDevice::BorrowedDevice(Bdf bdf, std::string driver, std::filesystem::path records)
    : bdf_(bdf), driver_(std::move(driver)), records_(std::move(records)) {}

BorrowedDevice::~BorrowedDevice() {
  const auto now = Sysfs().function(bdf_);
  if (now && now->driver != driver_) {
    const auto plan = Binding(Sysfs(), records_).unbind(bdf_);
    const auto done = plan ? carry_out(*plan) : Result<void>(tl::unexpected(plan.error()));
    EXPECT_TRUE(done) << "not given back: " << done.error().message();
  }
  std::error_code ignored;
  std::filesystem::remove_all(records_, ignored);
}

}  // namespace passthru
