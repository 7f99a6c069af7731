// SPDX-License-Identifier: MIT
// The windows that tests put into an address space, and short functions for them. For the tests
// address_space_*_test.cc.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "mmap/address_space.h"
#include "tests/unit/mmap/fake_mapper.h"
#include "tests/unit/mmap/host_memory.h"

namespace passthru {

inline constexpr uint64_t kLimit = uint64_t{1} << 40;

/// Reads as its own number in every byte, and logs its accesses.
class Recorder : public AccessTarget {
 public:
  explicit Recorder(uint8_t number) : number_(number) {}
  void read(uint64_t offset, std::span<std::byte> data) override {
    log += "r" + std::to_string(offset) + "+" + std::to_string(data.size()) + " ";
    std::fill(data.begin(), data.end(), std::byte{number_});
  }
  void write(uint64_t offset, std::span<const std::byte> data) override {
    log += "w" + std::to_string(offset) + "+" + std::to_string(data.size()) + " ";
  }
  std::string log;

 private:
  const uint8_t number_;
};

inline uint64_t read(const AddressSpace& space, uint64_t address, unsigned width) {
  std::array<std::byte, 8> bytes{};
  space.read(address, std::span(bytes).first(width));
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

inline WindowId add(AddressSpace& space, Window window) {
  AddressSpaceChange change;
  change.add.push_back(std::move(window));
  auto ids = space.commit(std::move(change));
  EXPECT_TRUE(ids) << ids.error().message();
  return ids ? ids->front() : 0;
}

inline void remove(AddressSpace& space, WindowId id) {
  ASSERT_TRUE(space.commit({.remove = {id}, .add = {}}));
}

inline Window mapped_window(uint64_t base, uint64_t size, uint64_t memory) {
  return {base, size, std::make_shared<Recorder>(uint8_t{1}), {{0, size, host(memory)}}};
}

}  // namespace passthru
