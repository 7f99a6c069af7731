// SPDX-License-Identifier: MIT
// The events of a fuzzed device, and the record of interrupts that it owes its guest.
#include "tests/fuzz/fuzzed_device.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace passthru {
namespace {

FakeDevice& add(FakeKernel& kernel, const DeviceShape& shape) {
  kernel.set_interrupt_remapping(shape.remapping());
  kernel.set_unsafe_interrupts_allowed(true);
  return kernel.add(shape.spec());
}

}  // namespace

FuzzedDevice::FuzzedDevice(const DeviceShape& shape)
    : hardware_(add(kernel_, shape)), owed_(vectors()), made_up_(vectors()) {
  host_.by_message = shape.by_message();
  // This thread drives the forwarder, so that the same input gives the same run.
  auto forwarder = Forwarder::make(512, Forwarder::Backend::Epoll);
  if (!forwarder || !(*forwarder)->bind_to_this_thread()) __builtin_trap();
  forwarder_ = forwarder->get();
  if (!router_.adopt(std::move(*forwarder))) __builtin_trap();
  auto device = VfioDevice::open(kernel_, dma_, hardware_.spec().door(), true);
  if (!device || !(*device)->turn_decode_on()) __builtin_trap();
  device_ = *device;
  const FakeSpec& spec = hardware_.spec();
  interrupts_ = std::make_unique<Interrupts>(
      device_, router_, *this,
      Interrupts::Options{.msix = spec.msix.layout(),
                          .msi = spec.msi_vectors != 0,
                          .intx_pin = spec.intx ? std::optional(0U) : std::nullopt,
                          .wake = [this] { return device_->turn_decode_on(); }});
  table_ = interrupts_->msix()->table_target();
  pba_ = interrupts_->msix()->pba_target();
  kernel_.hook.set([this](std::string_view call, bool after) { pass(call, after, false); });
  host_.hook.set([this](std::string_view call, bool after) { pass(call, after, true); });
  hardware_.set_pause([this] { pass("within SET_IRQS", false, false); });
  interrupts_->start();
}

FuzzedDevice::~FuzzedDevice() {
  calm();
  interrupts_->stop();
  table_.reset();
  pba_.reset();
  interrupts_.reset();
  device_.reset();
  // The forwarder frees its copies of eventfds only when it runs.
  if (!forwarder_->run_once()) __builtin_trap();
  if (kernel_.nothing_leaked()) return;
  std::fprintf(stderr, "leaked: %zu descriptors, %zu mappings, %zu of DMA\n", kernel_.open_fds(),
               kernel_.mappings(), kernel_.dma_mappings());
  __builtin_trap();
}

void FuzzedDevice::plan(Event event, unsigned nth, unsigned vector) {
  planned_ = {.event = event, .left = nth, .vector = vector};
}

void FuzzedDevice::pass(std::string_view call, bool after, bool of_vmm) {
  if (back_in_ != 0 && --back_in_ == 0) hardware_.set_gone(false);
  if (!planned_ || planned_->left-- != 0) return;
  const Planned now = *std::exchange(planned_, std::nullopt);
  if (now.event == Event::Fail) return fail(call, after, of_vmm);
  happen(now.event, now.vector);
}

// Only calls that can fail for another reason than an invalid argument.
void FuzzedDevice::fail(std::string_view call, bool after, bool of_vmm) {
  if (after) return;
  has_failed_ = true;
  if (of_vmm) {
    for (const char* each : {"create_route", "update_route", "arm", "arm_intx"}) {
      if (call == each) host_.fail_next(each, ENOSPC);
    }
    return;
  }
  for (const char* each :
       {"VFIO_DEVICE_SET_IRQS", "VFIO_DEVICE_RESET", "pread", "pwrite", "eventfd", "poll"}) {
    if (call == each) kernel_.fail(each, ENOMEM);
  }
}

void FuzzedDevice::happen(Event event, unsigned vector) {
  switch (event) {
    case Event::AllFire:
      for (unsigned each = 0; each < vectors(); ++each) fire(each);
      return;
    case Event::Gone:
      hardware_.set_gone(true);
      back_in_ = 5;
      break;
    case Event::Refuse:
      has_failed_ = true;
      hardware_.refuse(vector, ENOMEM);
      return;
    case Event::ZeroTable:
      hardware_.zero_table();
      break;
    case Event::Reset:
      hardware_.backdoor_reset();
      break;
    case Event::LoseControl:
      hardware_.set_msix_control(0);
      break;
    case Event::HostReset:
      hardware_.hot_reset();
      break;
    case Event::Fail:
      return;
  }
  owe_nothing();
}

// Damage that a read of the entry can detect: see irq/entry_fault.h.
void FuzzedDevice::damage(unsigned vector, unsigned how) {
  PhysicalEntry masked = hardware_.host_message(vector);
  masked.control = 1;
  const PhysicalEntry entries[] = {
      {0, 0, 0, 0}, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}, {0x1000, 0, 7, 0}, masked};
  hardware_.set_entry(vector, entries[how % std::size(entries)]);
  owed_[vector] = false;
}

void FuzzedDevice::fire(unsigned vector) {
  const bool owed =
      (control_ & PCI_MSIX_FLAGS_ENABLE) != 0 && hardware_.bound(vector) && !made_up_[vector];
  if (hardware_.fire(vector) != Fired::Lost && owed) owed_[vector] = true;
}

void FuzzedDevice::reset() {
  interrupts_->stop();
  control_ = 0;
  if (device_->resettable())
    ignore(device_->reset(), "the guest continues with the device as it is");
  interrupts_->start();
  owe_nothing();
}

void FuzzedDevice::program(unsigned vector) {
  const MsiMessage message = message_of(vector);
  const MsixEntry entry{static_cast<uint32_t>(message.address), 0, message.data, 0};
  const auto bytes = std::as_bytes(std::span{&entry, 1});
  for (size_t at = 0; at < 12; at += 4) table_->write(vector * 16 + at, bytes.subspan(at, 4));
}

void FuzzedDevice::mask(unsigned vector, bool masked) {
  const uint32_t control = masked ? 1 : 0;
  table_->write(vector * 16 + 12, std::as_bytes(std::span{&control, 1}));
}

void FuzzedDevice::write_table(uint64_t offset, std::span<const std::byte> data) {
  table_->write(offset, data);
  for (uint64_t at = offset / 16; at <= (offset + data.size() - 1) / 16 && at < vectors(); ++at) {
    made_up_[at] = true;
    owed_[at] = false;
  }
}

void FuzzedDevice::write_control(uint16_t value) {
  interrupts_->write_msix_control(value);
  control_ = value;
  if ((value & PCI_MSIX_FLAGS_ENABLE) == 0) owe_nothing();
}

void FuzzedDevice::write_msi(const MsiRegisters& registers) {
  interrupts_->write_msi(registers);
}

std::vector<MsiMessage> FuzzedDevice::delivered() {
  if (!forwarder_->run_once()) __builtin_trap();
  auto messages = host_.delivered();
  for (unsigned vector = 0; vector < vectors(); ++vector) {
    if (std::find(messages.begin(), messages.end(), message_of(vector)) != messages.end()) {
      owed_[vector] = false;
    }
  }
  return messages;
}

void FuzzedDevice::calm() {
  planned_.reset();
  back_in_ = 0;
  hardware_.set_gone(false);
  for (unsigned vector = 0; vector < vectors(); ++vector) hardware_.refuse(vector, 0);
}

}  // namespace passthru
