// SPDX-License-Identifier: MIT
// A guest whose drive uses its first two vectors, for tests of inspection.
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
