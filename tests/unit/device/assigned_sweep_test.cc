// SPDX-License-Identifier: MIT
// Sweep tests: at each point of each operation, one event happens. Events are interrupts, damage, a
// device that is silent for a moment, and a failed call. Afterwards the guest unmasks its vectors
// and audits run; then every vector must deliver.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <set>

#include "tests/fakes/environment_number.h"
#include "tests/unit/device/assigned_fixture.h"
#include "tests/unit/device/sweep.h"

namespace passthru {
namespace {

constexpr unsigned kVectors = 3;
constexpr unsigned kAudits = 5;

class AssignedSweepTest;

struct Operation {
  const char* name;
  std::function<void(AssignedSweepTest&)> prepare;  ///< runs when the guest's vectors are live
  std::function<void(AssignedSweepTest&)> run;
  bool keeps_interrupts;  ///< interrupts that fire during the operation must be delivered
};

struct SweptDevice {
  const char* name;
  bool noresize;
  bool visible;
  friend void PrintTo(const SweptDevice& device, std::ostream* out) { *out << device.name; }
};

class AssignedSweepTest : public AssignedFixture, public testing::WithParamInterface<SweptDevice> {
 public:
  void mask(unsigned vector, bool masked) {
    mmio_write(kNvmeTable + uint64_t{vector} * 16 + 12, masked ? 1 : 0);
  }
  void set_live(unsigned vectors) {
    place(kWindow);
    enable_msix();
    for (unsigned vector = 0; vector < vectors; ++vector) enable_vector(vector);
  }
  using AssignedFixture::device;
  using AssignedFixture::enable_msix;
  using AssignedFixture::enable_vector;
  using AssignedFixture::hardware;
  using AssignedFixture::place;

 protected:
  void SetUp() override {
    FakeSpec spec = FakeSpec::nvme();
    spec.msix.vectors = 5;
    spec.msix.noresize = GetParam().noresize;
    spec.msix.mappable = GetParam().visible;
    hardware = &plug(spec);
    open();
  }

  void prepare(const Operation& operation) {
    if (!device) open();
    ASSERT_TRUE(device->reset());
    set_live(kVectors);
    if (operation.prepare) operation.prepare(*this);
    host.delivered();
    host.events.clear();
    kernel->forget_calls();
  }

  /// Continues as the guest would after any event: with its vectors unmasked.
  void go_on(bool failed) {
    if (!device) open();
    // A guest finds nothing while its device is silent.
    ignore(device->check_health(), "the device answers again");
    device->config_write(kPowerControl, 2, 0);
    set_live(kVectors);
    // A read cannot find damage in a hidden table, and a vector that failed to bind is retried when
    // the guest touches it.
    const bool touch = !GetParam().visible || failed;
    for (unsigned vector = 0; vector < kVectors && touch; ++vector) {
      mask(vector, true);
      mask(vector, false);
    }
    for (unsigned audits = 0; audits < kAudits; ++audits) {
      ignore(device->check_health(), "the next audit retries");
    }
  }

  std::set<MsiMessage> delivered() {
    const auto all = host.delivered();
    return {all.begin(), all.end()};
  }

  unsigned dead() {
    host.delivered();
    unsigned dead = 0;
    for (unsigned vector = 0; vector < kVectors; ++vector) {
      const bool fired = hardware->fire(vector) == Fired::Delivered;
      dead += fired && delivered().contains(message_of(vector)) ? 0 : 1;
    }
    return dead;
  }

  void fire_all() {
    for (unsigned vector = 0; vector < kVectors; ++vector) hardware->fire(vector);
  }

  /// Only calls that can fail for another reason than an invalid argument. The kernel never refuses
  /// to disable an enabled index (drivers/vfio/pci/vfio_pci_intrs.c).
  void fail(const Sweep::Point& point) {
    if (point.after) return;
    if (point.of_vmm) {
      for (const char* call : {"map", "unmap", "create_route", "update_route", "arm", "arm_intx"}) {
        if (point.call == call) host.fail_next(call, ENOSPC);
      }
      return;
    }
    for (const char* call : {"VFIO_DEVICE_SET_IRQS", "VFIO_DEVICE_RESET", "pread", "pwrite", "mmap",
                             "eventfd", "poll"}) {
      if (point.call == call) kernel->fail(call, ENOMEM);
    }
  }

