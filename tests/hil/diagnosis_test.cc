// SPDX-License-Identifier: MIT
// Tests that `passthru msix show` and `audit` name exactly the damage of a live device, and that
// `--heal` restores it: on real VFIO and KVM's own irqfds, and without the VMM's own audit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/small_file.h"
#include "inspect/inspect_server.h"
#include "inspect/msix_snapshot.h"
#include "kvm/kvm_call.h"
#include "kvm/kvm_hypervisor.h"
#include "tests/hil/bound_devices.h"
#include "tests/hil/reopened_device.h"
#include "tests/hil/sleeping_cpu.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;
using Findings = std::vector<std::pair<unsigned, std::string>>;

constexpr unsigned kVectors = 3;
constexpr unsigned kFirstVector = 0x51;  // of the guest's CPU
constexpr uint64_t kBetweenBars = 0x100'0000;
constexpr uint32_t kFirstGsi = 24;

struct Ran {
  int status = 0;
  std::string output;
};

/// Runs the command in a shell.
Ran passthru(const std::string& arguments) {
  const std::string line = "build/release/tools/passthru " + arguments + " 2>&1";
  Ran run;
  FILE* const pipe = ::popen(line.c_str(), "re");
  std::array<char, 4096> bytes{};
  for (size_t got = 0; (got = std::fread(bytes.data(), 1, bytes.size(), pipe)) != 0;) {
    run.output.append(bytes.data(), got);
  }
  run.status = WEXITSTATUS(::pclose(pipe));
  return run;
}

class Diagnosis : public testing::TestWithParam<BoundDevice> {
 protected:
  void SetUp() override {
    const auto function = Sysfs().function(GetParam().bdf);
    ASSERT_TRUE(function) << function.error().message();
    layout = *msix_layout_of(*function);
    if (layout.vectors < kVectors) GTEST_SKIP() << "the device has too few vectors";
    door = std::make_unique<SecondDoor>(GetParam().bdf, layout);
    if (!door->open()) GTEST_SKIP() << "sysfs does not map the BAR. Boot with iomem=relaxed";
    machine = std::move(*KvmMachine::create());
    cpu.emplace(*machine, 0);
    host = std::move(*KvmHypervisor::create(machine->vm(), {.first_gsi = kFirstGsi}));
    domain.emplace(std::make_shared<LinuxKernel>(), *host);
    auto opened =
        AssignedDevice::open(*domain, {.device = GetParam().bdf, .guest_address = {.device = 1}},
                             {.backend = tested_backend()});
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
    enable();
    auto started = InspectServer::start(*domain, {device.get()}, socket);
    ASSERT_TRUE(started) << started.error().message();
    server = std::move(*started);
    ASSERT_THAT(audited(), IsEmpty()) << "the device must be undamaged at first";
  }

  /// Enables BARs and vectors as a guest does. The BARs are far from each other.
  void enable() {
    for (unsigned bar = 0; bar < 6; ++bar) {
      const uint64_t at = kGuest + bar * kBetweenBars;
      const uint32_t offset = PCI_BASE_ADDRESS_0 + 4 * bar;
      const uint32_t was = device->config_read(offset, 4);
      if ((was & PCI_BASE_ADDRESS_SPACE_IO) != 0) continue;
      device->config_write(offset, 4, static_cast<uint32_t>(at));
      if ((was & PCI_BASE_ADDRESS_MEM_TYPE_64) == 0) continue;
      device->config_write(offset + 4, 4, 0);
      ++bar;
    }
    device->config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned vector = 0; vector < kVectors; ++vector) {
      put(vector, 0, 0xfee0'0000);
      put(vector, 4, 0);
      put(vector, 8, kFirstVector + vector);
      put(vector, 12, 0);
    }
    device->config_write(layout.capability + 2U, 2, PCI_MSIX_FLAGS_ENABLE);
  }
  void put(unsigned vector, uint64_t offset, uint32_t value) {
    const uint64_t table = kGuest + layout.table_bar * kBetweenBars + layout.table_offset;
    EXPECT_TRUE(domain->mmio().write(table + uint64_t{vector} * 16 + offset,
                                     std::as_bytes(std::span{&value, 1})));
  }

