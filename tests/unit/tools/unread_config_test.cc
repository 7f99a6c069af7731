// SPDX-License-Identifier: MIT
// Tests of what the commands say about a function whose config space sysfs does not give: the cause
// as seen, and no other.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "inspect/msix_snapshot.h"
#include "pci/topology.h"
#include "prepare/host_checks.h"
#include "prepare/host_facts.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

enum class ConfigFile { Missing, Empty, Cut, NotAllowed, IsDirectory };

struct UnreadConfig {
  const char* name;
  ConfigFile file;
  const char* cause;
};

class ConfigOfFunction : public testing::TestWithParam<UnreadConfig> {
 protected:
  static constexpr uint32_t kDrive = 0x010802, kBridge = 0x060400;

  void add(uint32_t class_code) {
    tree.add({.class_code = class_code, .driver = "nvme"});
    const fs::path config = tree.root() / kConfig;
    if (GetParam().file == ConfigFile::Empty) tree.put(kConfig, "");
    if (GetParam().file == ConfigFile::Cut) tree.put(kConfig, std::string(6, '\0'));
    if (GetParam().file == ConfigFile::NotAllowed) fs::permissions(config, fs::perms::none);
    if (GetParam().file == ConfigFile::Missing || GetParam().file == ConfigFile::IsDirectory)
      fs::remove(config);
    if (GetParam().file == ConfigFile::IsDirectory) fs::create_directory(config);
    give_up_root();
  }
  void TearDown() override {
    if (was_root) {
      ASSERT_EQ(::seteuid(0), 0);
    }
  }
  // Root may read every file.
  void give_up_root() {
    constexpr uid_t kNobody = 65534;
    was_root = ::geteuid() == 0;
    if (was_root) {
      ASSERT_EQ(::seteuid(kNobody), 0);
    }
  }
  PciFunction function() const { return tree.sysfs().function(kDevice).value_or(PciFunction()); }
  std::string expected() const {
    return "cannot read " + (tree.root() / kConfig).string() + ": " + GetParam().cause;
  }

  static constexpr const char* kConfig = "bus/pci/devices/0000:00:02.0/config";
  SysfsTree tree;
  bool was_root = false;
};

TEST_P(ConfigOfFunction, ItsErrorTellsTheCause) {
  add(kBridge);
  ASSERT_TRUE(function().config_error);
  EXPECT_EQ(function().config_error->message(), expected());
  EXPECT_EQ(silence_of(function()), "") << "nobody asked the device";
  EXPECT_TRUE(function().bridge) << "by its class";
}

TEST_P(ConfigOfFunction, DoctorSaysSo) {
  add(kDrive);
  const HostRoots roots{.sys = tree.root(), .proc = tree.root(), .dev = tree.root()};
  for (const HostCheck& check : check_device(device_facts(roots, kDevice), HostFacts{})) {
    if (check.name != std::string("config_space")) continue;
    EXPECT_EQ(check.answer, Answer::Unknown);
    EXPECT_EQ(check.what, expected());
    return;
  }
  ADD_FAILURE() << "doctor says nothing";
}

TEST_P(ConfigOfFunction, MsixDoesNotBlameMissingRoot) {
  add(kDrive);
  EXPECT_EQ(msix_layout_of(function()).error().message(), "0000:00:02.0: " + expected());
}

TEST_P(ConfigOfFunction, TopologySaysWhyTheBusesBehindABridgeAreUnknown) {
  add(kBridge);
  const auto topology = read_topology(tree.sysfs());
  ASSERT_TRUE(topology);
  ASSERT_FALSE(topology->faults.empty());
  EXPECT_EQ(topology->faults[0].what,
            "its bus numbers cannot be read, so the devices behind it are unknown: " + expected());
}

constexpr UnreadConfig kUnread[] = {
    {"Missing", ConfigFile::Missing, "No such file or directory"},
    {"Empty", ConfigFile::Empty, "the file is empty"},
    {"ShorterThanItsHeader", ConfigFile::Cut, "the file ends after 6 bytes"},
    {"NotForThisUser", ConfigFile::NotAllowed, "Permission denied"},
    {"ADirectory", ConfigFile::IsDirectory, "Is a directory"},
};

INSTANTIATE_TEST_SUITE_P(Sysfs, ConfigOfFunction, testing::ValuesIn(kUnread),
                         [](const auto& each) { return std::string(each.param.name); });

// The header is there, so nothing is wrong with the file.
TEST(ConfigSpace, OfSixtyFourBytesIsNoError) {
  SysfsTree tree;
  tree.add({.config = std::vector<std::byte>(64)});
  EXPECT_FALSE(tree.sysfs().function(kDevice)->config_error);
  EXPECT_EQ(msix_layout_of(*tree.sysfs().function(kDevice)).error().code, EACCES);
}

TEST(ConfigSpace, OfADeviceInD3ColdIsNotReadAndTheErrorSaysSo) {
  SysfsTree tree;
  tree.add({}).put("bus/pci/devices/0000:00:02.0/power_state", "D3cold\n");
  EXPECT_FALSE(tree.sysfs().function(kDevice)->config_error);
  EXPECT_EQ(msix_layout_of(*tree.sysfs().function(kDevice)).error().message(),
            "0000:00:02.0: cannot find the MSI-X table: the device is in D3cold, and a read of its "
            "config space would wake it");
}

}  // namespace
}  // namespace passthru
