// SPDX-License-Identifier: MIT
// A guest that writes anything into its MSI-X table and control while its device fires: the library
// stays within its bounds and keeps the contract with the VMM, which the fakes check.
#include <cstring>
#include <memory>

#include "irq/msix.h"
#include "tests/fakes/fake_host.h"
#include "tests/fakes/fake_kernel.h"

namespace passthru {
namespace {

class Silent : public VectorObserver {
  void vector_failed(unsigned /*vector*/, const Error& /*error*/) override {}
  void vectors_restored(unsigned /*count*/) override {}
  void intx_failed(const Error& /*error*/) override {}
};

// One step of a program: four bytes say what, eight what with.
struct Step {
  uint8_t what;
  uint8_t width;
  uint16_t offset;
  uint64_t value;
};

void run(const uint8_t* program, size_t size) {
  FakeKernel kernel;
  FakeHost host(kernel);
  ForwardingRouter router(host);
  Silent observer;
  FakeDevice& fake = kernel.add(FakeSpec::nvme());
  DmaSpace dma(kernel);
  auto device = VfioDevice::open(kernel, dma, fake.spec().door());
  if (!device) __builtin_trap();
  const MsixLayout layout{65, 0, 0x2000, 0, 0x3000, FakeCapability::kMsix};
  Msix msix(*device, layout, router, observer, {.wake = [] { return Result<void>{}; }});
  auto table = msix.table_target();
  auto pba = msix.pba_target();

  for (Step step{}; size >= sizeof step; program += sizeof step, size -= sizeof step) {
    std::memcpy(&step, program, sizeof step);
    auto bytes = std::as_writable_bytes(std::span{&step.value, 1}).first(step.width % 8 + 1U);
    switch (step.what % 8) {
      case 0:
      case 1:
        table->write(step.offset % 1100, bytes);
        break;
      case 2:
        table->read(step.offset, bytes);
        break;
      case 3:
        pba->read(step.offset, bytes);
        break;
      case 4:
        msix.write_control(step.offset);
        break;
      case 5:
        fake.fire(step.offset % 65);
        break;
      case 6:
        fake.set_entry(step.offset % 65, {});
        break;
      case 7:
        ignore(msix.audit(), "the fake heals");
        break;
    }
  }
}

}  // namespace
}  // namespace passthru

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  passthru::run(data, std::min<size_t>(size, 4096));
  return 0;
}
