// SPDX-License-Identifier: MIT
//
// The callbacks of the C++ interface: one class for each group of struct passthru_callbacks, and
// `Vmm`, which says which groups a VMM implements. The C header says what each function must do.
//
// A function may return an Error or throw: the library receives the errno (EIO for an exception
// that has no errno) and never the text. A function that returns nothing is noexcept.
#ifndef PASSTHRU_VMM_HPP
#define PASSTHRU_VMM_HPP

#include <passthru/passthru.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <passthru/result.hpp>
#include <span>
#include <system_error>

namespace passthru {
inline namespace v0 {

using Event = passthru_event;
using Message = passthru_message;

/// Maps device memory into the guest: `map`, `unmap`.
class Mapper {
 public:
  virtual ~Mapper() = default;
  virtual Result<void> map(uint64_t address, std::span<std::byte> memory) = 0;
  virtual Result<void> unmap(uint64_t address, uint64_t size) = 0;
};

/// Learns which accesses to forward: `trap`, `untrap`. `space` is of enum passthru_space.
class Traps {
 public:
  virtual ~Traps() = default;
  virtual Result<void> trap(uint32_t space, uint64_t address, uint64_t size) = 0;
  virtual void untrap(uint32_t space, uint64_t address, uint64_t size) noexcept = 0;
};

/// Places the BARs of devices with PASSTHRU_BARS_BY_VMM: `place_bar`.
class BarPlacer {
 public:
  virtual ~BarPlacer() = default;
  virtual Result<void> place_bar(uint32_t guest_address, uint32_t bar, bool decoded,
                                 uint64_t address) = 0;
};

/// Emulates interrupt remapping: `translate`.
class Translator {
 public:
  virtual ~Translator() = default;
  virtual Result<Message> translate(uint32_t source, const Message& message) = 0;
};

/// Delivers interrupts by irqfds: `route_add` to `irqfd_off`.
class Router {
 public:
  virtual ~Router() = default;
  virtual Result<uint32_t> route_add(uint32_t source, const Message& message) = 0;
  virtual Result<void> route_update(uint32_t route, const Message& message) = 0;
  virtual void route_del(uint32_t route) noexcept = 0;
  /// By default each change takes effect at once.
  virtual void routes_begin() noexcept {}
  virtual Result<void> routes_commit() { return {}; }
  virtual Result<void> irqfd_on(uint32_t route, int eventfd) = 0;
  virtual void irqfd_off(uint32_t route, int eventfd) noexcept = 0;
};

/// Delivers interrupts as messages: `signal_msi`.
class Messages {
 public:
  virtual ~Messages() = default;
  virtual Result<void> signal_msi(uint32_t source, const Message& message) = 0;
};

/// Delivers INTx by eventfds: `intx_on`, `intx_off`.
class IntxLines {
 public:
  virtual ~IntxLines() = default;
  virtual Result<void> intx_on(uint32_t guest_address, uint32_t pin, int eventfd, int resample) = 0;
  virtual void intx_off(uint32_t guest_address, uint32_t pin, int eventfd) noexcept = 0;
};

/// Delivers INTx by levels: `intx_level`.
class IntxLevels {
 public:
  virtual ~IntxLevels() = default;
  virtual void intx_level(uint32_t guest_address, uint32_t pin, bool level) noexcept = 0;
};

/// Says how INTx is wired, for a domain on KVM: `intx_gsi` of struct passthru_kvm_options.
class IntxWiring {
 public:
  virtual ~IntxWiring() = default;
  virtual Result<uint32_t> intx_gsi(uint32_t guest_address, uint32_t pin) = 0;
};

/// Receives VFIO files: `file_added`, `file_removed`.
class Files {
 public:
  virtual ~Files() = default;
  virtual Result<void> file_added(int fd) = 0;
  virtual void file_removed(int fd) noexcept = 0;
};

/// Receives events: `event`.
class Events {
 public:
  virtual ~Events() = default;
  virtual void event(const Event& event) noexcept = 0;
};

/// The groups that a VMM implements. A null pointer selects the default of the C header. The
/// objects must outlive the domain.
struct Vmm {
  Mapper* mapper = nullptr;
  Traps* traps = nullptr;
  BarPlacer* bar_placer = nullptr;
  Translator* translator = nullptr;
  Router* router = nullptr;
  Messages* messages = nullptr;
  IntxLines* intx_lines = nullptr;
  IntxLevels* intx_levels = nullptr;
  IntxWiring* intx_wiring = nullptr;
  Files* files = nullptr;
  Events* events = nullptr;
};

namespace detail {

/// Returns -errno for the library.
inline int negative(int code) noexcept {
  return code > 0 ? -code : -EIO;
}

/// Runs `body`, which returns a Result<void>. Returns 0 or -errno; no exception passes.
template <class Body>
int status_of(Body body) noexcept {
#ifdef __cpp_exceptions
  try {
    const Result<void> result = body();
    return result ? 0 : negative(result.error().code());
  } catch (const Error& error) {
    return negative(error.code());
  } catch (const std::system_error& error) {
    const std::error_condition condition = error.code().default_error_condition();
    return condition.category() == std::generic_category() ? negative(condition.value()) : -EIO;
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  } catch (...) {
    return -EIO;
  }
#else
  const Result<void> result = body();
  return result ? 0 : negative(result.error().code());
#endif
}

/// Copies the value of `result` to `to`.
template <class T>
Result<void> store(const Result<T>& result, T& to) {
  if (!result) return result.error();
  to = *result;
  return {};
}

inline const Vmm& vmm_of(void* vmm) noexcept {
  return *static_cast<const Vmm*>(vmm);
}

inline void set_memory_callbacks(passthru_callbacks& table, const Vmm& vmm) noexcept {
  if (vmm.mapper != nullptr) {
    table.map = [](void* self, uint64_t address, uint64_t size, void* memory) noexcept {
      const std::span bytes(static_cast<std::byte*>(memory), static_cast<size_t>(size));
      return status_of([&] { return vmm_of(self).mapper->map(address, bytes); });
    };
    table.unmap = [](void* self, uint64_t address, uint64_t size) noexcept {
      return status_of([&] { return vmm_of(self).mapper->unmap(address, size); });
    };
  }
  if (vmm.traps != nullptr) {
    table.trap = [](void* self, uint32_t space, uint64_t address, uint64_t size) noexcept {
      return status_of([&] { return vmm_of(self).traps->trap(space, address, size); });
    };
    table.untrap = [](void* self, uint32_t space, uint64_t address, uint64_t size) noexcept {
      vmm_of(self).traps->untrap(space, address, size);
    };
  }
  if (vmm.bar_placer != nullptr) {
    table.place_bar = [](void* self, uint32_t guest_address, uint32_t bar, bool decoded,
                         uint64_t address) noexcept {
      BarPlacer& placer = *vmm_of(self).bar_placer;
      return status_of([&] { return placer.place_bar(guest_address, bar, decoded, address); });
    };
  }
}

inline void set_router_callbacks(passthru_callbacks& table) noexcept {
  table.route_add = [](void* self, uint32_t source, const Message* message,
                       uint32_t* route) noexcept {
    return status_of(
        [&] { return store(vmm_of(self).router->route_add(source, *message), *route); });
  };
  table.route_update = [](void* self, uint32_t route, const Message* message) noexcept {
    return status_of([&] { return vmm_of(self).router->route_update(route, *message); });
  };
  table.route_del = [](void* self, uint32_t route) noexcept {
    vmm_of(self).router->route_del(route);
  };
  table.routes_begin = [](void* self) noexcept { vmm_of(self).router->routes_begin(); };
  table.routes_commit = [](void* self) noexcept {
    return status_of([&] { return vmm_of(self).router->routes_commit(); });
  };
  table.irqfd_on = [](void* self, uint32_t route, int eventfd) noexcept {
    return status_of([&] { return vmm_of(self).router->irqfd_on(route, eventfd); });
  };
  table.irqfd_off = [](void* self, uint32_t route, int eventfd) noexcept {
    vmm_of(self).router->irqfd_off(route, eventfd);
  };
}

inline void set_interrupt_callbacks(passthru_callbacks& table, const Vmm& vmm) noexcept {
  if (vmm.translator != nullptr) {
    table.translate = [](void* self, uint32_t source, Message* message) noexcept {
      Translator& translator = *vmm_of(self).translator;
      return status_of([&] { return store(translator.translate(source, *message), *message); });
    };
  }
  if (vmm.router != nullptr) set_router_callbacks(table);
  if (vmm.messages != nullptr) {
    table.signal_msi = [](void* self, uint32_t source, const Message* message) noexcept {
      return status_of([&] { return vmm_of(self).messages->signal_msi(source, *message); });
    };
  }
  if (vmm.intx_lines != nullptr) {
    table.intx_on = [](void* self, uint32_t guest_address, uint32_t pin, int eventfd,
                       int resample) noexcept {
      IntxLines& lines = *vmm_of(self).intx_lines;
      return status_of([&] { return lines.intx_on(guest_address, pin, eventfd, resample); });
    };
    table.intx_off = [](void* self, uint32_t guest_address, uint32_t pin, int eventfd) noexcept {
      vmm_of(self).intx_lines->intx_off(guest_address, pin, eventfd);
    };
  }
  if (vmm.intx_levels != nullptr) {
    table.intx_level = [](void* self, uint32_t guest_address, uint32_t pin, bool level) noexcept {
      vmm_of(self).intx_levels->intx_level(guest_address, pin, level);
    };
  }
}

/// Returns the table of callbacks for `vmm`. Their first argument is the address of a copy of it.
inline passthru_callbacks callbacks_of(const Vmm& vmm) noexcept {
  passthru_callbacks table{};
  table.size = sizeof table;
  set_memory_callbacks(table, vmm);
  set_interrupt_callbacks(table, vmm);
  if (vmm.files != nullptr) {
    table.file_added = [](void* self, int fd) noexcept {
      return status_of([&] { return vmm_of(self).files->file_added(fd); });
    };
    table.file_removed = [](void* self, int fd) noexcept { vmm_of(self).files->file_removed(fd); };
  }
  if (vmm.events != nullptr) {
    table.event = [](void* self, const Event* event) noexcept {
      vmm_of(self).events->event(*event);
    };
  }
  return table;
}

/// Returns the GSI of an INTx pin, or -errno.
inline int intx_gsi(void* self, uint32_t guest_address, uint32_t pin) noexcept {
  uint32_t gsi = 0;
  IntxWiring& wiring = *vmm_of(self).intx_wiring;
  const int status = status_of([&] { return store(wiring.intx_gsi(guest_address, pin), gsi); });
  return status < 0 ? status : static_cast<int>(gsi);
}

}  // namespace detail
}  // namespace v0
}  // namespace passthru

#endif
