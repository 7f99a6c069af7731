// SPDX-License-Identifier: MIT
// Accesses during changes, and from inside them: no reader sees half of a change or a removed
// window.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/fakes/eventually.h"
#include "tests/unit/mmap/address_space_fixture.h"

namespace passthru {
namespace {

/// Commits when it is read, like a config write through a memory-mapped window.
class Mover : public AccessTarget {
 public:
  explicit Mover(AddressSpace& space) : space_(space) {}
  void read(uint64_t /*offset*/, std::span<std::byte> data) override {
    ASSERT_TRUE(space_.commit({{id}, {}})) << "removes the window that is being read";
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
  EXPECT_TRUE(alive.expired()) << "nothing keeps the removed target";
}

/// Reports whether it was accessed after its destructor, as far as its memory still shows;
/// sanitizers detect it reliably.
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
  // A and B change places in one step: a reader of either place always finds a window.
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
  EXPECT_TRUE(eventually([&] { return found >= 1000; })) << "the readers have not started";
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
  EXPECT_TRUE(eventually([&] { return slow->entered.load(); })) << "the access has not started";
  remove(space, id);
  space.wait_for_readers();
  EXPECT_EQ(slow->left, 1);
  vcpu.join();
}

/// An access that lasts until `end()`, at most 20 s.
class Stuck : public AccessTarget {
 public:
  void read(uint64_t /*offset*/, std::span<std::byte> /*data*/) override {
    entered_ = true;
    for (int i = 0; i < 20'000 && !end_; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    was_told_ = end_.load();
  }
  void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}
  void wait_for_access() const {
    EXPECT_TRUE(eventually([this] { return entered_.load(); })) << "the access has not started";
  }
  void end() { end_ = true; }
  [[nodiscard]] bool was_told() const { return was_told_; }

 private:
  std::atomic<bool> entered_{false};
  std::atomic<bool> end_{false};
  std::atomic<bool> was_told_{false};
};

/// A vCPU in a long access of `space`, while this object lives.
class StuckVcpu {
 public:
  explicit StuckVcpu(AddressSpace& space)
      : window(add(space, {0x1000, 0x100, target, {}})),
        thread_([&space] { read(space, 0x1000, 1); }) {
    target->wait_for_access();
  }
  ~StuckVcpu() {
    target->end();
    thread_.join();
    EXPECT_TRUE(target->was_told()) << "the change waited for the access";
  }

  const std::shared_ptr<Stuck> target = std::make_shared<Stuck>();
  const WindowId window;

 private:
  std::thread thread_;
};

TEST(AddressSpaceReaders, ASlowAccessHoldsUpNoOtherVm) {
  AddressSpace ours(kLimit, nullptr);
  AddressSpace theirs(kLimit, nullptr);
  const StuckVcpu vcpu(theirs);
  remove(ours, add(ours, {0x1000, 0x100, std::make_shared<Recorder>(1), {}}));
  ours.wait_for_readers();
}

TEST(AddressSpaceReaders, ASlowAccessHoldsUpNoRemovalOfAnotherWindow) {
  AddressSpace space(kLimit, nullptr);
  const StuckVcpu vcpu(space);
  auto target = std::make_shared<Recorder>(1);
  const std::weak_ptr<Recorder> alive = target;
  remove(space, add(space, {0x8000, 0x100, std::move(target), {}}));
  space.wait_for_removed();
  EXPECT_TRUE(alive.expired());
}

TEST(AddressSpaceReaders, WhoWaitsForReadersWaitsForWindowsThatStay) {
  AddressSpace space(kLimit, nullptr);
  std::atomic<bool> waited{false};
  std::thread waiter;
  {
    const StuckVcpu vcpu(space);
    waiter = std::thread([&] {
      space.wait_for_readers();
      waited = true;
    });
    // Time enough for a wait that waits for no reader.
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_FALSE(waited);
  }
  waiter.join();
  EXPECT_TRUE(waited);
}

/// Counts its live objects.
class Counted : public AccessTarget {
 public:
  explicit Counted(std::atomic<uint64_t>& alive) : alive_(alive) { ++alive_; }
  ~Counted() override { --alive_; }
  void read(uint64_t /*offset*/, std::span<std::byte> /*data*/) override {}
  void write(uint64_t /*offset*/, std::span<const std::byte> /*data*/) override {}

 private:
  std::atomic<uint64_t>& alive_;
};

TEST(AddressSpaceReaders, ChangesBesideASlowAccessDoNotPileUp) {
  std::atomic<uint64_t> alive{0};
  AddressSpace space(kLimit, nullptr);
  const StuckVcpu vcpu(space);
  uint64_t most = 0;
  for (int i = 0; i < 4000; ++i) {
    remove(space, add(space, {0x8000, 0x100, std::make_shared<Counted>(alive), {}}));
    most = std::max(most, alive.load());
  }
  EXPECT_LE(most, AddressSpace::kMaxRetired + 2) << "of 4000";
}

}  // namespace
}  // namespace passthru
