// SPDX-License-Identifier: MIT
// Chosen addresses come first. All other functions get the free slots.
#include "vmm/bus_places.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "vmm/pci_bus.h"

namespace passthru {
namespace {

using Requests = std::vector<PlaceRequest>;

std::string name_of(const PlaceRequest& request) {
  return request.device == Bdf{} ? "a device" : request.device.str();
}

std::string slot_function(Bdf address) {
  return fmt::format("{:x}.{}", address.device, address.function);
}

tl::unexpected<Error> bad_address(const PlaceRequest& request, std::string cause,
                                  std::string advice) {
  return tl::unexpected(
      Error{.code = EINVAL,
            .operation = fmt::format("use addr={}", slot_function(*request.address)),
            .device = request.device == Bdf{} ? "" : request.device.str()}
          .because(std::move(cause))
          .advise(std::move(advice)));
}

/// The users of the slots, as indexes of requests.
class Slots {
 public:
  explicit Slots(const Requests& requests) : requests_(requests) {}

  Result<void> take_chosen(size_t index) {
    const PlaceRequest& request = requests_[index];
    const Bdf address = *request.address;
    if (address.device == 0) {
      return bad_address(request, "slot 0 has the host bridge", "Use slot 1 to 1f");
    }
    const auto [taken, is_new] = users_.emplace(address, index);
    if (is_new) return {};
    return bad_address(request,
                       fmt::format("{} has this address too", name_of(requests_[taken->second])),
                       "Give each device another address");
  }

  /// Returns the number of slots that have functions.
  [[nodiscard]] size_t used() const {
    std::set<uint8_t> slots;
    for (const auto& [address, index] : users_) slots.insert(address.device);
    return slots.size();
  }
  /// Returns the lowest free slot. There must be one.
  [[nodiscard]] uint8_t free_slot() const {
    uint8_t slot = 1;
    while (functions_of(slot) != 0) ++slot;
    return slot;
  }
  void take(Bdf address, size_t index) { users_.emplace(address, index); }
  [[nodiscard]] size_t functions_of(uint8_t slot) const {
    return static_cast<size_t>(
        std::count_if(users_.begin(), users_.end(),
                      [slot](const auto& user) { return user.first.device == slot; }));
  }

  [[nodiscard]] Result<std::vector<BusPlace>> places() const {
    std::vector<BusPlace> places(requests_.size());
    for (const auto& [address, index] : users_) {
      if (!users_.contains(Bdf{.device = address.device})) {
        return bad_address(
            requests_[index],
            fmt::format("slot {:x} has no function 0, so the guest finds no function",
                        address.device),
            fmt::format("Give a device addr={:x}.0", address.device));
      }
      places[index] = {.address = address, .multifunction = functions_of(address.device) > 1};
    }
    return places;
  }

 private:
  const Requests& requests_;
  std::map<Bdf, size_t> users_;
};

/// Returns the indexes of the functions without a chosen address, by their devices, each list
/// ascending by function. The devices have the order of the requests.
std::vector<std::vector<size_t>> devices_of(const Requests& requests) {
  std::vector<std::vector<size_t>> devices;
  std::map<Bdf, size_t> known;
  for (size_t index = 0; index < requests.size(); ++index) {
    const PlaceRequest& request = requests[index];
    if (request.address) continue;
    if (request.is_virtual || request.device == Bdf{}) {
      devices.push_back({index});
      continue;
    }
    Bdf device = request.device;
    device.function = 0;
    const auto [found, is_new] = known.emplace(device, devices.size());
    if (is_new) devices.emplace_back();
    devices[found->second].push_back(index);
  }
  for (std::vector<size_t>& functions : devices) {
    std::sort(functions.begin(), functions.end(), [&](size_t a, size_t b) {
      return requests[a].device.function < requests[b].device.function;
    });
  }
  return devices;
}

}  // namespace

Result<std::vector<BusPlace>> place_on_bus(const std::vector<PlaceRequest>& requests) {
  Slots slots(requests);
  for (size_t index = 0; index < requests.size(); ++index) {
    if (requests[index].address) PASSTHRU_TRY(slots.take_chosen(index));
  }
  const auto devices = devices_of(requests);
  constexpr size_t kSlots = PciBus::kSlots - 1;  // without the host bridge's
  const size_t needed = slots.used() + devices.size();
  if (needed > kSlots) {
    return tl::unexpected(
        Error{.code = ENOSPC, .operation = "make a virtual machine"}
            .because(
                fmt::format("the devices need {} slots, and the PCI bus has {}", needed, kSlots))
            .advise("Assign fewer devices"));
  }
  for (const std::vector<size_t>& functions : devices) {
    const uint8_t slot = slots.free_slot();
    for (const size_t index : functions) {
      const uint8_t own = requests[index].device.function;
      const bool lowest = index == functions.front();
      slots.take({.device = slot, .function = lowest ? uint8_t{0} : own}, index);
    }
  }
  return slots.places();
}

}  // namespace passthru
