// SPDX-License-Identifier: MIT
// Tests of the translation of a guest's message into a route: invalid messages, and a VMM's
// remapping that changes under live vectors.
#include <gmock/gmock.h>

#include <map>

#include "irq/msi.h"
#include "irq/vtd_table.h"
#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MsixRemapTest : public MsixTest {
 protected:
  /// Opens a device with vectors 0 to 3 live, and clears the record.
  void open_with_live_vectors(FakeSpec spec = FakeSpec::nvme()) {
    open(std::move(spec));
    for (unsigned vector = 0; vector < 4; ++vector) program_and_unmask(vector);
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
    EXPECT_EQ(host.armed(), 4U);
    kernel.forget_calls();
    host.route_updates = 0;
  }
  void write_message(unsigned vector, const MsiMessage& message) {
    put32(vector * 16, static_cast<uint32_t>(message.address));
    put32(vector * 16 + 4, static_cast<uint32_t>(message.address >> 32));
    put32(vector * 16 + 8, message.data);
  }
  std::string unroutable(unsigned vector) { return msix->inspect()[vector].unroutable; }
};

constexpr MsiMessage kMemory{0x1000, 0x41};

TEST_F(MsixRemapTest, AMessageThatIsNoInterruptDeliversNothingAndIsNamed) {
  open_with_live_vectors();
  write_message(1, kMemory);
  EXPECT_EQ(host.armed(), 3U);
  fake->fire(1);
  fake->fire(2);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(2))) << "no other vector is disturbed";
  EXPECT_THAT(unroutable(1), HasSubstr("0x1000 is not an interrupt address"));
  EXPECT_EQ(unroutable(2), "");
  EXPECT_EQ(msix->counters().refused_messages, 1U);
  EXPECT_EQ(set_irqs(), 0U);
}

TEST_F(MsixRemapTest, WhatFiredMeanwhileIsPendingAndDeliveredOnceWhenTheMessageIsCorrected) {
  open_with_live_vectors();
  write_message(1, kMemory);
  fake->fire(1);
  fake->fire(1);
  EXPECT_EQ(pending_bits(), 0b10U);
  program(1);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  EXPECT_EQ(pending_bits(), 0U);
  EXPECT_EQ(unroutable(1), "");
  EXPECT_EQ(set_irqs(), 0U);
}

TEST_F(MsixRemapTest, AVectorThatNeverHadAnInterruptsMessageLatchesFromTheStart) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  write_message(5, kMemory);
  mask(5, false);
  EXPECT_EQ(host.routes(), 0U);
  EXPECT_NE(unroutable(5), "");
  EXPECT_EQ(msix->inspect()[5].owner, EventfdOwner::Latch);
  EXPECT_EQ(fake->fire(5), Fired::Delivered) << "the latch takes the signal";
  EXPECT_EQ(pending_bits(), 1U << 5);
  program(5);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(5)));
}

TEST_F(MsixRemapTest, AMaskedVectorMayHaveAnyMessage) {
  open_with_live_vectors();
  mask(1, true);
  write_message(1, kMemory);
  EXPECT_EQ(unroutable(1), "");
  mask(1, false);
  EXPECT_NE(unroutable(1), "");
  mask(1, true);
  EXPECT_EQ(unroutable(1), "");
}

TEST_F(MsixRemapTest, AGuestThatGoesOnAndOnIsToldOfOnceAVector) {
  open_with_live_vectors();
  for (unsigned round = 0; round < 10; ++round) {
    for (unsigned vector : {1U, 2U}) {
      write_message(vector, {0x1000 + round * 0x1000, 0x41});
      program(vector);
    }
    msix->write_control(0);
    msix->reset();
    for (unsigned vector = 0; vector < 4; ++vector) program_and_unmask(vector);
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  }
  EXPECT_THAT(failures, ElementsAre(std::pair(1U, EINVAL), std::pair(2U, EINVAL)));
  EXPECT_EQ(msix->counters().refused_messages, 20U);
}

TEST_F(MsixRemapTest, AVectorThatIsRemappedIsRoutedAsItsVmmSays) {
  host.translation = [](const MsiMessage& message, uint16_t requester_id) -> Result<MsiMessage> {
    EXPECT_EQ(requester_id, 8);
    return MsiMessage{message.address, message.data + 0x10};
  };
  open_with_live_vectors();
  fake->fire(3);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x53}));
  EXPECT_EQ(msix->inspect()[3].guest_message, message_of(3)) << "as the guest wrote it";
}

