// SPDX-License-Identifier: MIT
// Tests of `bind` and `unbind` after an earlier call was killed, or failed, at any of its writes.
#include <gmock/gmock.h>

#include "tests/unit/prepare/binding_fixture.h"

namespace passthru {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Killed {};

struct Start {
  const char* name = "";
  std::string driver{};
  std::string driver_override{};
  bool record = true;  // for `unbind`: false if the record of the bind is lost
};

class InterruptedBinding : public BindingTest, public testing::WithParamInterface<Start> {
 protected:
  void SetUp() override {
    tree.add_driver("vfio-pci").add({.driver = GetParam().driver});
    if (!GetParam().driver_override.empty()) {
      tree.put("bus/pci/devices/0000:00:02.0/driver_override", GetParam().driver_override + "\n");
    }
  }
  // Carries out a plan whose `failing`th write fails, and which is killed before the `killed`th.
  // Writes of the undo count too. Returns false if there were fewer writes.
  bool interrupt(const Result<ChangePlan>& plan, size_t failing, size_t killed) {
    EXPECT_TRUE(plan) << plan.error().message();
    size_t writes = 0;
    try {
      ignore(passthru::carry_out(plan.value_or(ChangePlan()),
                                 [&](const FileChange& change) -> Result<void> {
                                   if (writes++ == killed) throw Killed{};
                                   if (writes - 1 == failing) return fail(EIO, "write");
                                   return tree.apply(change);
                                 }),
             "the test looks at the state");
    } catch (const Killed&) {
      return true;
    }
    return failing < writes;
  }
  void expect_unbound(const std::string& what) {
    EXPECT_EQ(driver(), GetParam().driver) << what;
    EXPECT_EQ(driver_override(), GetParam().driver_override) << what;
    EXPECT_FALSE(has_record()) << what;
    EXPECT_THAT(commands(binding().unbind(kDevice)), IsEmpty()) << what;
  }
  void expect_bound(const std::string& what) {
    EXPECT_EQ(driver(), "vfio-pci") << what;
    EXPECT_THAT(commands(binding().bind(kDevice)), IsEmpty()) << what;
  }
  // Completes the interrupted call by a bind, or takes it back by an unbind, and then the opposite.
  void expect_both_ways(const std::string& what, bool unbind_first) {
    if (unbind_first) {
      EXPECT_TRUE(unbind()) << what;
      expect_unbound(what + ", unbind");
    }
    const auto bound = bind();
    EXPECT_TRUE(bound) << what << ": " << bound.error().message();
    expect_bound(what + ", bind");
    const auto unbound = unbind();
    EXPECT_TRUE(unbound) << what << ": " << unbound.error().message();
    expect_unbound(what + ", bind, unbind");
  }
  void lose_record_if_asked() {
    if (!GetParam().record) std::filesystem::remove(tree.records() / kName);
  }
};

constexpr size_t kNever = SIZE_MAX;

TEST_P(InterruptedBinding, ABindKilledAtAnyWriteIsCompletedOrTakenBack) {
  for (const bool unbind_first : {false, true}) {
    size_t killed = 0;
    for (; interrupt(binding().bind(kDevice), kNever, killed); ++killed)
      expect_both_ways("killed at " + std::to_string(killed), unbind_first);
    EXPECT_GE(killed, 3U);
    ASSERT_TRUE(unbind());
  }
}

TEST_P(InterruptedBinding, ABindThatFailsAtAnyWriteLeavesNothing) {
  size_t failing = 0;
  for (; interrupt(binding().bind(kDevice), failing, kNever); ++failing)
    expect_unbound("failed at " + std::to_string(failing));
  EXPECT_GE(failing, 3U);
}

TEST_P(InterruptedBinding, ABindKilledWhileItUndoesAFailureIsCompletedOrTakenBack) {
  for (const bool unbind_first : {false, true}) {
    for (size_t failing = 0; failing < 4; ++failing) {
      for (size_t killed = failing + 1; interrupt(binding().bind(kDevice), failing, killed);
           ++killed) {
        expect_both_ways(
            "failed at " + std::to_string(failing) + ", killed at " + std::to_string(killed),
            unbind_first);
        if (killed > 20) break;  // the undo had ended before
      }
      ASSERT_TRUE(unbind());
    }
  }
}

TEST_P(InterruptedBinding, AnUnbindKilledAtAnyWriteIsCompletedOrTakenBack) {
  for (const bool unbind_first : {false, true}) {
    size_t killed = 0;
    for (;; ++killed) {
      ASSERT_TRUE(bind());
      lose_record_if_asked();
      if (!interrupt(binding().unbind(kDevice), kNever, killed)) break;
      expect_both_ways("killed at " + std::to_string(killed), unbind_first);
    }
    EXPECT_GE(killed, 3U);
  }
}

TEST_P(InterruptedBinding, AnUnbindThatFailsAtAnyWriteLeavesTheDeviceBound) {
  size_t failing = 0;
  for (;; ++failing) {
    ASSERT_TRUE(bind());
    lose_record_if_asked();
    const std::string before = driver_override();
    if (!interrupt(binding().unbind(kDevice), failing, kNever)) break;
    EXPECT_EQ(driver_override(), before) << failing;
    expect_bound("failed at " + std::to_string(failing));
    EXPECT_TRUE(unbind());
    expect_unbound("failed at " + std::to_string(failing) + ", unbind");
  }
  EXPECT_GE(failing, 3U);
}

INSTANTIATE_TEST_SUITE_P(
    Devices, InterruptedBinding,
    testing::Values(
        Start{.name = "WithADriver", .driver = "nvme"}, Start{.name = "WithoutADriver"},
        Start{.name = "WithItsOverride", .driver = "pci-stub", .driver_override = "pci-stub"},
        Start{.name = "WithAnOverrideOfAnotherDriver",
              .driver = "nvme",
              .driver_override = "pci-stub"},
        Start{.name = "WhoseRecordIsLost", .driver = "nvme", .record = false}),
    [](const auto& start) { return start.param.name; });

// ---- the states that only look interrupted ----------------------------------------------------

TEST_F(BindingTest, ALeftOverOverrideIsAReasonToRestore) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  carry_out_first(*binding().bind(kDevice), 2);
  EXPECT_THAT(commands(binding().unbind(kDevice)),
              ElementsAre("echo > " + tree.root().string() +
                              "/bus/pci/devices/0000:00:02.0/driver_override",
                          "rm " + (tree.records() / kName).string()));
}

