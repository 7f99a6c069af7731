// SPDX-License-Identifier: MIT
// A DmaSpace over a fake kernel with an NVMe drive in group 2 and a NIC in group 3, and guest
// memory for it.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tests/fakes/fake_kernel.h"
#include "vfio/dma_space.h"

namespace passthru {

inline constexpr uint64_t kPage = 4096;
alignas(kPage) inline std::byte g_ram[16 * kPage];

inline std::span<std::byte> pages(size_t count) {
  return std::span(g_ram).first(count * kPage);
}

class DmaSpaceTest : public ::testing::Test {
 protected:
  DmaSpaceTest() {
    kernel_.add(FakeSpec::nvme());
    kernel_.add(FakeSpec::e1000e());
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const FakeCall& call : kernel_.calls()) names.emplace_back(call.name);
    return names;
  }

  FakeKernel kernel_;
  DmaSpace dma_{kernel_};
};

}  // namespace passthru
