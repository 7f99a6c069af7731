// SPDX-License-Identifier: MIT
// A VMM for tests of the C interface: its callbacks end in a FakeHypervisor, which checks the
// contract. The devices are those of the fake kernel.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capi/c_domain.h"
#include "passthru/passthru.h"
#include "tests/fakes/fake_hypervisor.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {

/// What the callbacks receive as `vmm`.
struct FakeVmm {
  explicit FakeVmm(Kernel& kernel) : host(kernel) {}

  FakeHypervisor host;
  std::map<uint32_t, uint64_t> placed{};                        ///< BARs that the VMM itself places
  std::map<std::pair<uint32_t, uint64_t>, uint64_t> trapped{};  ///< size by space and address
  std::vector<std::string> events{};
  std::map<uint32_t, MsiMessage> routes{};         ///< the message of each route
  std::map<uint32_t, MsiMessage> routes_before{};  ///< the current batch
  unsigned batches = 0;
  int commit_result = 0;
  int place_result = 0;
  /// Called in the middle of `map`.
  void (*in_map)(void* vmm) = nullptr;
  std::function<void()> in_event{};  ///< called at the beginning of `event`
};

namespace fake_callbacks {

inline FakeHypervisor& host(void* vmm) {
  return static_cast<FakeVmm*>(vmm)->host;
}
inline Bdf bdf(uint32_t id) {
  return {.bus = static_cast<uint8_t>(id >> 8),
          .device = static_cast<uint8_t>(id >> 3 & 0x1F),
          .function = static_cast<uint8_t>(id & 7)};
}
inline int to_int(const Result<void>& done) {
  return done ? 0 : -done.error().code;
}
inline MsiMessage from_c(const passthru_message& message) {
  return {.address = message.address, .data = message.data};
}

inline int map(void* vmm, uint64_t address, uint64_t size, void* memory) {
  if (auto* in_map = static_cast<FakeVmm*>(vmm)->in_map) in_map(vmm);
  return to_int(
      host(vmm).map({.address = address, .size = size, .memory = static_cast<std::byte*>(memory)}));
}
inline int unmap(void* vmm, uint64_t address, uint64_t size) {
  for (const GuestMapping& mapping : host(vmm).mappings()) {
    if (mapping.address == address && mapping.size == size) return to_int(host(vmm).unmap(mapping));
  }
  ADD_FAILURE() << "nothing is mapped at " << address;
  return 0;
}
inline int trap(void* vmm, uint32_t space, uint64_t address, uint64_t size) {
  const bool added =
      static_cast<FakeVmm*>(vmm)->trapped.emplace(std::pair(space, address), size).second;
  EXPECT_TRUE(added) << "trapped twice: " << address;
  return 0;
}
inline void untrap(void* vmm, uint32_t space, uint64_t address, uint64_t size) {
  auto& trapped = static_cast<FakeVmm*>(vmm)->trapped;
  const auto found = trapped.find({space, address});
  ASSERT_TRUE(found != trapped.end() && found->second == size);
  trapped.erase(found);
}
inline int place_bar(void* vmm, uint32_t /*guest_address*/, uint32_t bar, bool decoded,
                     uint64_t address) {
  auto& self = *static_cast<FakeVmm*>(vmm);
  if (!decoded) {
    self.placed.erase(bar);
    return 0;
  }
  if (self.place_result != 0) return self.place_result;
  self.placed[bar] = address;
  return 0;
}
inline int route_add(void* vmm, uint32_t source, const passthru_message* message, uint32_t* route) {
  const auto made = host(vmm).create_route(from_c(*message), static_cast<uint16_t>(source));
  if (!made) return -made.error().code;
  *route = *made;
  static_cast<FakeVmm*>(vmm)->routes[*route] = from_c(*message);
  return 0;
}
inline int route_update(void* vmm, uint32_t route, const passthru_message* message) {
  const auto updated = host(vmm).update_route(route, from_c(*message));
  if (updated) static_cast<FakeVmm*>(vmm)->routes[route] = from_c(*message);
  return to_int(updated);
}
inline void route_del(void* vmm, uint32_t route) {
  host(vmm).destroy_route(route);
  static_cast<FakeVmm*>(vmm)->routes.erase(route);
}
inline void routes_begin(void* vmm) {
  auto& self = *static_cast<FakeVmm*>(vmm);
  ++self.batches;
  self.routes_before = self.routes;
}
/// A commit that fails takes back every change since routes_begin, as the contract says.
inline int routes_commit(void* vmm) {
  auto& self = *static_cast<FakeVmm*>(vmm);
  if (self.commit_result == 0) return 0;
  for (const auto& [route, message] : self.routes) {
    const auto before = self.routes_before.find(route);
    if (before == self.routes_before.end()) {
      self.host.destroy_route(route);
    } else if (before->second != message) {
      EXPECT_TRUE(self.host.update_route(route, before->second));
    }
  }
  self.routes = self.routes_before;
  return self.commit_result;
}
inline int irqfd_on(void* vmm, uint32_t route, int eventfd) {
  return to_int(host(vmm).arm(route, eventfd));
}
inline void irqfd_off(void* vmm, uint32_t route, int eventfd) {
  host(vmm).disarm(route, eventfd);
}
inline int signal_msi(void* vmm, uint32_t source, const passthru_message* message) {
  return to_int(host(vmm).signal_msi(from_c(*message), static_cast<uint16_t>(source)));
}
inline int intx_on(void* vmm, uint32_t guest, uint32_t pin, int eventfd, int resample) {
  return to_int(host(vmm).arm_intx(bdf(guest), pin, eventfd, resample));
}
inline void intx_off(void* vmm, uint32_t guest, uint32_t pin, int eventfd) {
  host(vmm).disarm_intx(bdf(guest), pin, eventfd);
}
inline void intx_level(void* vmm, uint32_t guest, uint32_t pin, bool level) {
  host(vmm).set_intx(bdf(guest), pin, level);
}
inline int file_added(void* vmm, int fd) {
  return to_int(host(vmm).file_added(fd));
}
inline void file_removed(void* vmm, int fd) {
  host(vmm).file_removed(fd);
}
inline void event(void* vmm, const passthru_event* event) {
  auto& self = *static_cast<FakeVmm*>(vmm);
  if (self.in_event) self.in_event();
  self.events.emplace_back(event->text);
}

}  // namespace fake_callbacks

