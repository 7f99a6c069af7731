// SPDX-License-Identifier: MIT
//
// PCI devices for guests: the C++20 interface of libpassthru. It has only headers, and is a thin
// layer on passthru.h, which describes every function and its errors. Here only the differences
// are described.
//
// Any thread may call any function at any time. But no thread may move, assign or destroy an object
// while another thread uses it.
#ifndef PASSTHRU_PASSTHRU_HPP
#define PASSTHRU_PASSTHRU_HPP

#include <passthru/passthru.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <passthru/result.hpp>
#include <passthru/vmm.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace passthru {
inline namespace v0 {

using BarInfo = passthru_bar_info;
using BarSpan = passthru_span;
using KvmRoute = passthru_kvm_route;
using Range = passthru_range;

/// Returns the version of the library that runs: passthru_version().
inline uint32_t version() noexcept {
  return passthru_version();
}

/// Returns a guest's PCI address, which is also its requester id.
constexpr uint32_t guest_address(uint32_t bus, uint32_t device, uint32_t function) noexcept {
  return bus << 8 | device << 3 | function;
}

/// struct passthru_kvm_options.
struct KvmOptions {
  int vm_fd = -1;
  uint32_t flags = 0;
  uint32_t first_slot = 0;
  uint32_t first_gsi = 0;
};

/// struct passthru_device_options. An empty text stands for NULL.
struct DeviceOptions {
  std::string device{};
  uint32_t guest_address = 0;
  /// Without PASSTHRU_USE_CDEV_FD and PASSTHRU_USE_GROUP_FD, which follow from the descriptors.
  uint32_t flags = 0;
  passthru_backend backend = PASSTHRU_BACKEND_AUTO;
  std::optional<int> cdev_fd{};
  std::optional<int> group_fd{};
  std::string vf_token{};
  std::string rom_file{};
  passthru_msix msix = PASSTHRU_MSIX_IN_PLACE;
  uint32_t msix_bar = 0;
  uint32_t unmapped_bars = 0;
  uint32_t max_interrupts_per_second = 0;
  uint32_t response_timeout_ms = 0;
};

namespace detail {

/// Returns all items of a function with a pointer and a count.
template <class T, class Call>
Result<std::vector<T>> list(Call call) {
  std::vector<T> items(8);
  for (;;) {
    size_t count = items.size();
    const int status = call(items.data(), &count);
    if (status < 0 && (status != -ENOSPC || count <= items.size())) return last_error(status);
    const bool complete = status >= 0;
    items.resize(count);
    if (complete) return items;
  }
}

inline const char* text_or_null(const std::string& text) noexcept {
  return text.empty() ? nullptr : text.c_str();
}

/// Destroys a domain, and then the Vmm that its callbacks use. If the domain still exists, as in a
/// callback, the Vmm stays too.
struct DestroyDomain {
  std::unique_ptr<Vmm> vmm;
  void operator()(passthru_domain* domain) noexcept {
    if (passthru_domain_destroy(domain) == -EDEADLK) static_cast<void>(vmm.release());
  }
};

struct CloseDevice {
  void operator()(passthru_device* device) const noexcept { passthru_device_close(device); }
};

}  // namespace detail

/// Owns a domain, and destroys it. Devices that are still open are then detached.
class Domain {
 public:
  /// passthru_domain_create(). `flags` are those of struct passthru_domain_options.
  static Result<Domain> create(const Vmm& vmm = {}, uint32_t flags = 0) {
    auto copy = std::make_unique<Vmm>(vmm);
    const passthru_callbacks callbacks = detail::callbacks_of(vmm);
    passthru_domain_options options{};
    options.size = sizeof options;
    options.flags = flags;
    passthru_domain* domain = nullptr;
    const int status = passthru_domain_create(&callbacks, copy.get(), &options, &domain);
    if (status < 0) return detail::last_error(status);
    return Domain(domain, std::move(copy));
  }

  /// passthru_domain_create_kvm().
  static Result<Domain> create_kvm(const KvmOptions& on, const Vmm& vmm = {}) {
    auto copy = std::make_unique<Vmm>(vmm);
    const passthru_callbacks callbacks = detail::callbacks_of(vmm);
    passthru_kvm_options options{};
    options.size = sizeof options;
    options.flags = on.flags;
    options.vm_fd = on.vm_fd;
    options.first_slot = on.first_slot;
    options.first_gsi = on.first_gsi;
    if (vmm.intx_wiring != nullptr) options.intx_gsi = detail::intx_gsi;
    passthru_domain* domain = nullptr;
    const int status = passthru_domain_create_kvm(&options, &callbacks, copy.get(), &domain);
    if (status < 0) return detail::last_error(status);
    return Domain(domain, std::move(copy));
  }

  /// passthru_domain_destroy(), for a caller that wants to know whether it succeeds. The object is
  /// then empty, as after a move: every call fails with EINVAL.
  Result<void> destroy() {
    const int status = passthru_domain_destroy(get());
    if (status < 0) return detail::last_error(status);
    static_cast<void>(handle_.release());
    return {};
  }

  /// Returns the handle, for calls of the C interface. It stays the object's.
  [[nodiscard]] passthru_domain* get() const noexcept { return handle_.get(); }

  Result<void> add_memory(uint64_t address, std::span<std::byte> memory, uint32_t flags = 0) {
    return detail::result_of(
        passthru_domain_add_memory(get(), address, memory.data(), memory.size(), flags));
  }
  Result<void> add_memory_fd(uint64_t address, int fd, uint64_t offset, std::span<std::byte> memory,
                             uint32_t flags = 0) {
    return detail::result_of(passthru_domain_add_memory_fd(get(), address, fd, offset,
                                                           memory.data(), memory.size(), flags));
  }
  Result<void> remove_memory(uint64_t address) {
    return detail::result_of(passthru_domain_remove_memory(get(), address));
  }
  Result<void> hide_bars(uint64_t address, uint64_t size) {
    return detail::result_of(passthru_domain_hide_bars(get(), address, size));
  }
  Result<std::vector<Range>> usable_ranges() const {
    return detail::list<Range>([this](Range* ranges, size_t* count) {
      return passthru_domain_usable_ranges(get(), ranges, count);
    });
  }

  Result<void> use_iommufd(int fd) {
    return detail::result_of(passthru_domain_use_iommufd(get(), fd));
  }
  Result<void> use_container(int fd) {
    return detail::result_of(passthru_domain_use_container(get(), fd));
  }
  Result<void> use_p2p(passthru_p2p choice) {
    return detail::result_of(passthru_domain_use_p2p(get(), static_cast<uint32_t>(choice)));
  }
  Result<void> set_kvm_routes(std::span<const KvmRoute> routes) {
    return detail::result_of(passthru_domain_set_kvm_routes(get(), routes.data(), routes.size()));
  }

  Result<void> mmio_read(uint64_t address, std::span<std::byte> data) {
    return detail::result_of(passthru_domain_mmio_read(get(), address, data.data(), data.size()));
  }
  Result<void> mmio_write(uint64_t address, std::span<const std::byte> data) {
    return detail::result_of(passthru_domain_mmio_write(get(), address, data.data(), data.size()));
  }
  Result<void> port_read(uint16_t port, std::span<std::byte> data) {
    return detail::result_of(passthru_domain_port_read(get(), port, data.data(), data.size()));
  }
  Result<void> port_write(uint16_t port, std::span<const std::byte> data) {
    return detail::result_of(passthru_domain_port_write(get(), port, data.data(), data.size()));
  }

  Result<void> reset() { return detail::result_of(passthru_domain_reset(get())); }
  Result<void> start_audit(uint32_t interval_ms) {
    return detail::result_of(passthru_domain_start_audit(get(), interval_ms));
  }
  Result<void> stop_audit() { return detail::result_of(passthru_domain_stop_audit(get())); }

  Result<int> forwarder_fd() {
    int fd = -1;
    const int status = passthru_domain_forwarder_fd(get(), &fd);
    return detail::result_of(status, fd);
  }
  Result<void> forward() { return detail::result_of(passthru_domain_forward(get())); }

  /// An empty path selects the default path.
  Result<void> inspect_serve(const std::string& path = {}, uint32_t flags = 0) {
    return detail::result_of(
        passthru_domain_inspect_serve(get(), detail::text_or_null(path), flags));
  }
  /// Call it before inspect_serve().
  Result<void> inspect_group(uint32_t group) {
    return detail::result_of(passthru_domain_inspect_group(get(), group));
  }
  Result<int> inspect_fd() const {
    int fd = -1;
    const int status = passthru_domain_inspect_fd(get(), &fd);
    return detail::result_of(status, fd);
  }
  Result<void> inspect_run() { return detail::result_of(passthru_domain_inspect_run(get())); }

 private:
  Domain(passthru_domain* domain, std::unique_ptr<Vmm> vmm)
      : handle_(domain, detail::DestroyDomain{std::move(vmm)}) {}

  std::unique_ptr<passthru_domain, detail::DestroyDomain> handle_;
};

/// Owns an open device, and closes it.
class Device {
 public:
  /// passthru_device_open().
  static Result<Device> open(Domain& domain, const DeviceOptions& wanted) {
    passthru_device_options options{};
    options.size = sizeof options;
    options.flags = wanted.flags;
    options.device = detail::text_or_null(wanted.device);
    options.guest_address = wanted.guest_address;
    options.backend = static_cast<uint32_t>(wanted.backend);
    if (wanted.cdev_fd) options.flags |= PASSTHRU_USE_CDEV_FD;
    options.cdev_fd = wanted.cdev_fd.value_or(0);
    if (wanted.group_fd) options.flags |= PASSTHRU_USE_GROUP_FD;
    options.group_fd = wanted.group_fd.value_or(0);
    options.vf_token = detail::text_or_null(wanted.vf_token);
    options.rom_file = detail::text_or_null(wanted.rom_file);
    options.msix = static_cast<uint32_t>(wanted.msix);
    options.msix_bar = wanted.msix_bar;
    options.unmapped_bars = wanted.unmapped_bars;
    options.max_interrupts_per_second = wanted.max_interrupts_per_second;
    options.response_timeout_ms = wanted.response_timeout_ms;
    passthru_device* device = nullptr;
    const int status = passthru_device_open(domain.get(), &options, &device);
    if (status < 0) return detail::last_error(status);
    return Device(device);
  }

  /// passthru_device_close(), for a caller that wants to know whether it succeeds. The object is
  /// then empty, as after a move: every call fails with EINVAL.
  Result<void> close() {
    const int status = passthru_device_close(get());
    if (status < 0) return detail::last_error(status);
    static_cast<void>(handle_.release());
    return {};
  }

  /// Returns the handle, for calls of the C interface. It stays the object's.
  [[nodiscard]] passthru_device* get() const noexcept { return handle_.get(); }

  Result<uint32_t> config_read(uint32_t offset, uint32_t width) {
    uint32_t value = 0;
    const int status = passthru_device_config_read(get(), offset, width, &value);
    return detail::result_of(status, value);
  }
  Result<void> config_write(uint32_t offset, uint32_t width, uint32_t value) {
    return detail::result_of(passthru_device_config_write(get(), offset, width, value));
  }

  Result<BarInfo> bar_info(uint32_t bar) const {
    BarInfo info{};
    info.size = sizeof info;
    const int status = passthru_device_bar_info(get(), bar, &info);
    return detail::result_of(status, info);
  }
  Result<std::vector<BarSpan>> bar_spans(uint32_t bar) const {
    return detail::list<BarSpan>([this, bar](BarSpan* spans, size_t* count) {
      return passthru_device_bar_spans(get(), bar, spans, count);
    });
  }
  Result<void> bar_read(uint32_t bar, uint64_t offset, std::span<std::byte> data) {
    return detail::result_of(
        passthru_device_bar_read(get(), bar, offset, data.data(), data.size()));
  }
  Result<void> bar_write(uint32_t bar, uint64_t offset, std::span<const std::byte> data) {
    return detail::result_of(
        passthru_device_bar_write(get(), bar, offset, data.data(), data.size()));
  }

  Result<void> end_of_intx() { return detail::result_of(passthru_device_end_of_intx(get())); }
  Result<void> retranslate() { return detail::result_of(passthru_device_retranslate(get())); }
  Result<void> reset() { return detail::result_of(passthru_device_reset(get())); }

  /// Returns the number of restored vectors.
  Result<uint32_t> check() {
    uint32_t restored = 0;
    const int status = passthru_device_check(get(), &restored);
    return detail::result_of(status, restored);
  }
  Result<std::vector<int>> event_fds() const {
    return detail::list<int>(
        [this](int* fds, size_t* count) { return passthru_device_event_fds(get(), fds, count); });
  }
  Result<void> handle_events() { return detail::result_of(passthru_device_handle_events(get())); }

  Result<passthru_descriptors> descriptors() const {
    passthru_descriptors descriptors{};
    descriptors.size = sizeof descriptors;
    const int status = passthru_device_descriptors(get(), &descriptors);
    return detail::result_of(status, descriptors);
  }
  Result<std::vector<std::byte>> state_save() {
    size_t size = 0;
    int status = passthru_device_state_save(get(), nullptr, &size);
    if (status < 0) return detail::last_error(status);
    std::vector<std::byte> state(size);
    status = passthru_device_state_save(get(), state.data(), &size);
    if (status < 0) return detail::last_error(status);
    state.resize(size);
    return state;
  }
  Result<void> state_load(std::span<const std::byte> state) {
    return detail::result_of(passthru_device_state_load(get(), state.data(), state.size()));
  }

  Result<std::string> inspect_json() const {
    char* json = nullptr;
    const int status = passthru_device_inspect_json(get(), &json);
    if (status < 0) return detail::last_error(status);
    const std::unique_ptr<char, void (*)(char*)> owner(json, passthru_free);
    return std::string(json);
  }
  Result<void> watch(uint32_t vector, bool on) {
    return detail::result_of(passthru_device_watch(get(), vector, on));
  }
  Result<void> trigger(uint32_t vector) {
    return detail::result_of(passthru_device_trigger(get(), vector));
  }

 private:
  explicit Device(passthru_device* device) : handle_(device) {}

  std::unique_ptr<passthru_device, detail::CloseDevice> handle_;
};

}  // namespace v0
}  // namespace passthru

#endif
