// SPDX-License-Identifier: MIT
// Tests of the cost of MSI-X in KVM's route table, which KVM accepts only as a whole. Each write of
// the guest sets one table, whatever the number of vectors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "irq/msix.h"
#include "kvm/kvm_hypervisor.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/fake_kvm.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class KvmMsix : public testing::TestWithParam<unsigned>, public VectorObserver {
 protected:
  void SetUp() override {
    host = std::move(*KvmHypervisor::create(
        FakeKvm::kVm,
        {.translate = [this](const MsiMessage& message, uint16_t) -> Result<MsiMessage> {
          return MsiMessage{message.address, message.data + added};
        }},
        kvm));
    router.emplace(*host);
    FakeSpec spec = FakeSpec::nvme();
    spec.bars[0].size = 0x20000;
    spec.msix = {.vectors = GetParam(), .table_offset = 0x2000, .pba_offset = 0x10000};
    fake = &kernel.add(spec);
    auto device = VfioDevice::open(kernel, dma, spec.door());
    ASSERT_TRUE(device) << device.error().message();
    msix = std::make_unique<Msix>(*device, spec.msix.layout(), *router, *this,
                                  Msix::Options{.wake = [] { return Result<void>{}; }});
    table = msix->table_target();
    for (unsigned vector = 0; vector < GetParam(); ++vector) write_message(vector, vector);
  }
  void put32(uint64_t offset, uint32_t value) {
    table->write(offset, std::as_bytes(std::span{&value, 1}));
  }
  void write_message(unsigned vector, uint32_t data) {
    put32(vector * 16, 0xfee0'0000);
    put32(vector * 16 + 8, data);
    put32(vector * 16 + 12, 0);
  }
  void live() { msix->write_control(PCI_MSIX_FLAGS_ENABLE); }
  void mask_function() { msix->write_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL); }
  /// Tables since the last time.
  unsigned tables() {
    const unsigned all = kvm.calls("KVM_SET_GSI_ROUTING");
    return all - std::exchange(seen, all);
  }
  [[nodiscard]] unsigned last() const { return GetParam() - 1; }
  void expect_delivered(uint32_t added_to_data) {
    fake->fire(0);
    fake->fire(last());
    EXPECT_THAT(kvm.delivered(),
                UnorderedElementsAre(MsiMessage{0xfee0'0000, added_to_data},
                                     MsiMessage{0xfee0'0000, last() + added_to_data}));
  }

  void vector_failed(unsigned vector, const Error& error) override {
    failures.emplace_back(vector, error.code);
  }
  void vectors_restored(unsigned /*count*/) override {}
  void intx_failed(const Error& /*error*/) override {}

  FakeKvm kvm;
  std::unique_ptr<KvmHypervisor> host;
  std::optional<ForwardingRouter> router;
  FakeKernel kernel;
  DmaSpace dma{kernel};
  FakeDevice* fake = nullptr;
  std::unique_ptr<Msix> msix;
  std::shared_ptr<AccessTarget> table;
  std::vector<std::pair<unsigned, int>> failures;
  uint32_t added = 0;  ///< the VMM's interrupt remapping adds this to each message's data
  unsigned seen = 0;
};

TEST_P(KvmMsix, EnablingItSetsTheTableOnce) {
  live();
  EXPECT_EQ(tables(), 1U);
  EXPECT_EQ(kvm.irqfds.size(), GetParam());
  expect_delivered(0);
}

TEST_P(KvmMsix, TheFunctionMaskSetsNoTableAndItsEndOneIfMessagesHaveChanged) {
  live();
  tables();
  mask_function();
  EXPECT_EQ(tables(), 0U);
  EXPECT_THAT(kvm.irqfds, IsEmpty());
  live();
  EXPECT_EQ(tables(), 0U) << "the routes are unchanged";
  mask_function();
  for (unsigned vector = 0; vector < GetParam(); ++vector) write_message(vector, vector + 0x10000);
  EXPECT_EQ(tables(), 0U);
  live();
  EXPECT_EQ(tables(), 1U);
  expect_delivered(0x10000);
}

TEST_P(KvmMsix, VectorsThatAreUnmaskedUnderTheFunctionMaskAreOneTableAtItsEnd) {
  mask_function();
  EXPECT_EQ(tables(), 0U);
  live();
  EXPECT_EQ(tables(), 1U);
  expect_delivered(0);
}

TEST_P(KvmMsix, AnotherTranslationOfAllSetsTheTableOnce) {
  live();
  tables();
  added = 0x100;
  msix->retranslate([](const MsiMessage&) { return true; });
  EXPECT_EQ(tables(), 1U);
  expect_delivered(0x100);
}

TEST_P(KvmMsix, ATableThatIsRefusedIsTriedOnceAndReportedForEachVector) {
  kvm.fail_next("KVM_SET_GSI_ROUTING", ENOMEM);
  live();
  EXPECT_EQ(tables(), 1U);
  EXPECT_THAT(kvm.irqfds, IsEmpty());
  EXPECT_EQ(failures.size(), GetParam());
  EXPECT_EQ(failures.front(), std::pair(0U, ENOMEM));
  EXPECT_EQ(msix->audit().value(), GetParam());
  EXPECT_EQ(tables(), 1U) << "the next audit retries";
  EXPECT_EQ(kvm.irqfds.size(), GetParam());
  expect_delivered(0);
}

TEST_P(KvmMsix, ARetranslationThatIsRefusedLeavesNoVectorOnItsOldRoute) {
  live();
  tables();
  added = 0x100;
  kvm.fail_next("KVM_SET_GSI_ROUTING", ENOMEM);
  msix->retranslate([](const MsiMessage&) { return true; });
  EXPECT_THAT(kvm.irqfds, IsEmpty());
  msix->retranslate([](const MsiMessage&) { return true; });
  EXPECT_EQ(tables(), 2U);
  expect_delivered(0x100);
}

INSTANTIATE_TEST_SUITE_P(Vectors, KvmMsix, testing::Values(64U, 2048U));

}  // namespace
}  // namespace passthru
