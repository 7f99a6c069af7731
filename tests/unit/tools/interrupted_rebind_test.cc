// SPDX-License-Identifier: MIT
// Tests of `bind --persist` and `unbind` of two devices, killed or failing at each of their writes.
// tests/unit/prepare/binding_interrupted_test.cc has the states of a single device.
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "tests/fakes/sysfs_tree.h"
#include "tools/bind/rebind.h"
#include "tools/commands.h"

namespace passthru::tools {
namespace {

class InterruptedRebind : public testing::Test {
 protected:
  static constexpr const char* kOne = "0000:00:02.0";
  static constexpr const char* kOther = "0000:00:02.1";
  static constexpr size_t kNever = SIZE_MAX;
  struct Killed {};

  InterruptedRebind() {
    tree.add_driver("vfio-pci").put("run/proc/version", "Linux\n");
    tree.put("run/usr/lib/udev/rules.d/80-drivers.rules", "");
    tree.add({.bdf = kOne, .driver = "nvme", .group = 3});
    tree.add({.bdf = kOther, .driver = "e1000e", .group = 3});
  }
  // Runs a command whose `failing`th write fails, and which is killed before the `killed`th. The
  // writes of an undo count too. Returns its exit status; nothing if it was killed.
  template <class Command>
  std::optional<int> run(const Command& command, size_t failing = kNever, size_t killed = kNever) {
    RebindHost host{.sysfs = tree.sysfs(),
                    .root = tree.root() / "run",
                    .records = tree.records(),
                    .modules = KernelModules(tree.root() / "modules"),
                    .try_group = [](uint32_t) { return Result<void>(); }};
    writes = 0;
    host.apply = [&](const FileChange& change) -> Result<void> {
      if (writes == killed) throw Killed{};
      if (writes++ == failing) return fail(EIO, "write the file");
      return tree.apply(change);
    };
    std::optional<int> status;
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    try {
      status = command(host);
    } catch (const Killed&) {
      status.reset();
    }
    testing::internal::GetCapturedStdout();
    testing::internal::GetCapturedStderr();
    return status;
  }
  static int bind(const RebindHost& host) {
    BindOptions options;
    options.devices = {kOne, kOther};
    options.persist = true;
    return bind_devices(host, options);
  }
  static int unbind(const RebindHost& host) {
    RebindOptions options;
    options.devices = {kOne, kOther};
    return unbind_devices(host, options);
  }
  bool has_rule(const std::string& bdf) const {
    return std::filesystem::exists(tree.root() / "run/etc/udev/rules.d" /
                                   ("10-passthru-" + bdf + ".rules"));
  }
  void expect(bool bound, const std::string& when) const {
    SCOPED_TRACE(when);
    EXPECT_EQ(tree.driver_of(kOne), bound ? "vfio-pci" : "nvme");
    EXPECT_EQ(tree.driver_of(kOther), bound ? "vfio-pci" : "e1000e");
    for (const char* bdf : {kOne, kOther}) {
      EXPECT_EQ(tree.sysfs().function(*Bdf::parse(bdf))->driver_override, bound ? "vfio-pci" : "");
      EXPECT_EQ(has_rule(bdf), bound);
      EXPECT_EQ(std::filesystem::exists(tree.records() / bdf), bound);
    }
  }

  SysfsTree tree;
  size_t writes = 0;
};

TEST_F(InterruptedRebind, ABindThatFailsAtAnyWriteLeavesBothDevicesToTheHost) {
  size_t failing = 0;
  for (; run(bind, failing) != kDone; ++failing) {
    ASSERT_LT(failing, 100U);
    expect(false, "failed at " + std::to_string(failing));
  }
  EXPECT_EQ(failing, 10U) << "record, override, unbind, bind and rule of each";
}

TEST_F(InterruptedRebind, AnUnbindThatFailsAtAnyWriteLeavesBothDevicesBound) {
  ASSERT_EQ(run(bind), kDone);
  size_t failing = 0;
  for (; run(unbind, failing) != kDone; ++failing) {
    ASSERT_LT(failing, 100U);
    expect(true, "failed at " + std::to_string(failing));
  }
  EXPECT_EQ(failing, 10U);
}

TEST_F(InterruptedRebind, ABindKilledAtAnyWriteIsCompletedOrTakenBack) {
  for (const bool complete : {true, false}) {
    size_t killed = 0;
    for (; !run(bind, kNever, killed); ++killed) {
      const std::string when = "killed at " + std::to_string(killed);
      if (complete) {
        EXPECT_EQ(run(bind), kDone) << when;
        expect(true, when);
      }
      EXPECT_EQ(run(unbind), kDone) << when;
      expect(false, when);
    }
    EXPECT_EQ(killed, 10U);
    ASSERT_EQ(run(unbind), kDone);
  }
}

TEST_F(InterruptedRebind, AnUnbindKilledAtAnyWriteIsCompletedOrTakenBack) {
  for (const bool complete : {true, false}) {
    ASSERT_EQ(run(bind), kDone);
    size_t killed = 0;
    for (; !run(unbind, kNever, killed); ++killed) {
      const std::string when = "killed at " + std::to_string(killed);
      if (complete) {
        EXPECT_EQ(run(unbind), kDone) << when;
        expect(false, when);
      }
      EXPECT_EQ(run(bind), kDone) << when;
      expect(true, when);
    }
    EXPECT_EQ(killed, 10U);
  }
}

}  // namespace
}  // namespace passthru::tools