  [[nodiscard]] std::string asked(const std::string& what) const {
    return "msix " + what + " " + GetParam().bdf.str() + " --socket " + socket;
  }
  /// Returns the findings of `audit`, and checks its exit status.
  Findings audited() {
    const Ran run = passthru(asked("audit") + " --format=json");
    EXPECT_THAT(run.output, HasSubstr("\"devices\""));
    Findings findings;
    const Json json = Json::parse(run.output, nullptr, false);
    if (!json.is_object()) return {{9999, run.output}};
    for (const Json& each : json["devices"][0]["damaged"]) {
      findings.emplace_back(each["vector"], each["verdict"]);
    }
    EXPECT_EQ(run.status, findings.empty() ? 0 : 1) << run.output;
    return findings;
  }
  /// Returns the findings of `show`.
  Findings shown() {
    const Ran run = passthru(asked("show") + " --json");
    EXPECT_EQ(run.status, 0) << run.output;
    Findings findings;
    const Json json = Json::parse(run.output, nullptr, false);
    if (!json.is_object()) return {{9999, run.output}};
    for (const Json& each : json["vectors"]) {
      if (each["damaged"]) findings.emplace_back(each["index"], each["verdict"]);
    }
    return findings;
  }
  /// Checks that both commands name the damage, and that --heal restores the device.
  void expect_damage(const Findings& wanted) {
    EXPECT_EQ(shown(), wanted);
    EXPECT_EQ(audited(), wanted);
    const Ran healed = passthru(asked("audit") + " --heal");
    EXPECT_EQ(healed.status, 0) << healed.output;
    EXPECT_THAT(healed.output, HasSubstr("restored"));
    EXPECT_THAT(audited(), IsEmpty());
    EXPECT_THAT(shown(), IsEmpty());
    for (unsigned vector = 0; vector < kVectors; ++vector) {
      cpu->clear();
      EXPECT_TRUE(device->trigger(vector));
      EXPECT_TRUE(soon(*cpu, kFirstVector + vector)) << vector;
    }
  }
  static Findings all(const char* verdict) {
    Findings findings;
    for (unsigned vector = 0; vector < kVectors; ++vector) findings.emplace_back(vector, verdict);
    return findings;
  }
  /// Writes Message Control past VFIO.
  void set_control(uint16_t value) {
    const auto config = Sysfs().function_path(GetParam().bdf) / "config";
    const Fd fd(::open(config.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::pwrite(fd.get(), &value, 2, layout.capability + 2), 2);
  }

  MsixLayout layout;
  const std::string socket = "/tmp/passthru-diagnosis.sock";
  std::unique_ptr<SecondDoor> door;
  std::unique_ptr<KvmMachine> machine;
  std::optional<SleepingCpu> cpu;
  std::unique_ptr<KvmHypervisor> host;
  std::optional<Domain> domain;
  std::unique_ptr<AssignedDevice> device;
  std::unique_ptr<InspectServer> server;
};

TEST_P(Diagnosis, AnEntryThatWasZeroed) {
  door->zero(1);
  expect_damage({{1, "cleared"}});
}

TEST_P(Diagnosis, DataThatWasChanged) {
  MsixEntry entry = door->entry(2);
  entry.data ^= 0x10;
  entry.address_low ^= 0x20;
  door->set(2, entry);
  expect_damage({{2, "different"}});
}

TEST_P(Diagnosis, AMaskBitThatWasSet) {
  MsixEntry entry = door->entry(0);
  entry.control |= MsixEntry::kMasked;
  door->set(0, entry);
  EXPECT_THAT(passthru(asked("show")).output, HasSubstr("vector 0: its mask bit is set"));
  expect_damage({{0, "different"}});
}

TEST_P(Diagnosis, AnEnableBitThatWasCleared) {
  set_control(0);
  expect_damage(all("enable bit lost"));
}

TEST_P(Diagnosis, AFunctionMaskThatWasLeftOn) {
  set_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  expect_damage(all("function mask left on"));
}

// KVM identifies an irqfd by its eventfd and its GSI. Vectors get their GSIs in the order in which
// they become live.
TEST_P(Diagnosis, AnIrqfdThatWasLost) {
  const auto descriptors = names_in("/proc/self/fd");
  ASSERT_TRUE(descriptors);
  for (const std::string& name : *descriptors) {
    if (link_name("/proc/self/fd/" + name) != "anon_inode:[eventfd]") continue;
    kvm_irqfd lost{};
    lost.fd = static_cast<uint32_t>(std::stoi(name));
    lost.gsi = kFirstGsi + 1;
    lost.flags = KVM_IRQFD_FLAG_DEASSIGN;
    ignore(kvm_call(machine->vm(), KVM_IRQFD, "KVM_IRQFD", &lost), "most eventfds are not irqfds");
  }
  ASSERT_TRUE(device->trigger(1));
  EXPECT_THAT(passthru(asked("show")).output,
              HasSubstr("vector 1: what the VMM armed does not take its signals"));
  expect_damage({{1, "not routed"}});
}

TEST_P(Diagnosis, ASoundDeviceIsNotDisturbed) {
  const auto before = device->inspect();
  for (int i = 0; i < 20; ++i) EXPECT_THAT(shown(), IsEmpty());
  const auto after = device->inspect();
  EXPECT_EQ(after.set_irqs_calls, before.set_irqs_calls);
  EXPECT_EQ(after.restores, before.restores);
}

TEST_P(Diagnosis, ATriggerArrivesInTheGuest) {
  cpu->clear();
  const Ran run = passthru("msix trigger " + GetParam().bdf.str() + " 2 --socket " + socket);
  EXPECT_EQ(run.status, 0) << run.output;
  EXPECT_THAT(run.output, HasSubstr("arrived in the guest after"));
  EXPECT_TRUE(soon(*cpu, kFirstVector + 2));
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Diagnosis);
INSTANTIATE_TEST_SUITE_P(Linux, Diagnosis, testing::ValuesIn(devices_with_msix()),
                         [](const auto& each) { return each.param.name(); });

}  // namespace
}  // namespace passthru
