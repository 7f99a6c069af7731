// SPDX-License-Identifier: MIT
// Sweep tests of opening a device that is silent for some reads, starting at each read in turn. The
// device is opened with its real contents or refused.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "inspect/inspection_json.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

constexpr std::chrono::milliseconds kPatient{100};
constexpr std::chrono::milliseconds kImpatient{0};

struct OpenedDevice {
  const char* name;
  FakeSpec spec;
  friend void PrintTo(const OpenedDevice& device, std::ostream* out) { *out << device.name; }
};

class OpenSweepTest : public AssignedFixture, public testing::WithParamInterface<OpenedDevice> {
 protected:
  void SetUp() override {
    hardware = &plug(GetParam().spec);
    kernel->hook.set(
        [this](std::string_view call, bool after) { reads_ += call == "pread" && after ? 1 : 0; });
    open();
    kernel->hook.set({});
    whole_ = shape();
    device.reset();
  }

  /// Returns all that a guest can read and all that the library reports.
  std::string shape() {
    std::string shape = nlohmann::json(device->inspect()).dump();
    for (uint32_t offset = 0; offset < 4096; offset += 4) {
      shape += fmt::format(" {:x}", device->config_read(offset, 4));
    }
    return shape;
  }

  /// Opens the device while it is silent for `length` reads, starting with the nth.
  void open_silent(unsigned nth, unsigned length, std::chrono::milliseconds response_timeout) {
    unsigned reads = 0;
    kernel->hook.set([&](std::string_view call, bool after) {
      if (call != "pread") return;
      hardware->set_gone(!after && reads >= nth && reads - nth < length);
      reads += after ? 1 : 0;
    });
    auto opened = try_open({.response_timeout = response_timeout});
    kernel->hook.set({});
    if (opened) {
      device = std::move(*opened);
      EXPECT_EQ(shape(), whole_) << "silent for " << length << " reads from " << nth << " on";
      device.reset();
    } else {
      ++refused_;
      EXPECT_EQ(opened.error().code, EIO) << opened.error().message();
    }
    EXPECT_TRUE(kernel->nothing_leaked()) << "silent for " << length << " from " << nth << " on";
  }

  void sweep(unsigned length, std::chrono::milliseconds response_timeout) {
    ASSERT_GT(reads_, 128U) << "each register is read twice";
    for (unsigned nth = 0; nth < reads_; ++nth) open_silent(nth, length, response_timeout);
    std::cout << fmt::format("sweep: silent for {} reads: {} points swept, {} refused\n", length,
                             reads_, refused_);
  }

  unsigned refused_ = 0;

 private:
  std::string whole_;
  unsigned reads_ = 0;  ///< reads that one open makes
};

TEST_P(OpenSweepTest, OneReadOfAllOnesChangesNothing) {
  sweep(1, kPatient);
  EXPECT_EQ(refused_, 0U) << "the device answers the next read";
}

TEST_P(OpenSweepTest, SomeReadsOfAllOnesAreNeverAnotherShape) {
  for (const unsigned length : {2U, 70U}) sweep(length, kImpatient);
}

TEST_P(OpenSweepTest, ADeviceThatIsSilentForGoodIsNeverAnotherShape) {
  sweep(kForEver, kImpatient);
}

TEST_P(OpenSweepTest, ADeviceThatStaysSilentIsRefusedWithItsName) {
  hardware->set_gone(true);
  const auto opened = try_open({.response_timeout = kPatient});
  ASSERT_FALSE(opened);
  const std::string bdf = hardware->spec().bdf.str();
  EXPECT_THAT(
      opened.error().message(),
      StartsWith(bdf +
                 ": cannot open the device: its config space reads as all ones after its reset. "));
  EXPECT_THAT(opened.error().message(),
              EndsWith("'setpci -s " + bdf + " STATUS' no longer prints ffff"));
  EXPECT_TRUE(kernel->nothing_leaked());
}

FakeSpec with_msi() {
  FakeSpec spec = FakeSpec::e1000e();
  spec.msi_vectors = 1;
  return spec;
}

FakeSpec conventional() {
  FakeSpec spec = FakeSpec::xhci();
  spec.express = false;
  return spec;
}

INSTANTIATE_TEST_SUITE_P(, OpenSweepTest,
                         testing::Values(OpenedDevice{"Nvme", FakeSpec::nvme()},
                                         OpenedDevice{"WithMsi", with_msi()},
                                         OpenedDevice{"Conventional", conventional()},
                                         OpenedDevice{"VirtualFunction", FakeSpec::nvme_vf()}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace passthru