  /// Sweeps all operations with one event.
  enum class Kind { Fires, Damages, Fails };
  void sweep(const char* name, Kind kind, const Sweep::Event& event,
             const std::function<void()>& then = {});
};

const Operation kOperations[] = {
    {"enable", [](auto& test) { test.device->config_write(kMsixControl, 2, 0); },
     [](auto& test) { test.enable_msix(); }, false},
    {"growth", {}, [](auto& test) { test.enable_vector(3), test.enable_vector(4); }, true},
    {"mask", {}, [](auto& test) { test.mask(1, true); }, true},
    {"unmask", [](auto& test) { test.mask(1, true); }, [](auto& test) { test.mask(1, false); },
     true},
    {"unmask after damage", [](auto& test) { test.mask(1, true), test.hardware->zero_table(); },
     [](auto& test) { test.mask(1, false); }, true},
    {"function mask",
     {},
     [](auto& test) {
       test.device->config_write(kMsixControl, 2, 0xc000);
       test.device->config_write(kMsixControl, 2, 0x8000);
     },
     true},
    {"disable and enable",
     {},
     [](auto& test) {
       test.device->config_write(kMsixControl, 2, 0);
       test.enable_msix();
     },
     false},
    {"FLR", {}, [](auto& test) { test.device->config_write(kDeviceControl, 2, 0x8000); }, false},
    {"BAR move", {}, [](auto& test) { test.place(kElsewhere); }, true},
    {"decode off and on",
     {},
     [](auto& test) {
       test.device->config_write(kCommand, 2, 0);
       test.device->config_write(kCommand, 2, 6);
     },
     true},
    {"sleep and wake",
     {},
     [](auto& test) {
       test.device->config_write(kPowerControl, 2, 3);
       test.device->config_write(kPowerControl, 2, 0);
     },
     false},
    {"audit", {}, [](auto& test) { ignore(test.device->check_health(), "swept"); }, true},
    {"audit after damage", [](auto& test) { test.hardware->zero_table(); },
     [](auto& test) { ignore(test.device->check_health(), "swept"); }, true},
    {"audit after a reset", [](auto& test) { test.hardware->backdoor_reset(); },
     [](auto& test) { ignore(test.device->check_health(), "swept"); }, true},
    {"reset by the VMM", {}, [](auto& test) { ignore(test.device->reset(), "swept"); }, false},
    {"detach", {}, [](auto& test) { test.device.reset(); }, false},
};

void AssignedSweepTest::sweep(const char* name, Kind kind, const Sweep::Event& event,
                              const std::function<void()>& then) {
  Sweep points_of(*kernel, host, *hardware);
  unsigned swept = 0;
  unsigned all_dead = 0;
  // All points, or every PASSTHRU_SWEEP_STEP-th, because a sanitizer makes each point slow.
  const auto step =
      static_cast<unsigned>(std::max<uint64_t>(1, environment_number("PASSTHRU_SWEEP_STEP", 1)));
  for (const Operation& operation : kOperations) {
    unsigned points = 1;
    for (unsigned nth = 0; nth < points; nth += step) {
      ASSERT_NO_FATAL_FAILURE(prepare(operation));
      Sweep::Point at;
      points = points_of.run([&] { operation.run(*this); }, nth,
                             [&](const Sweep::Point& point) {
                               at = point;
                               event(point);
                             },
                             then);
      const std::string where = fmt::format("{}: {} at point {} of {}, {} {}", operation.name, name,
                                            nth, points, at.after ? "after" : "before", at.call);
      go_on(kind == Kind::Fails);
      if (kind == Kind::Fires && operation.keeps_interrupts && nth < points) {
        const auto sent = delivered();
        for (unsigned vector = 0; vector < kVectors; ++vector) {
          EXPECT_TRUE(sent.contains(message_of(vector)))
              << where << ": lost an interrupt of vector " << vector;
        }
      }
      const unsigned dead_now = dead();
      EXPECT_EQ(dead_now, 0U) << where;
      all_dead += dead_now;
      ++swept;
    }
  }
  std::cout << fmt::format("sweep: {}: {} points swept, {} vectors dead\n", name, swept, all_dead);
}

TEST_P(AssignedSweepTest, AllVectorsFire) {
  sweep("all vectors fire", Kind::Fires, [this](const auto&) { fire_all(); });
}

TEST_P(AssignedSweepTest, TheTableIsZeroed) {
  sweep("the table is zeroed", Kind::Damages, [this](const auto&) { hardware->zero_table(); });
}

TEST_P(AssignedSweepTest, TheFunctionIsReset) {
  sweep("the function is reset", Kind::Damages,
        [this](const auto&) { hardware->backdoor_reset(); });
}

TEST_P(AssignedSweepTest, TheDeviceIsGoneForTwoCalls) {
  sweep(
      "the device is gone for two calls", Kind::Damages,
      [this](const auto&) { hardware->set_gone(true); }, [this] { hardware->set_gone(false); });
}

TEST_P(AssignedSweepTest, TheCallFails) {
  sweep("the call fails", Kind::Fails, [this](const auto& point) { fail(point); });
}

INSTANTIATE_TEST_SUITE_P(, AssignedSweepTest,
                         testing::Values(SweptDevice{"Noresize", true, true},
                                         SweptDevice{"Dynamic", false, true},
                                         SweptDevice{"Hidden", true, false}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace passthru
