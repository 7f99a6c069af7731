// SPDX-License-Identifier: MIT
// Ready-made device descriptions; the numbers are those of the lab's devices.
#include "tests/fakes/fake_spec.h"

namespace passthru {

MsixLayout FakeMsix::layout() const {
  return {.vectors = vectors,
          .table_bar = table_bar,
          .table_offset = table_offset,
          .pba_bar = pba_bar,
          .pba_offset = pba_offset,
          .capability = FakeCapability::kMsix};
}

FakeSpec FakeSpec::nvme(Bdf bdf, uint32_t group) {
  FakeSpec spec;
  spec.bdf = bdf;
  spec.group = group;
  spec.bars[0] = {.size = 0x4000, .is_64bit = true};
  spec.msix = {.vectors = 65, .table_offset = 0x2000, .pba_offset = 0x3000};
  return spec;
}

FakeSpec FakeSpec::nvme_vf(Bdf bdf, uint32_t group) {
  FakeSpec spec = nvme(bdf, group);
  spec.msix.vectors = 5;
  spec.intx = false;
  spec.virtual_function = true;
  return spec;
}

FakeSpec FakeSpec::e1000e(Bdf bdf, uint32_t group) {
  FakeSpec spec;
  spec.bdf = bdf;
  spec.group = group;
  spec.vendor = 0x8086;
  spec.device = 0x10d3;
  spec.class_code = 0x020000;
  spec.bars[0] = {.size = 0x20000};
  spec.bars[1] = {.size = 0x20000};
  spec.bars[2] = {.size = 32, .io = true, .mappable = false};
  spec.bars[3] = {.size = 0x4000};
  spec.rom.assign(0x40000, std::byte{0x5a});
  spec.msix = {.vectors = 5, .table_bar = 3, .pba_bar = 3, .pba_offset = 0x2000};
  spec.msi_vectors = 1;
  return spec;
}

FakeSpec FakeSpec::xhci(Bdf bdf, uint32_t group) {
  FakeSpec spec;
  spec.bdf = bdf;
  spec.group = group;
  spec.device = 0x000d;
  spec.class_code = 0x0c0330;
  spec.bars[0] = {.size = 0x4000, .is_64bit = true};
  spec.msix = {.vectors = 16, .table_offset = 0x3000, .pba_offset = 0x3800};
  return spec;
}

}  // namespace passthru
