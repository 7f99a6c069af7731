// SPDX-License-Identifier: MIT
// Contract tests: VFIO_DEVICE_SET_IRQS and its effect on the physical MSI-X table.
#pragma once

#include "tests/contract/kernel_contract.h"

namespace passthru {

TEST_P(KernelContract, InterruptsSayWhatTheyCanDo) {
  open_device();
  const IrqInfo intx = irq(Irq::Intx);
  EXPECT_TRUE(intx.eventfd && intx.maskable && intx.automasked && !intx.noresize);
  EXPECT_LE(intx.count, 1U);
  const IrqInfo msix = irq(Irq::Msix);
  EXPECT_TRUE(msix.eventfd && !msix.maskable && !msix.automasked);
  EXPECT_EQ(irq(Irq::Request).count, 1U);
  EXPECT_TRUE(irq(Irq::Request).noresize);
  // Only PCI Express reports errors.
  EXPECT_EQ(irq(Irq::Error).count, express_ ? 1U : 0U);
}

TEST_P(KernelContract, BindingEnablesMsixAndPutsTheHostsMessage) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_FALSE(msix_enabled());
  const auto eventfds = make_eventfds(2);
  ASSERT_DONE(bind(0, {eventfds[0].get(), -1, eventfds[1].get()}));
  EXPECT_TRUE(msix_enabled());
  EXPECT_TRUE(has_message(entry(0)) && !masked(entry(0)));
  EXPECT_TRUE(has_message(entry(1)) && masked(entry(1))) << "allocated, without a handler";
  EXPECT_TRUE(has_message(entry(2)) && !masked(entry(2)));
  EXPECT_FALSE(entry(0) == entry(2));
  EXPECT_TRUE(masked(entry(3))) << "not allocated";
  ASSERT_DONE(kernel().disable_irqs(device(), Irq::Msix));
  EXPECT_FALSE(msix_enabled());
  EXPECT_TRUE(!has_message(entry(0)) && masked(entry(0)));
}

TEST_P(KernelContract, ALoopbackSignalsExactlyTheVectorsAskedFor) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto eventfds = make_eventfds(4);
  ASSERT_DONE(
      bind(0, {eventfds[0].get(), eventfds[1].get(), eventfds[2].get(), eventfds[3].get()}));
  for (const Fd& eventfd : eventfds) EXPECT_EQ(drained(eventfd), 0U);
  ASSERT_DONE(trigger(1, 2));
  EXPECT_EQ(drained(eventfds[0]), 0U);
  EXPECT_EQ(drained(eventfds[1]), 1U);
  EXPECT_EQ(drained(eventfds[2]), 1U);
  EXPECT_EQ(drained(eventfds[3]), 0U);
  ASSERT_DONE(trigger(3));
  ASSERT_DONE(trigger(3));
  EXPECT_EQ(drained(eventfds[3]), 2U);
}

TEST_P(KernelContract, AVectorWithoutHandlerStaysAllocated) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto eventfds = make_eventfds(3);
  ASSERT_DONE(bind(0, {-1, -1, eventfds[0].get()}));
  ASSERT_DONE(trigger(0, 3));
  EXPECT_EQ(drained(eventfds[0]), 1U);
  ASSERT_DONE(bind(2, {-1}));
  EXPECT_TRUE(!has_message(entry(2)) && masked(entry(2)));
  EXPECT_TRUE(msix_enabled());
  ASSERT_DONE(trigger(2));
  EXPECT_EQ(drained(eventfds[0]), 0U);
  ASSERT_DONE(bind(0, {eventfds[1].get(), eventfds[2].get(), eventfds[0].get()}));
  ASSERT_DONE(trigger(0, 3));
  for (const Fd& eventfd : eventfds) EXPECT_EQ(drained(eventfd), 1U);
}

TEST_P(KernelContract, ANewEventfdReplacesTheOld) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto eventfds = make_eventfds(2);
  ASSERT_DONE(bind(0, {eventfds[0].get()}));
  const PhysicalEntry before = entry(0);
  ASSERT_DONE(bind(0, {eventfds[1].get()}));
  EXPECT_EQ(entry(0), before);
  ASSERT_DONE(trigger(0));
  EXPECT_EQ(drained(eventfds[0]), 0U);
  EXPECT_EQ(drained(eventfds[1]), 1U);
}

TEST_P(KernelContract, AClosedEventfdStaysBound) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  {
    const auto eventfds = make_eventfds(1);
    ASSERT_DONE(bind(0, {eventfds[0].get()}));
  }
  EXPECT_TRUE(has_message(entry(0)) && !masked(entry(0)));
  ASSERT_DONE(trigger(0));
}

