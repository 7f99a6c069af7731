// SPDX-License-Identifier: MIT
// Contract tests: a device that does not answer. The kernel answers for some bits of config space;
// all others read as 1. The device's memory is not tested: the lab's emulator returns 0 for absent
// memory, real machines return all ones.
#pragma once

#include <map>
#include <set>

#include "tests/contract/kernel_contract.h"

namespace passthru {

/// For targets that the test can remove and bring back.
class GoneContract : public KernelContract {
 protected:
  void TearDown() override {
    target_.set_gone(false);
    KernelContract::TearDown();
  }

  std::map<uint32_t, uint32_t> header() {
    std::map<uint32_t, uint32_t> words;
    for (uint32_t at = 0; at < PCI_STD_HEADER_SIZEOF; at += 4) words[at] = read32(at);
    return words;
  }
  /// Returns each capability's link, keyed by the capability's offset.
  std::map<uint8_t, uint8_t> links() {
    std::map<uint8_t, uint8_t> links;
    auto at = read_config<uint8_t>(PCI_CAPABILITY_LIST);
    while (at >= 0x40 && !links.contains(at)) {
      const auto next = read_config<uint8_t>(at + PCI_CAP_LIST_NEXT);
      links[at] = next;
      at = next;
    }
    return links;
  }
  /// Returns the bits of the header's word at `at` that the kernel answers for.
  static uint32_t answered(uint32_t at) {
    if (at >= PCI_BASE_ADDRESS_0 && at <= PCI_BASE_ADDRESS_5) return UINT32_MAX;
    switch (at) {
      case PCI_VENDOR_ID:
      case PCI_ROM_ADDRESS:
        return UINT32_MAX;
      case PCI_COMMAND:
        return PCI_COMMAND_INTX_DISABLE | uint32_t{PCI_STATUS_CAP_LIST} << 16;
      case PCI_CAPABILITY_LIST:
        return 0xff;
      case PCI_INTERRUPT_LINE:
        return 0xffff;
      default:
        return 0;
    }
  }
};

TEST_P(GoneContract, TheKernelAnswersForIdsBarsLinksAndThePin) {
  open_device();
  const auto before = header();
  target_.set_gone(true);
  for (const auto& [at, word] : header()) {
    EXPECT_EQ(word, (before.at(at) & answered(at)) | ~answered(at)) << "at " << at;
  }
  target_.set_gone(false);
  EXPECT_EQ(header(), before);
}

TEST_P(GoneContract, TheKernelKnowsTheListsAndNotWhatIsInThem) {
  open_device();
  const auto before = links();
  std::set<uint8_t> vendor_specific;
  for (const auto& [at, next] : before) {
    if (read_config<uint8_t>(at) == PCI_CAP_ID_VNDR) vendor_specific.insert(at);
  }
  // The kernel merges adjacent ones and answers for the first only (vfio_find_cap_start()).
  if (!vendor_specific.empty()) vendor_specific.erase(vendor_specific.begin());
  const uint32_t extended = config_.size > 256 ? read32(PCI_CFG_SPACE_SIZE) : 0;
  target_.set_gone(true);
  for (const auto& [at, next] : before) {
    const bool unknown = vendor_specific.contains(at);
    EXPECT_EQ(read_config<uint8_t>(at + PCI_CAP_LIST_NEXT), unknown ? 0xff : next) << "at " << +at;
    EXPECT_EQ(read_config<uint8_t>(at), 0xff) << "at " << +at;
  }
  if (config_.size > 256) {
    EXPECT_EQ(read32(PCI_CFG_SPACE_SIZE), extended != 0 ? extended : UINT32_MAX);
  }
  if (msix_) {
    EXPECT_EQ(read32(*msix_) & 0xff, uint32_t{PCI_CAP_ID_MSIX})
        << "the kernel answers for the id unless the read covers it alone";
    EXPECT_EQ(read16(*msix_ + PCI_MSIX_FLAGS), 0xffff);
    EXPECT_EQ(read32(*msix_ + PCI_MSIX_TABLE), UINT32_MAX);
  }
  if (express_) {
    EXPECT_EQ(read32(*express_ + PCI_EXP_DEVCAP), UINT32_MAX);
  }
}

}  // namespace passthru
