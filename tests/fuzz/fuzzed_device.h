// SPDX-License-Identifier: MIT
// A device for fuzzed programs, between the fake kernel and the fake VMM. At most one event is
// planned at a time. It happens before or after a call, or between two vectors of a SET_IRQS.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "irq/interrupts.h"
#include "tests/fakes/fake_hypervisor.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/fuzz/device_shape.h"

namespace passthru {

class FuzzedDevice : public VectorObserver {
 public:
  enum class Event { AllFire, ZeroTable, Reset, Gone, Fail, Refuse, LoseControl, HostReset };
  static constexpr unsigned kEvents = 8;

  explicit FuzzedDevice(const DeviceShape& shape);
  ~FuzzedDevice() override;

  /// Lets `event` happen at the nth point from now on. Event::Refuse uses `vector`.
  void plan(Event event, unsigned nth, unsigned vector);
  void happen(Event event, unsigned vector);
  void damage(unsigned vector, unsigned how);
  void fire(unsigned vector);
  void reset();
  void set_gone(bool gone) { hardware_.set_gone(gone); }

  // The guest's actions.
  void program(unsigned vector);
  void mask(unsigned vector, bool masked);
  void write_table(uint64_t offset, std::span<const std::byte> data);
  void read_table(uint64_t offset, std::span<std::byte> data) { table_->read(offset, data); }
  void read_pending(uint64_t offset, std::span<std::byte> data) { pba_->read(offset, data); }
  void write_control(uint16_t value);
  void write_msi(const MsiRegisters& registers);

  /// Returns the messages that the guest received. Call it after each step.
  std::vector<MsiMessage> delivered();
  /// Ends events, refusals and silence. Does nothing else to the device.
  void calm();
  /// Returns whether a call failed since the start.
  [[nodiscard]] bool has_failed() const { return has_failed_; }
  /// Returns whether an interrupt of the vector should have reached the guest but did not.
  [[nodiscard]] bool owes(unsigned vector) const { return owed_[vector]; }

  [[nodiscard]] FakeDevice& hardware() { return hardware_; }
  [[nodiscard]] FakeHypervisor& host() { return host_; }
  [[nodiscard]] Interrupts& interrupts() { return *interrupts_; }
  [[nodiscard]] unsigned vectors() const { return hardware_.spec().msix.vectors; }
  static MsiMessage message_of(unsigned vector) { return {0xfee0'0000, 0x40 + vector}; }

 private:
  void pass(std::string_view call, bool after, bool of_vmm);
  void fail(std::string_view call, bool after, bool of_vmm);
  void owe_nothing() { owed_.assign(owed_.size(), false); }

  void vector_failed(unsigned /*vector*/, const Error& /*error*/) override {}
  void vectors_restored(unsigned /*count*/) override {}
  void intx_failed(const Error& /*error*/) override {}

  FakeKernel kernel_;
  FakeHypervisor host_{kernel_};
  ForwardingRouter router_{host_};
  DmaSpace dma_{kernel_};
  FakeDevice& hardware_;
  Forwarder* forwarder_ = nullptr;
  std::shared_ptr<VfioDevice> device_;
  std::unique_ptr<Interrupts> interrupts_;
  std::shared_ptr<AccessTarget> table_;
  std::shared_ptr<AccessTarget> pba_;

  struct Planned {
    Event event;
    unsigned left;
    unsigned vector;
  };
  std::optional<Planned> planned_;
  unsigned back_in_ = 0;  ///< points until the device answers again; 0: it answers now
  bool has_failed_ = false;
  uint16_t control_ = 0;
  std::vector<bool> owed_;
  /// Vectors with a message of the program's own: deliveries cannot be attributed to them.
  std::vector<bool> made_up_;
};

}  // namespace passthru