TEST_P(KernelContract, VectorsBeyondTheIndexAreRefused) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto eventfds = make_eventfds(1);
  const int fd = eventfds[0].get();
  EXPECT_ERRNO(EINVAL, bind(vectors_, {fd}));
  EXPECT_ERRNO(EINVAL, bind(vectors_ - 1, {fd, fd}));
  EXPECT_ERRNO(EINVAL, bind(~0U, {fd, fd}));
  EXPECT_ERRNO(EINVAL, bind(0, std::vector<int>(vectors_ + 1, fd)));
  EXPECT_FALSE(msix_enabled());
  ASSERT_DONE(bind(0, {fd}));
  EXPECT_ERRNO(EINVAL, trigger(0, vectors_ + 1));
  EXPECT_ERRNO(EINVAL, trigger(vectors_));
}

TEST_P(KernelContract, GrowthNeedsACycleWhereTheIndexIsNoresize) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto eventfds = make_eventfds(2);
  ASSERT_DONE(bind(0, {eventfds[0].get()}));
  const auto grown = bind(3, {eventfds[1].get()});
  if (!irq(Irq::Msix).noresize) {
    ASSERT_TRUE(grown) << grown.error().message();
    EXPECT_TRUE(has_message(entry(3)) && !masked(entry(3)));
    EXPECT_TRUE(masked(entry(2)));
    ASSERT_DONE(trigger(3));
    EXPECT_EQ(drained(eventfds[1]), 1U);
    return;
  }
  ASSERT_FALSE(grown);
  EXPECT_EQ(grown.error().code, EINVAL);
  ASSERT_DONE(trigger(0));
  EXPECT_EQ(drained(eventfds[0]), 1U) << "the earlier binding remains";
  ASSERT_DONE(kernel().disable_irqs(device(), Irq::Msix));
  ASSERT_DONE(bind(0, {eventfds[0].get(), -1, -1, eventfds[1].get()}));
  EXPECT_TRUE(has_message(entry(3)) && !masked(entry(3)));
}

TEST_P(KernelContract, ABadEventfdUnbindsItsCallOnly) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto eventfds = make_eventfds(3);
  EXPECT_ERRNO(EBADF, bind(0, {eventfds[0].get(), 1 << 20}));
  EXPECT_FALSE(msix_enabled()) << "the failed call disables the index again";
  EXPECT_ERRNO(EINVAL, bind(0, {eventfds[0].get(), device()}));
  ASSERT_DONE(bind(0, {eventfds[0].get(), eventfds[1].get(), eventfds[2].get()}));
  EXPECT_ERRNO(EBADF, bind(1, {eventfds[1].get(), 1 << 20}));
  ASSERT_DONE(trigger(0, 3));
  EXPECT_EQ(drained(eventfds[0]), 1U);
  EXPECT_EQ(drained(eventfds[1]), 0U);
  EXPECT_EQ(drained(eventfds[2]), 0U);
}

TEST_P(KernelContract, DisablingWhatIsNotEnabledIsRefused) {
  open_device();
  for (const Irq index : {Irq::Intx, Irq::Msi, Irq::Msix, Irq::Request}) {
    EXPECT_ERRNO(EINVAL, kernel().disable_irqs(device(), index));
  }
  EXPECT_ERRNO(EINVAL, trigger(0));
}

TEST_P(KernelContract, OneKindOfInterruptAtATime) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto eventfds = make_eventfds(1);
  ASSERT_DONE(bind(0, {eventfds[0].get()}));
  for (const Irq other : {Irq::Intx, Irq::Msi}) {
    EXPECT_ERRNO(EINVAL, bind(0, {eventfds[0].get()}, other));
    EXPECT_ERRNO(EINVAL, kernel().disable_irqs(device(), other));
  }
}

TEST_P(KernelContract, MsixHasNoMaskOfTheKernels) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto eventfds = make_eventfds(1);
  ASSERT_DONE(bind(0, {eventfds[0].get()}));
  EXPECT_ERRNO(ENOTTY, kernel().act_on_irqs(device(), Irq::Msix, IrqAction::Mask, 0, 1));
  EXPECT_ERRNO(ENOTTY, kernel().act_on_irqs(device(), Irq::Msix, IrqAction::Unmask, 0, 1));
}

TEST_P(KernelContract, IntxIsBoundMaskedAndUnmasked) {
  open_device();
  const auto eventfds = make_eventfds(2);
  if (irq(Irq::Intx).count == 0) {  // a virtual function: it has no pin
    EXPECT_ERRNO(EINVAL, bind(0, {eventfds[0].get()}, Irq::Intx));
    return;
  }
  EXPECT_ERRNO(EINVAL, kernel().act_on_irqs(device(), Irq::Intx, IrqAction::Mask, 0, 1));
  EXPECT_ERRNO(EINVAL, kernel().bind_unmask_eventfd(device(), Irq::Intx, eventfds[1].get()));
  ASSERT_DONE(bind(0, {eventfds[0].get()}, Irq::Intx));
  ASSERT_DONE(trigger(0, 1, Irq::Intx));
  EXPECT_EQ(drained(eventfds[0]), 1U);
  ASSERT_DONE(kernel().act_on_irqs(device(), Irq::Intx, IrqAction::Mask, 0, 1));
  ASSERT_DONE(kernel().act_on_irqs(device(), Irq::Intx, IrqAction::Unmask, 0, 1));
  ASSERT_DONE(kernel().bind_unmask_eventfd(device(), Irq::Intx, eventfds[1].get()));
  ASSERT_DONE(kernel().disable_irqs(device(), Irq::Intx));
}

