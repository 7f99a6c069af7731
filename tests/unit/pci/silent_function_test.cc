// SPDX-License-Identifier: MIT
// Functions that do not answer, as sysfs shows them.
#include <gtest/gtest.h>

#include <filesystem>

#include <string>
#include <vector>

#include "pci/sysfs.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

constexpr const char* kDirectory = "bus/pci/devices/0000:00:02.0";

class SilentFunction : public testing::Test {
 protected:
  void add(std::vector<std::byte> config = {}, uint32_t class_code = 0x010802) {
    tree.add({.class_code = class_code, .config = std::move(config)});
  }
  void power(const std::string& state, const std::string& status) {
    const std::filesystem::path directory(kDirectory);
    tree.put(directory / "power_state", state + "\n");
    tree.put(directory / "power/runtime_status", status + "\n");
  }
  PciFunction function() {
    auto read = tree.sysfs().function(kDevice);
    EXPECT_TRUE(read);
    return read.value_or(PciFunction());
  }

  SysfsTree tree;
};

TEST_F(SilentFunction, Case12ConfigSpaceOfAllOnesIsNoAnswer) {
  add(std::vector<std::byte>(256, std::byte{0xff}));
  EXPECT_EQ(silence_of(function()), "it does not answer: its config space reads as all ones");
}

TEST_F(SilentFunction, Case12AFunctionThatAnswersIsNotSilent) {
  add();
  EXPECT_EQ(silence_of(function()), "");
  power("D3hot", "suspended");
  EXPECT_EQ(silence_of(function()), "");
}

TEST_F(SilentFunction, Case12AFunctionThatTheKernelCannotWakeIsSilent) {
  add();
  for (const char* status : {"active", "error", ""}) {
    power("D3cold", status);
    EXPECT_EQ(silence_of(function()), "it does not answer: the kernel cannot wake it from D3cold")
        << status;
  }
}

TEST_F(SilentFunction, Case12AFunctionThatSleepsInD3ColdIsNeitherWokenNorSilent) {
  add();
  power("D3cold", "suspended");
  EXPECT_TRUE(function().config.empty()) << "a read of config space would wake it";
  EXPECT_EQ(silence_of(function()), "");
}

TEST_F(SilentFunction, Case12InD3ColdTheClassTellsABridge) {
  add({}, 0x060400);
  power("D3cold", "suspended");
  EXPECT_TRUE(function().bridge);
  ASSERT_EQ(tree.sysfs().group(0)->size(), 1U);
  EXPECT_TRUE(tree.sysfs().group(0)->at(0).bridge);
  EXPECT_FALSE(SysfsTree().add({}).sysfs().function(kDevice)->bridge);
}

}  // namespace
}  // namespace passthru
