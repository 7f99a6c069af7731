// SPDX-License-Identifier: MIT
// The price of a function mask on real KVM, if KVM works here. A guest masks the function, gives
// each vector another message and unmasks it, so one write changes all routes. Compares one
// KVM_SET_GSI_ROUTING for all routes with one for each.
#include <benchmark/benchmark.h>
#include <linux/kvm.h>

#include <chrono>
#include <memory>

#include "bench/msix_function.h"
#include "kvm/kvm_hypervisor.h"
#include "kvm/kvm_table.h"
#include "vmm/kvm_machine.h"

namespace passthru {
namespace {

class CountedKvm : public KvmCalls {
 public:
  Result<int> call(int fd, unsigned long request, const char* name, void* argument) override {
    if (request == kvm_table_request(KVM_SET_GSI_ROUTING)) ++tables;
    return KvmCalls::call(fd, request, name, argument);
  }
  uint64_t tables = 0;
};

/// Does not override `change_routes`.
class OneByOne : public Router {
 public:
  explicit OneByOne(KvmHypervisor& host) : host_(host) {}
  Result<RouteId> create_route(const MsiMessage& message, uint16_t requester_id) override {
    return host_.create_route(message, requester_id);
  }
  Result<void> update_route(RouteId route, const MsiMessage& message) override {
    return host_.update_route(route, message);
  }
  void destroy_route(RouteId route) override { host_.destroy_route(route); }
  Result<void> arm(RouteId route, int eventfd) override { return host_.arm(route, eventfd); }
  void disarm(RouteId route, int eventfd) override { host_.disarm(route, eventfd); }
  Result<void> signal_msi(const MsiMessage& message, uint16_t requester_id) override {
    return host_.signal_msi(message, requester_id);
  }
  void set_intx(Bdf guest_address, unsigned pin, bool level) override {
    host_.set_intx(guest_address, pin, level);
  }

 private:
  KvmHypervisor& host_;
};

using Seconds = std::chrono::duration<double>;

Seconds time_of_write(MsixFunction& function, uint16_t control) {
  const auto start = std::chrono::steady_clock::now();
  function.msix().write_control(control);
  return std::chrono::steady_clock::now() - start;
}

void function_mask(benchmark::State& state) {
  const auto vectors = static_cast<unsigned>(state.range(0));
  const bool together = state.range(1) != 0;
  const auto machine = KvmMachine::create();
  if (!machine) return state.SkipWithError(machine.error().message().c_str());
  CountedKvm kvm;
  const auto host = KvmHypervisor::create((*machine)->vm(), {}, kvm);
  if (!host) return state.SkipWithError(host.error().message().c_str());
  OneByOne one_by_one(**host);
  Router& vmm = together ? static_cast<Router&>(**host) : one_by_one;
  MsixFunction function(vmm, vectors, true);
  for (unsigned vector = 0; vector < vectors; ++vector) function.unmask(vector);
  function.msix().write_control(PCI_MSIX_FLAGS_ENABLE);

  uint32_t message = 0x41;
  Seconds masking{};
  const uint64_t before = kvm.tables;
  for (auto unused : state) {
    masking += time_of_write(function, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    message ^= 0x100;
    for (unsigned vector = 0; vector < vectors; ++vector) function.put(vector * 16 + 8, message);
    state.SetIterationTime(time_of_write(function, PCI_MSIX_FLAGS_ENABLE).count());
  }
  const auto rounds = static_cast<double>(state.iterations());
  state.counters["mask_ms"] = masking.count() * 1e3 / rounds;
  state.counters["SET_GSI_ROUTING"] = static_cast<double>(kvm.tables - before) / rounds;
}
BENCHMARK(function_mask)
    ->ArgNames({"vectors", "together"})
    ->ArgsProduct({{64, 2048}, {1, 0}})
    ->UseManualTime()
    ->Iterations(4)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace passthru