TEST_F(BindingTest, AnOverrideThatAnotherProgramSetLaterStays) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  carry_out_first(*binding().bind(kDevice), 1);
  tree.put("bus/pci/devices/0000:00:02.0/driver_override", "pci-stub\n");
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver_override(), "pci-stub");
  EXPECT_FALSE(has_record());
}

TEST_F(BindingTest, ARecordAndNoDriverAreAReasonToRestore) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  carry_out_first(*binding().bind(kDevice), 3);
  ASSERT_EQ(driver(), "");
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "nvme");
  EXPECT_EQ(driver_override(), "");
  EXPECT_FALSE(has_record());
}

TEST_F(BindingTest, ADeviceWithoutDriverAndRecordIsLeftAlone) {
  tree.add_driver("vfio-pci").add({.driver = ""});
  EXPECT_THAT(commands(binding().unbind(kDevice)), IsEmpty());
}

// An override for vfio-pci keeps each host driver away, whichever program left it.
class OverriddenByAnother : public BindingTest {
 protected:
  void SetUp() override {
    tree.add_driver("vfio-pci").add({.driver = "nvme"});
    tree.put("bus/pci/devices/0000:00:02.0/driver_override", "vfio-pci\n");
    const auto leave = tree.root() / "bus/pci/drivers/nvme/unbind";
    ASSERT_TRUE(tree.apply({FileChange::Kind::Write, leave, kName}));
  }
};

TEST_F(OverriddenByAnother, ADeviceWithoutDriverIsGivenBack) {
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "nvme");
  EXPECT_EQ(driver_override(), "");
}

TEST_F(OverriddenByAnother, ABoundDeviceGoesToTheDriverThatTheKernelChooses) {
  ASSERT_TRUE(bind());
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "nvme");
  EXPECT_EQ(driver_override(), "");
}

// ---- another device in the slot ---------------------------------------------------------------

class ReplacedDevice : public BindingTest {
 protected:
  // Binds a drive, pulls it, and puts another device into its slot.
  void replace_by(const std::string& driver) {
    tree.add_driver("vfio-pci").add({.driver = "nvme"});
    ASSERT_TRUE(bind());
    tree.remove(kName).remove_driver("nvme");
    tree.add({.vendor = 0x8086, .device = 0x10d3, .driver = driver});
  }
};

TEST_F(ReplacedDevice, IsNotConcernedByTheRecordOfTheFormerDevice) {
  replace_by("e1000e");
  EXPECT_THAT(commands(binding().unbind(kDevice)), IsEmpty());
}

TEST_F(ReplacedDevice, IsUnboundToADriverOfItsOwn) {
  replace_by("e1000e");
  tree.add_dynamic_id("vfio-pci", 0x8086, 0x10d3);
  const auto drivers = tree.root() / "bus/pci/drivers";
  ASSERT_TRUE(tree.apply({FileChange::Kind::Write, drivers / "e1000e/unbind", kName}));
  ASSERT_TRUE(tree.apply({FileChange::Kind::Write, drivers / "vfio-pci/bind", kName}));
  ASSERT_TRUE(tree.apply({FileChange::Kind::Write, drivers / "vfio-pci/remove_id", "8086 10d3"}));
  ASSERT_TRUE(unbind()) << "the record names nvme, which is not loaded";
  EXPECT_EQ(driver(), "e1000e");
  EXPECT_FALSE(has_record());
}

TEST_F(ReplacedDevice, IsBoundAndUnboundWithARecordOfItsOwn) {
  replace_by("e1000e");
  ASSERT_TRUE(bind());
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "e1000e");
}

TEST_F(ReplacedDevice, WithoutDriverHasNoneAfterwards) {
  replace_by("");
  ASSERT_TRUE(bind());
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "");
}

// The same model of drive, so the same driver.
TEST_F(BindingTest, ADeviceOfTheSameModelGoesToTheDriverOfTheRecord) {
  tree.add_driver("vfio-pci").add({.driver = "nvme"});
  ASSERT_TRUE(bind());
  tree.remove(kName).add({.driver = "nvme"});
  ASSERT_TRUE(bind());
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "nvme");
}

}  // namespace
}  // namespace passthru
