// SPDX-License-Identifier: MIT
// Fuzzes the C interface: any function, in any order, with live, closed and invented handles, and
// with any numbers. No call may crash or break the contract of the callbacks. At the end nothing is
// left in the kernel or in the VMM.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <vector>

#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

struct Step {
  uint8_t what;
  uint8_t handle;
  uint16_t small;
  uint32_t value;
};

constexpr size_t kHandles = 4;
constexpr size_t kRoom = 64;
constexpr size_t kMaxState = 128 * 1024;

/// A host with two devices, and the handles of domains and devices, closed handles included.
class Machine {
 public:
  explicit Machine(uint8_t shape) : shape_(shape) {
    for (const FakeSpec& spec : {FakeSpec::nvme(), FakeSpec::e1000e()}) {
      const std::string bdf = spec.bdf.str();
      sysfs_.add({.bdf = bdf.c_str(), .driver = "vfio-pci", .group = spec.group, .vfio_dev = true});
      kernel_->add(spec);
    }
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() {
    for (passthru_domain* domain : domains_) passthru_domain_destroy(domain);
    if (kernel_->nothing_leaked() && vmm_.host.mappings().empty() && vmm_.trapped.empty()) return;
    std::fprintf(stderr, "leaked: %zu descriptors, %zu mappings, %zu of DMA\n", kernel_->open_fds(),
                 kernel_->mappings(), kernel_->dma_mappings());
    __builtin_trap();
  }

  void take(const Step& step) {
    if (step.what % 4 == 0) return on_domain(step);
    on_device(step);
  }

 private:
  passthru_domain*& domain(const Step& step) { return domains_[step.handle % kHandles]; }
  passthru_device*& device(const Step& step) { return devices_[step.handle % kHandles]; }

  void create(const Step& step) {
    // One VMM stands behind all domains, so only one domain may exist at a time.
    for (passthru_domain* each : domains_) passthru_domain_destroy(each);
    const passthru_callbacks callbacks =
        (shape_ & 1) != 0 ? callbacks_without_irqfd() : all_callbacks();
    const auto made =
        make_domain(kernel_, sysfs_.sysfs(), &callbacks, &vmm_, {.takes_signals_at_once = true});
    if (!made) return;
    domain(step) = *made;
    // The fuzzer's thread drives the forwarder, so that the same input gives the same run.
    int fd = -1;
    if (passthru_domain_forwarder_fd(*made, &fd) != 0) __builtin_trap();
  }

  void open(const Step& step) {
    passthru_device_options options{};
    options.size = step.value % 8 == 0 ? step.small : sizeof options;
    options.flags = (step.value >> 8) & (PASSTHRU_BARS_BY_VMM | PASSTHRU_REPORT_UNPLUG |
                                         PASSTHRU_NO_ROM | PASSTHRU_KEEP_STATE | 1U << 12);
    options.device = (step.small & 1) != 0 ? "0000:00:02.0" : "0000:00:03.0";
    options.guest_address = step.small;
    options.msix = step.value >> 16 & 3;
    options.msix_bar = step.value >> 18 & 7;
    options.unmapped_bars = step.value >> 21 & 0x3F;
    passthru_device* opened = nullptr;
    if (passthru_device_open(domain(step), &options, &opened) == 0) {
      devices_[step.small / 4 % kHandles] = opened;
    }
  }

  void on_domain(const Step& step) {
    passthru_domain* d = domain(step);
    size_t count = step.small % 3;
    passthru_range ranges[2];
    switch (step.what / 4 % 21) {
      case 0:
        return create(step);
      case 1:
      case 2:
        return open(step);
      case 3:
        return ignore_result(passthru_domain_destroy(d));
      case 4:
        return ignore_result(
            passthru_domain_add_memory(d, step.value, memory_.data(), step.small, step.value % 4));
      case 5:
        return ignore_result(passthru_domain_remove_memory(d, step.value));
      case 6:
        return ignore_result(passthru_domain_mmio_write(d, 0xc000'0000 + step.value % 0x20000,
                                                        &step.value, step.small % 9));
      case 7:
        return ignore_result(
            passthru_domain_mmio_read(d, step.value, room_.data(), step.small % kRoom));
      case 8:
        return ignore_result(
            passthru_domain_port_write(d, step.small, &step.value, step.value % 5));
      case 9:
        return ignore_result(passthru_domain_reset(d));
      case 10:
        return ignore_result(passthru_domain_usable_ranges(d, ranges, &count));
      case 11:
        return ignore_result(
            passthru_domain_port_read(d, step.small, room_.data(), step.value % kRoom));
      case 12:
        return ignore_result(
            passthru_domain_add_memory_fd(d, step.value, step.small % 2 == 0 ? -1 : STDIN_FILENO,
                                          step.small, memory_.data(), step.small, step.value % 4));
      case 13:
        return ignore_result(
            passthru_domain_hide_bars(d, 0xc000'0000 + step.value % 0x20000, step.small));
      case 14:
        return ignore_result(passthru_domain_set_kvm_routes(d, nullptr, step.value % 3));
      case 15:
        return (step.value % 2 == 0)
                   ? ignore_result(passthru_domain_use_iommufd(d, static_cast<int>(step.small) - 1))
                   : ignore_result(
                         passthru_domain_use_container(d, static_cast<int>(step.small) - 1));
      case 16:  // its threads run only within this step, so that the same input gives the same run
        ignore_result(passthru_domain_start_audit(d, 0));
        return ignore_result(passthru_domain_stop_audit(d));
      case 17:
        return inspect_socket(d, step);
      case 18:
        return create_wrongly(step);
      case 19:
        return ignore_result(passthru_domain_use_p2p(d, step.value % 4));
      default:
        return ignore_result(passthru_domain_forward(d));
    }
  }

  static void inspect_socket(passthru_domain* d, const Step& step) {
    int fd = -1;
    switch (step.small % 4) {
      case 0:
        return ignore_result(passthru_domain_inspect_group(d, step.value % 2 - 1));
      case 1:  // "/" is no socket
        return ignore_result(passthru_domain_inspect_serve(d, "/", step.value % 4));
      case 2:
        return ignore_result(passthru_domain_inspect_fd(d, &fd));
      default:
        return ignore_result(passthru_domain_inspect_run(d));
    }
  }

  /// Domains on the real kernel, which open no device.
  static void create_wrongly(const Step& step) {
    if (passthru_version() != PASSTHRU_VERSION) __builtin_trap();
    passthru_callbacks callbacks = all_callbacks();
    callbacks.size = step.small;
    passthru_domain_options options{.size = step.value % 16, .flags = step.value >> 8 & 3};
    passthru_domain* made = nullptr;
    if (step.small <= sizeof callbacks && options.size <= sizeof options) {
      ignore_result(passthru_domain_create(&callbacks, nullptr, &options, &made));
    }
    if (made != nullptr) ignore_result(passthru_domain_destroy(made));
    passthru_kvm_options on_kvm{};
    on_kvm.size = step.small % 33;
    on_kvm.flags = step.value;
    on_kvm.vm_fd = -1;
    ignore_result(passthru_domain_create_kvm(&on_kvm, nullptr, nullptr, &made));
  }

  void save_or_load(passthru_device* d, const Step& step) {
    size_t size = step.small % 4 == 0 ? step.small : state_.size();
    switch (step.value % 3) {
      case 0:
        return ignore_result(passthru_device_state_save(d, nullptr, &size));
      case 1:
        ignore_result(passthru_device_state_save(d, state_.data(), &size));
        saved_ = std::min(size, state_.size());
        return;
      default:  // what was saved, with one wrong byte
        if (saved_ != 0 && step.small % 2 != 0) {
          state_[step.small % saved_] ^= static_cast<std::byte>(step.value >> 8);
        }
        return ignore_result(passthru_device_state_load(d, state_.data(), saved_));
    }
  }

  void on_device(const Step& step) {
    passthru_device* d = device(step);
    // Sometimes a handle that was never given.
    if (step.value == 0x1234) {
      d = reinterpret_cast<passthru_device*>(static_cast<uintptr_t>(step.small) << 8 | 5);
    }
    uint32_t value = step.value;
    size_t count = step.small % 9;
    switch (step.what / 4 % 21) {
      case 0:
        return ignore_result(passthru_device_close(d));
      case 1:
        return ignore_result(passthru_device_config_read(d, step.small, step.value % 6, &value));
      case 2:
      case 3:
        return ignore_result(
            passthru_device_config_write(d, step.small % 4100, 1U << step.what / 128, step.value));
      case 4: {  // a driver that starts
        passthru_device_config_write(d, 0x10, 4, 0xc000'0000);
        passthru_device_config_write(d, 0x04, 2, step.small);
        return ignore_result(passthru_device_config_write(d, FakeCapability::kMsix + 2, 2, 0x8000));
      }
      case 5:
        return ignore_result(passthru_device_bar_read(d, step.small % 8, step.value, room_.data(),
                                                      step.what % kRoom));
      case 6:
        return ignore_result(passthru_device_bar_write(d, step.small % 8, step.value % 0x4010,
                                                       &value, step.what % 5));
      case 7: {
        passthru_bar_info info{};
        info.size = step.small % 32;
        alignas(passthru_bar_info) std::array<std::byte, 64> larger{};
        std::memcpy(larger.data(), &info, sizeof info);
        return ignore_result(passthru_device_bar_info(
            d, step.value % 8, reinterpret_cast<passthru_bar_info*>(larger.data())));
      }
      case 8:
        return ignore_result(passthru_device_bar_spans(d, step.value % 8, spans_.data(), &count));
      case 9:
        return ignore_result(passthru_device_end_of_intx(d));
      case 10:
        return ignore_result(passthru_device_retranslate(d));
      case 11:
        return ignore_result(passthru_device_check(d, &value));
      case 12:
        return ignore_result(passthru_device_handle_events(d));
      case 13: {
        char* json = nullptr;
        passthru_device_inspect_json(d, &json);
        return passthru_free(json);
      }
      case 14:
        return ignore_result(passthru_device_watch(d, step.small % 70, step.value % 2 != 0));
      case 15:
        return ignore_result(passthru_device_reset(d));
      case 16: {
        int fds[8];
        count = step.small % std::size(fds);
        return ignore_result(passthru_device_event_fds(d, fds, &count));
      }
      case 17: {
        passthru_descriptors descriptors{};
        descriptors.size = step.value % (sizeof descriptors + 1);
        return ignore_result(passthru_device_descriptors(d, &descriptors));
      }
      case 18:
      case 19:
        return save_or_load(d, step);
      default:
        return ignore_result(passthru_device_trigger(d, step.small % 70));
    }
  }

  /// A failed call has a text.
  static void ignore_result(int result) {
    if (result < 0 && *passthru_last_error() == '\0') __builtin_trap();
    if (result > 0 || result < -4095) __builtin_trap();
  }

  const uint8_t shape_;
  SysfsTree sysfs_;
  std::shared_ptr<FakeKernel> kernel_ = std::make_shared<FakeKernel>();
  FakeVmm vmm_{*kernel_};
  std::array<passthru_domain*, kHandles> domains_{};
  std::array<passthru_device*, kHandles> devices_{};
  std::array<passthru_span, 8> spans_{};
  std::array<std::byte, kRoom> room_{};
  std::vector<std::byte> state_ = std::vector<std::byte>(kMaxState);
  size_t saved_ = 0;  ///< bytes of a saved state in `state_`
  alignas(4096) std::array<std::byte, 65536> memory_{};
};

void run(const uint8_t* program, size_t size) {
  if (size == 0) return;
  const auto machine = std::make_unique<Machine>(*program);
  machine->take({.what = 0, .handle = 0, .small = 0, .value = 0});  // a domain
  machine->take({.what = 4, .handle = 0, .small = 1, .value = 1});  // a device
  ++program;
  --size;
  for (Step step{}; size >= sizeof step; program += sizeof step, size -= sizeof step) {
    std::memcpy(&step, program, sizeof step);
    machine->take(step);
  }
}

}  // namespace
}  // namespace passthru

// A failed check of the fakes ends the run; by default it would only be printed.
extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  GTEST_FLAG_SET(break_on_failure, true);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  passthru::run(data, std::min<size_t>(size, 1024));
  return 0;
}