inline passthru_callbacks all_callbacks() {
  using namespace fake_callbacks;
  passthru_callbacks table{};
  table.size = sizeof table;
  table.map = map;
  table.unmap = unmap;
  table.trap = trap;
  table.untrap = untrap;
  table.place_bar = place_bar;
  table.route_add = route_add;
  table.route_update = route_update;
  table.route_del = route_del;
  table.irqfd_on = irqfd_on;
  table.irqfd_off = irqfd_off;
  table.signal_msi = signal_msi;
  table.intx_on = intx_on;
  table.intx_off = intx_off;
  table.file_added = file_added;
  table.file_removed = file_removed;
  table.event = event;
  return table;
}

/// The callbacks of a VMM that takes each interrupt as a message.
inline passthru_callbacks callbacks_without_irqfd() {
  passthru_callbacks table = all_callbacks();
  table.route_add = nullptr;
  table.route_update = nullptr;
  table.route_del = nullptr;
  table.irqfd_on = nullptr;
  table.irqfd_off = nullptr;
  return table;
}

/// The virtual table of FakeSpec::nvme(), and the BAR's place in the guest.
inline constexpr uint64_t kCWindow = 0xc000'0000;
inline constexpr uint32_t kCTable = 0x2000;

class CapiFixture : public ::testing::Test {
 protected:
  ~CapiFixture() override {
    if (domain != nullptr) {
      EXPECT_EQ(passthru_domain_destroy(domain), 0);
    }
    EXPECT_TRUE(vmm.host.mappings().empty());
    EXPECT_TRUE(vmm.placed.empty());
    EXPECT_TRUE(vmm.trapped.empty());
    EXPECT_TRUE(kernel->nothing_leaked());
  }

