// SPDX-License-Identifier: MIT
// MSI-X of a fake device, on a VMM that the benchmark chooses.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>

#include "irq/msix.h"
#include "tests/fakes/descriptor_limit.h"
#include "tests/fakes/fake_kernel.h"

namespace passthru {

/// A function with all vectors masked and a message in each. Any failure ends the benchmark.
class MsixFunction : public VectorObserver {
 public:
  /// `vmm` outlives this object.
  MsixFunction(Router& vmm, unsigned vectors, bool noresize) : router_(vmm) {
    // Each vector has an eventfd, of which the fake kernel keeps a duplicate open.
    if (!allow_descriptors(2 * vectors + 256)) {
      std::fputs("raise the hard limit of open files (ulimit -Hn)\n", stderr);
      std::abort();
    }
    FakeSpec spec = FakeSpec::nvme();
    spec.bars[0].size = 0x20000;
    spec.msix = {
        .vectors = vectors, .table_offset = 0x2000, .pba_offset = 0x10000, .noresize = noresize};
    kernel_.add(spec);
    auto device = VfioDevice::open(kernel_, dma_, spec.door());
    if (!device) std::abort();
    msix_ = std::make_unique<Msix>(*device, spec.msix.layout(), router_, *this,
                                   Msix::Options{.wake = [] { return Result<void>{}; }});
    table_ = msix_->table_target();
    for (unsigned vector = 0; vector < vectors; ++vector) {
      put(uint64_t{vector} * 16, 0xfee00000);
      put(uint64_t{vector} * 16 + 8, 0x41);
    }
  }

  void put(uint64_t offset, uint32_t value) {
    table_->write(offset, std::as_bytes(std::span{&value, 1}));
  }
  void unmask(unsigned vector) { put(uint64_t{vector} * 16 + 12, 0); }
  void mask(unsigned vector) { put(uint64_t{vector} * 16 + 12, 1); }
  Msix& msix() { return *msix_; }

 private:
  void vector_failed(unsigned /*vector*/, const Error& error) override {
    std::fprintf(stderr, "%s\n", error.message().c_str());
    std::abort();
  }
  void vectors_restored(unsigned /*count*/) override {}
  void intx_failed(const Error& /*error*/) override {}

  ForwardingRouter router_;
  FakeKernel kernel_;
  DmaSpace dma_{kernel_};
  std::unique_ptr<Msix> msix_;
  std::shared_ptr<AccessTarget> table_;
};

}  // namespace passthru
