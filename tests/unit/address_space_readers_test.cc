// SPDX-License-Identifier: MIT
// Accesses beside changes, and from inside them: nobody sees half of a change or what is gone.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/unit/address_space_fixture.h"

namespace passthru {
namespace {

/// Commits when it is read: a config write that comes through a memory-mapped window.
class Mover : public AccessTarget {
 public:
  explicit Mover(AddressSpace& space) : space_(space) {}
  void read(uint64_t /*offset*/, std::span<std::byte> data) override {
    ASSERT_TRUE(space_.commit({{id}, {}})) << "removes the very window that is being read";
    data[0] = std::byte{5};
  }
  void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}
  WindowId id = 0;

 private:
  AddressSpace& space_;
};

TEST(AddressSpaceReaders, AnAccessMayChangeTheSpaceAndItsTargetLivesOn) {
  AddressSpace space(kLimit, nullptr);
  auto mover = std::make_shared<Mover>(space);
  std::weak_ptr<Mover> alive = mover;
  mover->id = add(space, {0x1000, 0x100, mover, {}});
  mover.reset();
  EXPECT_EQ(read(space, 0x1000, 1), 5U);
  EXPECT_EQ(read(space, 0x1000, 1), 0xffU);
  space.wait_for_readers();
  EXPECT_TRUE(alive.expired()) << "nothing keeps what was removed";
}

/// Says whether it was reached after it was destroyed, as far as memory still tells; sanitizers
/// tell for sure.
class Mortal : public AccessTarget {
 public:
  ~Mortal() override { alive_ = 0; }
  void read(uint64_t /*offset*/, std::span<std::byte> data) override {
    data[0] = static_cast<std::byte>(alive_);
  }
  void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}

 private:
  volatile uint8_t alive_ = 42;
};

TEST(AddressSpaceReaders, NeverSeeFreedOrHalfMovedState) {
  AddressSpace space(kLimit, nullptr);
  std::atomic<bool> stop{false};
  std::atomic<unsigned> wrong{0};
  std::atomic<unsigned> found{0};
  // A and B change places in one step: whoever reads one of the two places finds somebody there.
  const auto pair = [] {
    return std::vector<Window>{{0x1000, 0x1000, std::make_shared<Mortal>(), {}},
                               {0x2000, 0x1000, std::make_shared<Mortal>(), {}}};
  };
  auto ids = space.commit({{}, pair()});
  ASSERT_TRUE(ids);
  const auto reader = [&](uint64_t address) {
    while (!stop) {
      std::array<std::byte, 1> byte{};
      if (!space.read(address, byte) || byte[0] != std::byte{42}) ++wrong;
      ++found;
    }
  };
  std::thread low(reader, 0x1010);
  std::thread high(reader, 0x2010);
  for (int i = 0; i < 2000; ++i) {
    ids = space.commit({*ids, pair()});
    ASSERT_TRUE(ids);
  }
  while (found < 1000) std::this_thread::yield();
  stop = true;
  low.join();
  high.join();
  EXPECT_EQ(wrong, 0U);
}

TEST(AddressSpaceReaders, AreWaitedForBeforeTheirTargetMayGo) {
  AddressSpace space(kLimit, nullptr);
  class Slow : public AccessTarget {
   public:
    void read(uint64_t /*offset*/, std::span<std::byte> /*data*/) override {
      entered = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      left = 1;  // not atomic: only wait_for_readers orders it
    }
    void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}
    std::atomic<bool> entered{false};
    int left = 0;
  };
  auto slow = std::make_shared<Slow>();
  const WindowId id = add(space, {0x1000, 0x100, slow, {}});
  std::thread vcpu([&] { read(space, 0x1000, 1); });
  while (!slow->entered) std::this_thread::yield();
  remove(space, id);
  space.wait_for_readers();
  EXPECT_EQ(slow->left, 1);
  vcpu.join();
}

}  // namespace
}  // namespace passthru
