// SPDX-License-Identifier: MIT
// An AssignedDevice in a slot of the VMM's bus.
#pragma once

#include <memory>

#include "device/assigned_device.h"
#include "vmm/guest_function.h"

namespace passthru {

class AssignedFunction final : public GuestFunction {
 public:
  explicit AssignedFunction(std::unique_ptr<AssignedDevice> assigned)
      : device_(std::move(assigned)) {}

  uint32_t config_read(uint32_t offset, unsigned width) override {
    return device_->config_read(offset, width);
  }
  void config_write(uint32_t offset, unsigned width, uint32_t value) override {
    device_->config_write(offset, width, value);
  }
  [[nodiscard]] AssignedDevice& device() { return *device_; }
  [[nodiscard]] Inspection inspect() const { return device_->inspect(); }

 private:
  const std::unique_ptr<AssignedDevice> device_;
};

}  // namespace passthru
