// SPDX-License-Identifier: MIT
// Owns a guest whose drive has its first two vectors in use, for tests of those who look at it.
#pragma once

#include "inspect/inspect_service.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {

class InspectFixture : public AssignedFixture {
 protected:
  void SetUp() override {
    hardware = &plug(spec());
    open();
    place(kWindow);
    enable_msix();
    for (unsigned vector = 0; vector < 2; ++vector) enable_vector(vector);
    host.delivered();
  }
  [[nodiscard]] virtual FakeSpec spec() const { return FakeSpec::nvme(); }
  [[nodiscard]] std::vector<AssignedDevice*> devices() const { return {device.get()}; }
};

}  // namespace passthru
