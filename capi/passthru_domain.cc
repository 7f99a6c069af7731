// SPDX-License-Identifier: MIT
// The C interface: domains, guest memory, forwarded accesses, services.
#include <cstring>
#include <span>
#include <utility>

#include "capi/access_pieces.h"
#include "capi/call_object.h"
#include "capi/copied_fd.h"
#include "capi/kvm_arguments.h"
#include "capi/sized_struct.h"
#include "capi/struct_sizes.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

constexpr const char* kCreate = "create a domain";
constexpr const char* kAddMemory = "add guest memory";

Result<void> make_on_linux(const passthru_callbacks* callbacks, void* vmm, CallbackOptions options,
                           passthru_domain** domain) {
  *domain = PASSTHRU_TRY(
      make_domain(std::make_shared<LinuxKernel>(), Sysfs{}, callbacks, vmm, std::move(options)));
  return {};
}

Result<std::span<std::byte>> memory_of(void* memory, uint64_t size, uint32_t flags) {
  PASSTHRU_TRY(require((flags & ~uint32_t{PASSTHRU_MEMORY_READ_ONLY}) == 0, kAddMemory,
                       "a flag is unknown"));
  PASSTHRU_TRY(require(memory != nullptr && size != 0, kAddMemory, "there is no memory"));
  PASSTHRU_TRY(require_bytes(memory, size, kAddMemory));
  return std::span(static_cast<std::byte*>(memory), size);
}

bool writable(uint32_t flags) {
  return (flags & PASSTHRU_MEMORY_READ_ONLY) == 0;
}

/// Which address space an access goes to.
using Space = AddressSpace& (Domain::*)();

/// A usual answer to an exit that no BAR has, so it costs no formatting.
int no_bar() noexcept {
  return set_last_text(ENXIO, "cannot forward the access: no BAR has this address");
}

int read_space(passthru_domain* handle, Space space, uint64_t address, void* data, size_t size) {
  constexpr const char* kOperation = "forward a read";
  bool found = size == 0;
  const int read = call_domain(handle, kOperation, [&](CDomain& domain) -> Result<void> {
    PASSTHRU_TRY(require_bytes(data, size, kOperation));
    const std::span bytes(static_cast<std::byte*>(data), size);
    for_each_access(address, bytes, [&](uint64_t at, std::span<std::byte> piece) {
      found |= (domain.domain().*space)().read(at, piece);
    });
    return {};
  });
  if (read != 0) fill_ones(data, size);
  return read != 0 || found ? read : no_bar();
}

int write_space(passthru_domain* handle, Space space, uint64_t address, const void* data,
                size_t size) {
  constexpr const char* kOperation = "forward a write";
  bool found = size == 0;
  const int written = call_domain(handle, kOperation, [&](CDomain& domain) -> Result<void> {
    PASSTHRU_TRY(require_bytes(data, size, kOperation));
    const std::span bytes(static_cast<const std::byte*>(data), size);
    for_each_access(address, bytes, [&](uint64_t at, std::span<const std::byte> piece) {
      found |= (domain.domain().*space)().write(at, piece);
    });
    return {};
  });
  return written != 0 || found ? written : no_bar();
}

}  // namespace
}  // namespace passthru

using namespace passthru;

