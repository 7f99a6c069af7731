// SPDX-License-Identifier: MIT
// Tests of MSI: one message for several vectors, which differ in the low bits of the data (PCI 3.0,
// 6.8.1).
#include "irq/msi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/fake_hypervisor.h"
#include "tests/fakes/fake_kernel.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

MsiRegisters enabled_for(unsigned log2_messages, uint32_t mask = 0) {
  return {.control = static_cast<uint16_t>(PCI_MSI_FLAGS_ENABLE | log2_messages << 4),
          .address = 0xfee0'0000,
          .data = 0x4048,
          .mask = mask};
}

TEST(MsiVectors, ReadTheNumberOfMessagesAndTheirDataFromTheCapability) {
  struct Case {
    unsigned log2_messages;
    unsigned available;
    unsigned count;
    unsigned vector;
    uint32_t data;
  };
  const Case cases[] = {
      {0, 1, 1, 0, 0x4048},    {0, 32, 1, 0, 0x4048},  {3, 32, 8, 5, 0x404d},
      {5, 32, 32, 31, 0x405f}, {7, 32, 32, 0, 0x4040},  // 6 and 7 are reserved
      {4, 4, 4, 3, 0x404b},  // the guest cannot enable more vectors than the device has
  };
  for (const Case& c : cases) {
    const MsiVectors vectors(enabled_for(c.log2_messages), c.available);
    EXPECT_EQ(vectors.count(), c.count) << c.log2_messages;
    EXPECT_EQ(vectors.message(c.vector).data, c.data) << c.log2_messages;
    EXPECT_TRUE(vectors.live(c.vector));
    EXPECT_FALSE(vectors.live(c.count));
  }
  EXPECT_EQ(MsiVectors({.control = 0x30}, 32).count(), 0U) << "not enabled";
}

class MsiTest : public ::testing::Test, public VectorObserver {
 protected:
  MsiTest() { open(8); }
  void open(unsigned available) {
    FakeSpec spec;
    spec.group = spec.bdf.bus = static_cast<uint8_t>(available);
    spec.msi_vectors = 8;
    spec.msi_available = available;
    fake = &kernel.add(spec);
    auto opened = VfioDevice::open(kernel, dma, fake->spec().door());
    EXPECT_TRUE(opened);
    msi = std::make_unique<Msi>(*opened, router, *this, 8);
    kernel.forget_calls();
  }
  void TearDown() override {
    EXPECT_THAT(failures, IsEmpty()) << "a test removes the failures that it expects";
  }
  void vector_failed(unsigned vector, const Error& /*error*/) override {
    failures.push_back(vector);
  }
  void vectors_restored(unsigned /*count*/) override {}
  void intx_failed(const Error& error) override { ADD_FAILURE() << error.message(); }

  FakeKernel kernel;
  FakeHypervisor host{kernel};
  ForwardingRouter router{host};
  DmaSpace dma{kernel};
  FakeDevice* fake = nullptr;
  std::unique_ptr<Msi> msi;
  std::vector<unsigned> failures;
};

TEST_F(MsiTest, AsManyVectorsAreAllocatedAsTheGuestEnabled) {
  msi->write(enabled_for(2, 0xf));  // all masked: the device still uses four messages
  EXPECT_EQ(fake->allocated(), 4U);
  msi->write(enabled_for(2, 0xe));
  EXPECT_EQ(fake->allocated(), 4U);
  EXPECT_EQ(host.armed(), 1U);
  msi->write(enabled_for(3));
  EXPECT_EQ(fake->allocated(), 8U);
  EXPECT_EQ(host.armed(), 8U);
}

TEST_F(MsiTest, WhatFitsWorksOnAHostThatHasFewerMessages) {
  struct Case {
    unsigned available;
    unsigned works;
  };
  for (const Case& c : {Case{1, 1}, Case{2, 2}, Case{3, 2}}) {
    SCOPED_TRACE(c.available);
    open(c.available);
    msi->write(enabled_for(2));
    EXPECT_EQ(fake->allocated(), c.works);
    EXPECT_EQ(std::exchange(failures, {}).size(), 4 - c.works);
    for (unsigned vector = 0; vector < c.works; ++vector) {
      EXPECT_EQ(fake->fire(vector), Fired::Delivered);
    }
    EXPECT_EQ(host.delivered().size(), c.works);
    kernel.forget_calls();
    msi->write(enabled_for(2, 0x8));
    msi->write(enabled_for(2));
    EXPECT_TRUE(kernel.calls("VFIO_DEVICE_SET_IRQS").empty()) << "the library does not retry";
    EXPECT_TRUE(host.delivered().empty());
    msi.reset();
  }
}

TEST_F(MsiTest, EachVectorArrivesWithItsOwnData) {
  msi->write(enabled_for(2));
  EXPECT_EQ(fake->fire(3), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x404b}));
}

TEST_F(MsiTest, AVectorMaskedWhileItFiresIsPendingAndDeliveredOnceOnUnmask) {
  msi->write(enabled_for(1));
  msi->write(enabled_for(1, 0x2));
  fake->fire(1);
  fake->fire(1);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(msi->pending(), 2U);
  msi->write(enabled_for(1));
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x4049}));
  EXPECT_EQ(msi->pending(), 0U);
}

TEST_F(MsiTest, AVectorThatCouldNotBeReissuedIsLiveAfterALook) {
  msi->write(enabled_for(1));
  msi->write(enabled_for(1, 0x2));
  kernel.fail("VFIO_DEVICE_SET_IRQS", EIO);
  msi->write(enabled_for(1));
  EXPECT_THAT(std::exchange(failures, {}), ElementsAre(1U));
  kernel.fail("VFIO_DEVICE_SET_IRQS", EIO);
  EXPECT_FALSE(msi->audit());
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(*msi->audit(), 1U);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000, 0x4049}));
  EXPECT_EQ(fake->fire(1), Fired::Delivered);
  EXPECT_EQ(host.delivered().size(), 1U);
  EXPECT_EQ(*msi->audit(), 0U);
}

TEST_F(MsiTest, AVectorThatIsNotEnabledIsMasked) {
  msi->write(enabled_for(1));
  const auto states = msi->inspect();
  ASSERT_GT(states.size(), 2U);
  EXPECT_FALSE(states[1].masked);
  EXPECT_TRUE(states[2].masked);
}

TEST_F(MsiTest, DisablingGivesEverythingBack) {
  const size_t fds = kernel.open_fds();
  msi->write(enabled_for(3));
  msi->write({});
  EXPECT_FALSE(msi->enabled());
  EXPECT_EQ(fake->allocated(), 0U);
  EXPECT_EQ(host.routes(), 0U);
  EXPECT_EQ(kernel.open_fds(), fds);
}

}  // namespace
}  // namespace passthru