TEST_F(MsixRemapTest, ARouteThatCannotBeChangedIsNotLeftWithTheOldMessage) {
  open_with_live_vectors();
  host.fail_next("update_route", ENOSPC);
  write_message(1, {0xfee0'1000, 0x61});
  EXPECT_EQ(host.armed(), 3U);
  fake->fire(1);
  EXPECT_THAT(host.delivered(), IsEmpty());
  mask(1, false);  // the guest touches it, so the library retries
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'1000, 0x61}));
}

/// A guest with a virtual IOMMU: vector n has entry 0x10 + n.
class MsixVtdTest : public MsixRemapTest {
 protected:
  MsixVtdTest() {
    table.entries = 256;
    table.read = [this](uint32_t index) { return entries[index]; };
    host.translation = [this](const MsiMessage& message, uint16_t id) -> Result<MsiMessage> {
      ++asked;
      auto found = vtd_translate(table, message, id);
      if (!found) return tl::unexpected(vtd_error(found.error()));
      return *found;
    };
    for (unsigned vector = 0; vector < 4; ++vector) set_entry(vector, 0, 0x40 + vector);
  }
  void set_entry(unsigned vector, uint64_t cpu, uint64_t number) {
    entries[0x10 + vector] = {1 | number << 16 | cpu << 40, 0};
  }
  void clear_entry(unsigned vector) { entries[0x10 + vector] = {}; }
  void open_remapped(FakeSpec spec = FakeSpec::nvme()) {
    open(std::move(spec));
    for (unsigned vector = 0; vector < 4; ++vector) {
      write_message(vector, {0xfee0'0010 | (0x10 + vector) << 5, 0});
      mask(vector, false);
    }
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
    kernel.forget_calls();
    host.route_updates = 0;
    asked = 0;
  }
  void invalidate(uint32_t first, uint32_t count) {
    msix->retranslate([&](const MsiMessage& message) {
      const auto index = vtd_index(message);
      return index && *index >= first && *index - first < count;
    });
  }

  VtdTable table;
  std::map<uint32_t, VtdIrte> entries;
  unsigned asked = 0;
};

TEST_F(MsixVtdTest, AnInvalidationChangesExactlyTheVectorsConcerned) {
  open_remapped();
  for (unsigned vector = 0; vector < 4; ++vector) set_entry(vector, 1, 0x60 + vector);
  invalidate(0x11, 2);
  EXPECT_EQ(asked, 2U);
  EXPECT_EQ(host.route_updates, 2U);
  EXPECT_EQ(set_irqs(), 0U);
  for (unsigned vector = 0; vector < 4; ++vector) fake->fire(vector);
  EXPECT_THAT(host.delivered(),
              ElementsAre(MsiMessage{0xfee0'0000, 0x40}, MsiMessage{0xfee0'1000, 0x61},
                          MsiMessage{0xfee0'1000, 0x62}, MsiMessage{0xfee0'0000, 0x43}));
}

TEST_F(MsixVtdTest, AnInvalidationOfWhatIsTheSameChangesNothing) {
  open_remapped();
  msix->retranslate([](const MsiMessage&) { return true; });
  EXPECT_EQ(asked, 4U);
  EXPECT_EQ(host.route_updates, 0U);
  EXPECT_EQ(set_irqs(), 0U);
}

TEST_F(MsixVtdTest, AVectorWhoseEntryGoesIsLatchedAndLosesNothing) {
  open_remapped();
  fake->fire(2);  // in flight when the entry is cleared
  clear_entry(2);
  invalidate(0x12, 1);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(2)));
  EXPECT_THAT(unroutable(2), HasSubstr("entry 18"));
  fake->fire(2);
  fake->fire(2);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(pending_bits(), 0b100U);
  set_entry(2, 1, 0x70);
  invalidate(0x12, 1);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'1000, 0x70}));
  EXPECT_EQ(pending_bits(), 0U);
  EXPECT_EQ(unroutable(2), "");
  EXPECT_EQ(set_irqs(), 0U);
}

TEST_F(MsixVtdTest, AMaskedVectorIsNotAskedForUntilItIsUnmasked) {
  open_remapped();
  mask(1, true);
  set_entry(1, 1, 0x70);
  invalidate(0x11, 1);
  EXPECT_EQ(asked, 0U);
  mask(1, false);
  fake->fire(1);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'1000, 0x70}));
}

TEST_F(MsixVtdTest, AnInvalidationWhileInterruptsAreOffDoesNothing) {
  open_remapped();
  msix->write_control(0);
  kernel.forget_calls();
  msix->retranslate([](const MsiMessage&) { return true; });
  EXPECT_EQ(asked, 0U);
  EXPECT_EQ(host.routes(), 0U);
  EXPECT_TRUE(kernel.calls().empty());
}

TEST_F(MsixVtdTest, MessagesOfMsiAreRemappedToo) {
  FakeSpec spec;
  spec.msi_vectors = 4;
  auto& edu = kernel.add(spec);
  auto opened = VfioDevice::open(kernel, dma, edu.spec().door());
  ASSERT_TRUE(opened);
  Msi msi(*opened, router, *this, 8);
  // Four messages from one handle, told apart by their subhandles.
  msi.write(
      {.control = PCI_MSI_FLAGS_ENABLE | 2 << 4, .address = 0xfee0'0018 | 0x10 << 5, .data = 0});
  edu.fire(3);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(3)));
  clear_entry(3);
  msi.retranslate([](const MsiMessage& message) { return vtd_index(message) == 0x13U; });
  edu.fire(3);
  edu.fire(1);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  EXPECT_EQ(msi.counters().refused_messages, 1U);
  EXPECT_NE(msi.inspect()[3].unroutable, "");
  set_entry(3, 0, 0x43);
  msi.retranslate([](const MsiMessage&) { return true; });
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(3)));
}

}  // namespace
}  // namespace passthru