extern "C" {

int passthru_domain_create(const passthru_callbacks* callbacks, void* vmm,
                           const passthru_domain_options* options, passthru_domain** domain) {
  return call(kCreate, [=]() -> Result<void> {
    PASSTHRU_TRY(require(domain != nullptr, kCreate, "a pointer is NULL"));
    passthru_domain_options known{};
    if (options != nullptr) known = PASSTHRU_TRY(read_struct(options, kDomainOptionsSize, kCreate));
    constexpr uint32_t kKnown = PASSTHRU_IRQFD_TAKES_AT_ONCE;
    PASSTHRU_TRY(require((known.flags & ~kKnown) == 0, kCreate, "a flag is unknown"));
    return make_on_linux(
        callbacks, vmm,
        {.takes_signals_at_once = (known.flags & PASSTHRU_IRQFD_TAKES_AT_ONCE) != 0}, domain);
  });
}

int passthru_domain_create_kvm(const passthru_kvm_options* options,
                               const passthru_callbacks* callbacks, void* vmm,
                               passthru_domain** domain) {
  return call(kCreate, [=]() -> Result<void> {
    PASSTHRU_TRY(require(domain != nullptr, kCreate, "a pointer is NULL"));
    auto on_kvm = PASSTHRU_TRY(kvm_arguments(options, vmm));
    auto kvm = PASSTHRU_TRY(KvmHypervisor::create(on_kvm.vm_fd, std::move(on_kvm.options)));
    // The VMM's own irqfds, if it has any, are KVM's too.
    const bool at_once = kvm->takes_signals_at_once();
    return make_on_linux(callbacks, vmm, {.takes_signals_at_once = at_once, .kvm = std::move(kvm)},
                         domain);
  });
}

int passthru_domain_destroy(passthru_domain* handle) {
  constexpr const char* kOperation = "destroy a domain";
  return call(kOperation, [=]() -> Result<void> {
    const std::unique_ptr<CDomain> domain = domains().remove(handle);
    if (!domain) return fail(EINVAL, kOperation, "the domain does not exist");
    for (passthru_device* device : domain->devices()) close_device(*domain, device);
    return {};
  });
}

int passthru_domain_add_memory(passthru_domain* handle, uint64_t address, void* memory,
                               uint64_t size, uint32_t flags) {
  return call_domain(handle, kAddMemory, [=](CDomain& domain) -> Result<void> {
    const auto bytes = PASSTHRU_TRY(memory_of(memory, size, flags));
    return domain.domain().add_memory(address, bytes, writable(flags));
  });
}

int passthru_domain_add_memory_fd(passthru_domain* handle, uint64_t address, int fd,
                                  uint64_t offset, void* memory, uint64_t size, uint32_t flags) {
  return call_domain(handle, kAddMemory, [=](CDomain& domain) -> Result<void> {
    const auto bytes = PASSTHRU_TRY(memory_of(memory, size, flags));
    return domain.domain().add_memory_file(address, fd, offset, bytes, writable(flags));
  });
}

int passthru_domain_remove_memory(passthru_domain* handle, uint64_t address) {
  return call_domain(handle, "remove guest memory", [=](CDomain& domain) -> Result<void> {
    return domain.domain().remove_memory(address);
  });
}

int passthru_domain_hide_bars(passthru_domain* handle, uint64_t address, uint64_t size) {
  constexpr const char* kOperation = "hide BARs";
  return call_domain(handle, kOperation, [=](CDomain& domain) -> Result<void> {
    PASSTHRU_TRY(require(size != 0, kOperation, "the size is 0"));
    AddressSpaceChange change;
    change.add.push_back({.base = address, .size = size});
    static_cast<void>(PASSTHRU_TRY(domain.domain().mmio().commit(std::move(change))));
    return {};
  });
}

int passthru_domain_usable_ranges(passthru_domain* handle, passthru_range* ranges, size_t* count) {
  constexpr const char* kOperation = "read the usable ranges";
  return call_domain(handle, kOperation, [=](CDomain& domain) -> Result<void> {
    std::vector<passthru_range> usable;
    for (const auto& range : PASSTHRU_TRY(domain.domain().usable_iova_ranges())) {
      usable.push_back({.first = range.first, .last = range.last});
    }
    return copy_out(usable, ranges, count, kOperation);
  });
}

int passthru_domain_use_iommufd(passthru_domain* handle, int fd) {
  constexpr const char* kOperation = "use an iommufd";
  return call_domain(handle, kOperation, [=](CDomain& domain) -> Result<void> {
    auto copy = PASSTHRU_TRY(copied_fd(fd, kOperation));
    return domain.domain().dma().use_iommufd(std::move(copy));
  });
}

int passthru_domain_use_container(passthru_domain* handle, int fd) {
  constexpr const char* kOperation = "use a container";
  return call_domain(handle, kOperation, [=](CDomain& domain) -> Result<void> {
    auto copy = PASSTHRU_TRY(copied_fd(fd, kOperation));
    return domain.domain().dma().use_container(std::move(copy));
  });
}

int passthru_domain_use_p2p(passthru_domain* handle, uint32_t choice) {
  constexpr const char* kOperation = "choose peer-to-peer DMA";
  static_assert(static_cast<uint32_t>(P2p::Auto) == PASSTHRU_P2P_AUTO);
  static_assert(static_cast<uint32_t>(P2p::On) == PASSTHRU_P2P_ON);
  static_assert(static_cast<uint32_t>(P2p::Off) == PASSTHRU_P2P_OFF);
  return call_domain(handle, kOperation, [=](CDomain& domain) -> Result<void> {
    PASSTHRU_TRY(require(choice <= PASSTHRU_P2P_OFF, kOperation, "the choice is unknown"));
    return domain.domain().use_p2p(static_cast<P2p>(choice));
  });
}

int passthru_domain_set_kvm_routes(passthru_domain* handle, const passthru_kvm_route* routes,
                                   size_t count) {
  constexpr const char* kOperation = "set the VMM's routes";
  return call_domain(handle, kOperation, [=](CDomain& domain) -> Result<void> {
    KvmHypervisor* kvm = domain.hypervisor().routes_on_kvm();
    if (kvm == nullptr) return fail(ENOTSUP, kOperation, "KVM's routing table is the VMM's");
    constexpr size_t kMaxRoutes = 4096;  // KVM_MAX_IRQ_ROUTES
    if (count > kMaxRoutes) return fail(ENOSPC, kOperation, "KVM has 4,096 routes at most");
    PASSTHRU_TRY(require(routes != nullptr || count == 0, kOperation, "a pointer is NULL"));
    MsiRoutes by_gsi;
    for (const passthru_kvm_route& route : std::span(routes, count)) {
      const MsiRoute wanted{
          .message = {.address = route.message.address, .data = route.message.data},
          .requester_id = static_cast<uint16_t>(route.source)};
      PASSTHRU_TRY(require(route.source <= UINT16_MAX, kOperation, "a source is above 65,535"));
      PASSTHRU_TRY(
          require(by_gsi.emplace(route.gsi, wanted).second, kOperation, "a GSI occurs twice"));
    }
    return kvm->set_vmm_routes(std::move(by_gsi));
  });
}

int passthru_domain_mmio_read(passthru_domain* handle, uint64_t address, void* data, size_t size) {
  return read_space(handle, &Domain::mmio, address, data, size);
}

int passthru_domain_mmio_write(passthru_domain* handle, uint64_t address, const void* data,
                               size_t size) {
  return write_space(handle, &Domain::mmio, address, data, size);
}

int passthru_domain_port_read(passthru_domain* handle, uint16_t port, void* data, size_t size) {
  return read_space(handle, &Domain::ports, port, data, size);
}

int passthru_domain_port_write(passthru_domain* handle, uint16_t port, const void* data,
                               size_t size) {
  return write_space(handle, &Domain::ports, port, data, size);
}

int passthru_domain_reset(passthru_domain* handle) {
  return call_domain(handle, "reset the VM's devices", [](CDomain& domain) -> Result<void> {
    std::vector<DeviceTable::Use> uses;
    std::vector<AssignedDevice*> all;
    for (passthru_device* device : domain.devices()) {
      auto use = devices().find(device);
      if (!use) continue;  // it is being closed
      all.push_back(use->device.get());
      uses.push_back(std::move(use));
    }
    return AssignedDevice::reset_together(all);
  });
}

int passthru_domain_start_audit(passthru_domain* handle, uint32_t interval_ms) {
  return call_domain(handle, "start the audit", [=](CDomain& domain) -> Result<void> {
    return domain.start_audit(std::chrono::milliseconds(interval_ms));
  });
}

int passthru_domain_stop_audit(passthru_domain* handle) {
  return call_domain(handle, "stop the audit", [](CDomain& domain) -> Result<void> {
    domain.stop_audit();
    return {};
  });
}

int passthru_domain_forwarder_fd(passthru_domain* handle, int* fd) {
  constexpr const char* kOperation = "drive the forwarder";
  return call_domain(handle, kOperation, [=](CDomain& domain) -> Result<void> {
    PASSTHRU_TRY(require(fd != nullptr, kOperation, "a pointer is NULL"));
    *fd = PASSTHRU_TRY(domain.drive_forwarder());
    return {};
  });
}

int passthru_domain_forward(passthru_domain* handle) {
  constexpr const char* kOperation = "drive the forwarder";
  return call_domain(handle, kOperation, [](CDomain& domain) -> Result<void> {
    Forwarder* forwarder = domain.driven_forwarder();
    if (forwarder == nullptr) {
      return fail(EPERM, kOperation, "passthru_domain_forwarder_fd was not called");
    }
    static_cast<void>(PASSTHRU_TRY(forwarder->run_once()));
    return {};
  });
}

int passthru_domain_inspect_serve(passthru_domain* handle, const char* path, uint32_t flags) {
  constexpr const char* kOperation = "serve the inspect socket";
  return call_domain(handle, kOperation, [=](CDomain& domain) -> Result<void> {
    PASSTHRU_TRY(require((flags & ~uint32_t{PASSTHRU_INSPECT_OWN_LOOP}) == 0, kOperation,
                         "a flag is unknown"));
    return domain.serve(path == nullptr ? "" : path, (flags & PASSTHRU_INSPECT_OWN_LOOP) != 0);
  });
}

int passthru_domain_inspect_group(passthru_domain* handle, uint32_t group) {
  constexpr const char* kOperation = "set the group of the inspect socket";
  return call_domain(handle, kOperation, [=](CDomain& domain) -> Result<void> {
    // chown(2) takes this number for "no change".
    PASSTHRU_TRY(require(group != UINT32_MAX, kOperation, "the number is no group"));
    return domain.allow_group(group);
  });
}

int passthru_domain_inspect_fd(passthru_domain* handle, int* fd) {
  constexpr const char* kOperation = "poll the inspect socket";
  return call_domain(handle, kOperation, [=](CDomain& domain) -> Result<void> {
    PASSTHRU_TRY(require(fd != nullptr, kOperation, "a pointer is NULL"));
    InspectServer* server = domain.looped_server();
    if (server == nullptr) return fail(ENOENT, kOperation, "the VMM's loop serves no socket");
    *fd = server->poll_fd();
    return {};
  });
}

int passthru_domain_inspect_run(passthru_domain* handle) {
  constexpr const char* kOperation = "answer inspect requests";
  return call_domain(handle, kOperation, [](CDomain& domain) -> Result<void> {
    InspectServer* server = domain.looped_server();
    if (server == nullptr) return fail(ENOENT, kOperation, "the VMM's loop serves no socket");
    server->run_once();
    return {};
  });
}

}  // extern "C"
