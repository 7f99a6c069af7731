// SPDX-License-Identifier: MIT
// Tests of the views of a device: one on a host driver whose table the kernel hides, and the
// verdicts that occur.
#include "tools/msix/msix_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/sysfs_tree.h"
#include "tests/unit/inspect/reported_vector.h"

namespace passthru::tools {
namespace {

TEST(MsixView, MessageControlIsJudgedWhereTheTableIsOutOfSight) {
  std::vector<std::byte> config(256);
  FakeConfig(FakeSpec::nvme()).read(0, config);
  config[4] = std::byte{2};  // memory decode is on
  const auto layout = find_msix(config);
  ASSERT_TRUE(layout);
  config[layout->capability + 3U] = std::byte{0xc0};  // Enable, Function Mask
  SysfsTree tree;
  tree.add({.driver = "nvme", .group = 2, .config = config});
  tree.put("bus/pci/devices/0000:00:02.0/msi_irqs/4000000", "msix\n");
  const auto view = look_at_msix(tree.sysfs(), {.device = 2}, nullptr, Idle::Leave);
  ASSERT_TRUE(view) << view.error().message();
  EXPECT_EQ(view->source, "");
  EXPECT_EQ(view->control, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  EXPECT_THAT(view->missing, testing::ElementsAre(testing::HasSubstr("the device's own table: ")));
}

TEST(MsixView, EachVerdictThatOccursIsNamedOnceWorstFirst) {
  MsixView view;
  EXPECT_THAT(view.verdicts(), testing::IsEmpty());
  for (const Verdict verdict : {Verdict::Ok, Verdict::MaskedByGuest, Verdict::Cleared, Verdict::Ok,
                                Verdict::Cleared, Verdict::EnableLost}) {
    view.rows.push_back({.vector = reported_vector(0, verdict)});
  }
  EXPECT_THAT(view.verdicts(), testing::ElementsAre(Verdict::EnableLost, Verdict::Cleared,
                                                    Verdict::MaskedByGuest, Verdict::Ok));
}

}  // namespace
}  // namespace passthru::tools
