// SPDX-License-Identifier: MIT
// A KvmHypervisor on a fake KVM.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "kvm/kvm_hypervisor.h"
#include "tests/fakes/fake_kvm.h"

namespace passthru {

class KvmHypervisorFixture : public ::testing::Test {
 protected:
  void create(KvmHypervisorOptions options = {}) {
    auto made = KvmHypervisor::create(FakeKvm::kVm, std::move(options), kvm);
    ASSERT_TRUE(made) << made.error().message();
    host = std::move(*made);
  }

  FakeKvm kvm;
  std::unique_ptr<KvmHypervisor> host;
};

}  // namespace passthru
