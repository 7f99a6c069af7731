// SPDX-License-Identifier: MIT
// The places of the assigned functions on the guest's PCI bus 0. Pure.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"

namespace passthru {

/// A function of the host that wants a place.
struct PlaceRequest {
  Bdf device{};                  ///< on the host; 0000:00:00.0: unknown
  bool is_virtual = false;       ///< a virtual function (SR-IOV)
  std::optional<Bdf> address{};  ///< in the guest, if the user chose it
};

struct BusPlace {
  Bdf address{};
  bool multifunction = false;  ///< the slot has other functions
  bool operator==(const BusPlace&) const = default;
};

/// Returns a place for each request, in their order. Slots are given from 1 on.
///
/// Functions of one device of the host share a slot and keep their numbers. If function 0 is not
/// among them, the lowest becomes function 0, because a guest searches a slot only if it finds
/// function 0. A virtual function is a device of its own.
///
/// Errors:
/// - ENOSPC: there are not enough slots.
/// - EINVAL: a chosen address is the host bridge's, is taken, or its slot has no function 0.
Result<std::vector<BusPlace>> place_on_bus(const std::vector<PlaceRequest>& requests);

}  // namespace passthru