  /// Adds a device; `cdev` is the name of its node, or empty.
  FakeDevice& plug(const FakeSpec& spec = FakeSpec::nvme(), const std::string& cdev = {}) {
    const std::string bdf = spec.bdf.str();
    sysfs.add({.bdf = bdf.c_str(),
               .driver = "vfio-pci",
               .group = spec.group,
               .vfio_dev = true,
               .cdev = cdev});
    return kernel->add(spec);
  }
  /// Adds a device that can be opened by its group and by its own node.
  FakeDevice& plug_with_node(const FakeSpec& spec) {
    sysfs.add_iommufd();
    return plug(spec, spec.cdev());
  }
  void create(const passthru_callbacks& callbacks = all_callbacks()) {
    const auto made =
        make_domain(kernel, sysfs.sysfs(), &callbacks, &vmm, {.takes_signals_at_once = true});
    ASSERT_TRUE(made) << made.error().message();
    domain = *made;
  }
  static passthru_device_options options(const char* bdf = "0000:00:02.0", uint32_t flags = 0) {
    passthru_device_options options{};
    options.size = sizeof options;
    options.flags = flags;
    options.device = bdf;
    options.guest_address = 5 << 3;
    return options;
  }
  passthru_device* open(uint32_t flags = 0, const char* bdf = "0000:00:02.0") {
    const passthru_device_options wanted = options(bdf, flags);
    passthru_device* device = nullptr;
    EXPECT_EQ(passthru_device_open(domain, &wanted, &device), 0) << passthru_last_error();
    return device;
  }

  /// Places BAR 0 at `address`, as a guest's driver does.
  static void place(passthru_device* device, uint64_t address = kCWindow) {
    EXPECT_EQ(passthru_device_config_write(device, 0x10, 4, static_cast<uint32_t>(address)), 0);
    EXPECT_EQ(passthru_device_config_write(device, 0x14, 4, static_cast<uint32_t>(address >> 32)),
              0);
    EXPECT_EQ(passthru_device_config_write(device, 0x04, 2, 0x6), 0);
  }
  static void enable_msix(passthru_device* device) {
    EXPECT_EQ(passthru_device_config_write(device, FakeCapability::kMsix + 2, 2, 0x8000), 0);
  }
  /// Programs and unmasks a vector through `write`, which takes an offset in BAR 0 and a value.
  template <class Write>
  static void program(unsigned vector, Write write) {
    const uint32_t entry = kCTable + 16 * vector;
    write(entry, 0xfee0'0000);
    write(entry + 4, 0);
    write(entry + 8, 0x40 + vector);
    write(entry + 12, 0);
  }
  void program_by_address(unsigned vector, uint64_t window = kCWindow) {
    program(vector, [&](uint32_t offset, uint32_t value) {
      EXPECT_EQ(passthru_domain_mmio_write(domain, window + offset, &value, 4), 0);
    });
  }

  /// Returns the message that `program` gives a vector.
  static MsiMessage message_of(unsigned vector) { return {0xfee0'0000, 0x40 + vector}; }

  SysfsTree sysfs;
  std::shared_ptr<FakeKernel> kernel = std::make_shared<FakeKernel>();
  FakeVmm vmm{*kernel};
  passthru_domain* domain = nullptr;
};

/// A host with one device, an NVMe drive.
class CapiDevice : public CapiFixture {
 protected:
  CapiDevice() : hardware(plug()) {}

  FakeDevice& hardware;
};

}  // namespace passthru
