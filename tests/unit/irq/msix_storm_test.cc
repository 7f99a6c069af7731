// SPDX-License-Identifier: MIT
// Storm tests: a table is zeroed repeatedly while its vectors are used, and the kernel takes 0.2 ms
// to bind a vector. At the end every vector must work. PASSTHRU_SEEDS is the number of runs,
// PASSTHRU_SECONDS the length of each run, PASSTHRU_SEED the first seed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <optional>

#include "tests/fakes/environment_number.h"
#include "tests/unit/irq/msix_fixture.h"
#include "tests/unit/irq/storm_clock.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;

constexpr auto kInterval = 100ms;  // of audits
constexpr auto kSetIrqs = 200us;   // for each vector

FakeSpec device_with(unsigned vectors, bool noresize) {
  FakeSpec spec = FakeSpec::nvme();
  spec.bars[0].size = 0x20000;
  spec.msix = {
      .vectors = vectors, .table_offset = 0x2000, .pba_offset = 0x10000, .noresize = noresize};
  return spec;
}

struct Storm {
  const char* name;
  unsigned vectors;
  bool noresize;
  bool resets;  ///< also resets the whole function
  uint64_t seeds;
  uint64_t seconds;
  friend void PrintTo(const Storm& storm, std::ostream* out) { *out << storm.name; }
};

class MsixStormTest : public MsixTest, public testing::WithParamInterface<Storm> {
 protected:
  /// Returns a distinct message for each of 2,048 vectors.
  static MsiMessage message_for(unsigned vector) {
    return {0xfee0'0000 | vector / 128 << 12, 0x40 + vector % 128};
  }

  void start(uint64_t seed) {
    failures.clear();
    restored = 0;
    FakeSpec spec = device_with(GetParam().vectors, GetParam().noresize);
    spec.group = static_cast<uint32_t>(++devices);
    spec.bdf.bus = static_cast<uint8_t>(devices % 255);
    spec.bdf.segment = static_cast<uint16_t>(devices / 255);
    open(spec);
    msix->write_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    for (unsigned vector = 0; vector < GetParam().vectors; ++vector) {
      put32(vector * 16, static_cast<uint32_t>(message_for(vector).address));
      put32(vector * 16 + 8, message_for(vector).data);
      mask(vector, false);
    }
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
    host.delivered();
    clock.emplace(seed, [this] { damage(); });
    fake->set_pause([this] { clock->pass(kSetIrqs); });
    pause = [this] { clock->pass(100us); };
  }

  void stop() {
    fake->set_pause({});
    pause = {};
    table.reset();
    pba.reset();
    msix.reset();
    device.reset();
  }

  void damage() {
    if (GetParam().resets && clock->random()() % 8 == 0) {
      fake->backdoor_reset();
    } else {
      fake->zero_table();
    }
  }

  unsigned any_vector() { return static_cast<unsigned>(clock->random()() % GetParam().vectors); }

  /// Lets the guest and the device run until the next audit.
  void use() {
    for (const auto end = clock->now() + kInterval; clock->now() < end;) {
      const unsigned vector = any_vector();
      switch (clock->random()() % 4) {
        case 0:
          mask(vector, true);
          break;
        case 1:
          mask(vector, false);
          break;
        default:
          fake->fire(vector);
      }
      clock->pass(std::chrono::microseconds(clock->random()() % 5'000));
    }
    host.delivered();
    kernel.forget_calls();
  }

  void audit() { ignore(msix->audit(), "the next audit retries"); }

  /// Returns the number of vectors that do not deliver exactly one message for one interrupt.
  unsigned dead() {
    const unsigned vectors = GetParam().vectors;
    for (unsigned vector = 0; vector < vectors; ++vector) mask(vector, false);
    host.delivered();
    std::map<MsiMessage, unsigned> sent;
    for (unsigned vector = 0; vector < vectors; ++vector) fake->fire(vector);
    for (const MsiMessage& message : host.delivered()) ++sent[message];
    unsigned dead = 0;
    for (unsigned vector = 0; vector < vectors; ++vector) {
      if (sent[message_for(vector)] != 1) ++dead;
    }
    return dead;
  }

  std::optional<StormClock> clock;
  unsigned devices = 0;
};

TEST_P(MsixStormTest, LeavesNoVectorDead) {
  const uint64_t first = environment_number("PASSTHRU_SEED", 1);
  const uint64_t seeds = environment_number("PASSTHRU_SEEDS", GetParam().seeds);
  const auto length = environment_number("PASSTHRU_SECONDS", GetParam().seconds) * 1s;
  uint64_t damages = 0;
  uint64_t restores = 0;
  unsigned all_dead = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    ASSERT_NO_FATAL_FAILURE(start(seed));
    while (clock->now() < length) {
      use();
      audit();
    }
    clock->be_quiet();
    for (unsigned audits = 0; audits < 2; ++audits) audit();
    unsigned unsound = 0;
    for (unsigned vector = 0; vector < GetParam().vectors; ++vector) {
      unsound += fake->entry(vector) == fake->host_message(vector) ? 0 : 1;
    }
    EXPECT_EQ(unsound, 0U) << "damaged entries, PASSTHRU_SEED=" << seed;
    const unsigned dead_now = dead();
    EXPECT_EQ(dead_now, 0U) << "dead vectors, PASSTHRU_SEED=" << seed;
    damages += clock->damages();
    restores += msix->counters().restores;
    all_dead += dead_now;
    stop();
  }
  EXPECT_GT(restores, 0U);
  std::cout << fmt::format("{} vectors, {} storms of {} s: {} damages, {} restores, {} dead\n",
                           GetParam().vectors, seeds, std::chrono::duration<double>(length).count(),
                           damages, restores, all_dead);
}

INSTANTIATE_TEST_SUITE_P(, MsixStormTest,
                         testing::Values(Storm{"Zeroed64", 64, true, false, 5, 2},
                                         Storm{"Zeroed64Dynamic", 64, false, false, 3, 2},
                                         Storm{"Reset64", 64, true, true, 5, 2},
                                         Storm{"Zeroed2048", 2048, true, false, 1, 5},
                                         Storm{"Reset2048", 2048, true, true, 1, 5}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace passthru