TEST_P(IntxContract, TheNextUserOfIntxBindsItsOwnEventfds) {
  open_device();
  const auto eventfds = make_eventfds(4);
  ASSERT_DONE(bind(0, {eventfds[0].get()}, Irq::Intx));
  ASSERT_DONE(kernel().bind_unmask_eventfd(device(), Irq::Intx, eventfds[1].get()));
  EXPECT_ERRNO(EBUSY, kernel().bind_unmask_eventfd(device(), Irq::Intx, eventfds[3].get()));
  ASSERT_DONE(kernel().bind_unmask_eventfd(device(), Irq::Intx, -1));
  ASSERT_DONE(bind(0, {eventfds[2].get()}, Irq::Intx));
  ASSERT_DONE(kernel().bind_unmask_eventfd(device(), Irq::Intx, eventfds[3].get()));
  ASSERT_DONE(trigger(0, 1, Irq::Intx));
  EXPECT_EQ(drained(eventfds[0]), 0U);
  EXPECT_EQ(drained(eventfds[2]), 1U);
}

TEST_P(KernelContract, VectorsThatAreAllUnboundLeaveMsixEnabledForTheNextUser) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto eventfds = make_eventfds(3);
  ASSERT_DONE(bind(0, {eventfds[0].get(), eventfds[1].get(), -1}));
  ASSERT_DONE(bind(0, {-1, -1, -1}));
  EXPECT_TRUE(msix_enabled());
  for (const unsigned vector : {0U, 1U, 2U}) EXPECT_TRUE(masked(entry(vector))) << vector;
  ASSERT_DONE(bind(0, {-1, eventfds[2].get(), -1}));
  ASSERT_DONE(trigger(0, 3));
  EXPECT_EQ(drained(eventfds[0]) + drained(eventfds[1]), 0U);
  EXPECT_EQ(drained(eventfds[2]), 1U);
}

TEST_P(KernelContract, TheUnplugRequestIsBoundAndTakenAway) {
  open_device();
  const auto eventfds = make_eventfds(1);
  ASSERT_DONE(bind(0, {eventfds[0].get()}, Irq::Request));
  ASSERT_DONE(trigger(0, 1, Irq::Request));
  EXPECT_EQ(drained(eventfds[0]), 1U);
  ASSERT_DONE(kernel().disable_irqs(device(), Irq::Request));
  EXPECT_ERRNO(EINVAL, trigger(0, 1, Irq::Request));
  ASSERT_DONE(bind(0, {eventfds[0].get()}, Irq::Request));
  ASSERT_DONE(bind(0, {-1}, Irq::Request));
}

TEST_P(KernelContract, RebindingRestoresAZeroedEntryAndNotItsNeighbours) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto eventfds = make_eventfds(3);
  ASSERT_DONE(bind(0, {eventfds[0].get(), eventfds[1].get(), eventfds[2].get()}));
  const PhysicalEntry before = entry(1);
  for (const unsigned vector : {0U, 1U, 2U}) zero_entry(vector);
  ASSERT_FALSE(has_message(entry(1)));
  ASSERT_DONE(bind(1, {eventfds[1].get()}));
  EXPECT_EQ(entry(1), before);
  EXPECT_EQ(entry(0), (PhysicalEntry{0, 0, 0, 0}));
  EXPECT_EQ(entry(2), (PhysicalEntry{0, 0, 0, 0}));
}

TEST_P(BackdoorResetContract, OnlyACycleBringsEnableBack) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto eventfds = make_eventfds(2);
  ASSERT_DONE(bind(0, {eventfds[0].get(), eventfds[1].get()}));
  const PhysicalEntry before = entry(1);
  const uint16_t command = read16(PCI_COMMAND);
  target_.backdoor_reset();
  EXPECT_EQ(read16(PCI_COMMAND), 0);
  EXPECT_FALSE(msix_enabled());

  // The BARs decode nothing: the kernel's write is lost.
  ASSERT_DONE(bind(1, {eventfds[1].get()}));
  EXPECT_FALSE(entry(1) == before);

  // This write makes VFIO notice the lost BARs and restore them. The table stays empty.
  write_config(PCI_COMMAND, command);
  EXPECT_FALSE(has_message(entry(1)));
  EXPECT_TRUE(masked(entry(1)));
  ASSERT_DONE(bind(1, {eventfds[1].get()}));
  EXPECT_EQ(entry(1), before);
  EXPECT_FALSE(has_message(entry(0)));
  EXPECT_FALSE(msix_enabled()) << "binding a vector again does not set Enable";

  ASSERT_DONE(kernel().disable_irqs(device(), Irq::Msix));
  ASSERT_DONE(bind(0, {eventfds[0].get(), eventfds[1].get()}));
  EXPECT_TRUE(msix_enabled());
  EXPECT_TRUE(has_message(entry(0)) && !masked(entry(0)));
}

}  // namespace passthru
