// SPDX-License-Identifier: MIT
// Tests of the handles of the C interface.
#include "capi/handle_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace passthru {
namespace {

struct Opaque;
struct Counted {
  explicit Counted(std::atomic<int>& count) : alive(count) { ++alive; }
  ~Counted() { --alive; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  std::atomic<int>& alive;
};
using Table = HandleTable<Counted, Opaque, 3>;

class HandleTableTest : public ::testing::Test {
 protected:
  std::atomic<int> alive = 0;
  std::unique_ptr<Table> table = std::make_unique<Table>();
};

TEST_F(HandleTableTest, AHandleFindsItsObjectUntilItIsRemoved) {
  Opaque* first = table->add(std::make_unique<Counted>(alive));
  Opaque* second = table->add(std::make_unique<Counted>(alive));
  ASSERT_NE(first, nullptr);
  EXPECT_NE(first, second);
  EXPECT_TRUE(table->find(first));
  EXPECT_TRUE(table->remove(first));
  EXPECT_EQ(alive, 1);
  EXPECT_FALSE(table->find(first));
  EXPECT_FALSE(table->remove(first));
  EXPECT_TRUE(table->find(second));
}

TEST_F(HandleTableTest, ARemovedHandleIsNeverGivenAgain) {
  std::vector<Opaque*> removed;
  for (int round = 0; round < 100; ++round) {
    Opaque* handle = table->add(std::make_unique<Counted>(alive));
    for (Opaque* old : removed) {
      EXPECT_NE(old, handle);
      EXPECT_FALSE(table->find(old));
    }
    table->remove(handle);
    removed.push_back(handle);
  }
}

TEST_F(HandleTableTest, NumbersThatAreNoHandleFindNothing) {
  Opaque* handle = table->add(std::make_unique<Counted>(alive));
  const auto number = reinterpret_cast<uintptr_t>(handle);
  for (unsigned bit = 0; bit < 64; ++bit) {
    EXPECT_FALSE(table->find(reinterpret_cast<Opaque*>(number ^ uintptr_t{1} << bit))) << bit;
  }
  EXPECT_FALSE(table->find(nullptr));
  int local = 0;
  EXPECT_FALSE(table->find(reinterpret_cast<Opaque*>(&local)));
}

TEST_F(HandleTableTest, AFullTableRefusesAnObjectUntilOneIsRemoved) {
  std::vector<Opaque*> handles;
  for (size_t i = 0; i < Table::kMaxHandles; ++i) {
    handles.push_back(table->add(std::make_unique<Counted>(alive)));
  }
  EXPECT_EQ(table->add(std::make_unique<Counted>(alive)), nullptr);
  EXPECT_EQ(static_cast<size_t>(alive), Table::kMaxHandles);
  table->remove(handles[17]);
  EXPECT_NE(table->add(std::make_unique<Counted>(alive)), nullptr);
}

TEST_F(HandleTableTest, RemovingWaitsForEachUse) {
  Opaque* handle = table->add(std::make_unique<Counted>(alive));
  auto use = std::make_unique<Table::Use>(table->find(handle));
  std::atomic<bool> removed = false;
  std::thread remover([&] {
    table->remove(handle);
    removed = true;
  });
  while (table->find(handle)) std::this_thread::yield();
  EXPECT_FALSE(removed);
  EXPECT_EQ(alive, 1) << "the object lives as long as its use";
  use.reset();
  remover.join();
  EXPECT_EQ(alive, 0);
}

TEST_F(HandleTableTest, ThreadsThatUseAndRemoveNeverMeetAFreedObject) {
  std::atomic<Opaque*> current = table->add(std::make_unique<Counted>(alive));
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> uses = 0;
  std::vector<std::thread> users;
  for (int i = 0; i < 2; ++i) {
    users.emplace_back([&] {
      while (!stop) {
        if (const auto use = table->find(current)) {
          EXPECT_GE(use->alive, 1);
          ++uses;
        }
      }
    });
  }
  for (int round = 0; round < 2000 || uses == 0; ++round) {
    Opaque* next = table->add(std::make_unique<Counted>(alive));
    Opaque* old = current.exchange(next);
    EXPECT_TRUE(table->remove(old));
  }
  stop = true;
  for (auto& user : users) user.join();
  table->remove(current);
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace passthru
