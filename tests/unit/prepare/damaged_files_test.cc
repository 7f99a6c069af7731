// SPDX-License-Identifier: MIT
// Tests of every reader of sysfs and /proc with files that no healthy kernel has: each file of a
// machine is missing, empty, huge or binary in turn. No reader crashes or hangs, and no device that
// the host uses is called unused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "base/small_file.h"
#include "pci/kernel_names.h"
#include "pci/topology.h"
#include "prepare/binding.h"
#include "prepare/host_checks.h"
#include "prepare/host_facts.h"
#include "prepare/in_use.h"
#include "prepare/persistent_binding.h"
#include "prepare/taken_back.h"
#include "prepare/vfio_users.h"
#include "tests/fakes/sysfs_tree.h"
#include "vfio/group.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

enum class Damage { Missing, Empty, Huge, Binary };

const char* name_of(Damage damage) {
  switch (damage) {
    case Damage::Missing:
      return "Missing";
    case Damage::Empty:
      return "Empty";
    case Damage::Huge:
      return "Huge";
    case Damage::Binary:
      break;
  }
  return "Binary";
}

std::string damaged(Damage damage) {
  constexpr size_t kHuge = size_t{2} << 20;
  constexpr size_t kBinary = 5000;
  if (damage == Damage::Huge) return std::string(kHuge, 'x');
  if (damage == Damage::Empty) return {};
  std::minstd_rand random(1);
  std::string bytes(kBinary, '\0');
  std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random() >> 8); });
  return bytes + '\xff';
}

class DamagedFiles : public testing::TestWithParam<Damage> {
 protected:
  static constexpr Bdf kDrive{.device = 2}, kNic{.device = 3}, kBound{.device = 4};

  DamagedFiles() {
    tree.add_driver("vfio-pci").add_iommufd();
    tree.add({.driver = "nvme", .group = 2});
    tree.add({.bdf = "0000:00:03.0", .class_code = 0x020000, .driver = "e1000e", .group = 3});
    tree.add({.bdf = "0000:00:04.0", .driver = "vfio-pci", .group = 4, .cdev = "vfio0"});
    tree.add({.bdf = "0000:00:05.0", .driver = "pcieport", .group = 5, .bridge = true});
    add_uses();
    for (const char* bdf : {"0000:00:02.0", "0000:00:03.0", "0000:00:04.0"}) add_attributes(bdf);
    tree.put("run/passthru/0000:00:04.0",
             "device=1b36:0010\nvfio_driver=vfio-pci\ndriver=nvme\noverride=\n");
    tree.put("kernel/iommu_groups/4/reserved_regions",
             "0x00000000fee00000 0x00000000feefffff msi\n");
    tree.put("modules/modules.alias", "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n");
    tree.put("modules/modules.dep", "kernel/drivers/vfio/pci/vfio-pci.ko:\n");
    tree.put("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
    tree.put("run/etc/driverctl.d/pci-0000:00:04.0", "vfio-pci\n")
        .put("run/etc/udev/udev.conf", "");
  }
  // The drive has a mounted disk, and the NIC is up.
  void add_uses() {
    tree.add_node("0000:00:02.0", "nvme/nvme0/nvme0n1", "block", "259:0", "nvme0n1");
    tree.add_child("0000:00:03.0", "net/eth0", "net");
    tree.put("bus/pci/devices/0000:00:03.0/net/eth0/flags", "0x1003\n");
    tree.put("run/proc/self/mountinfo",
             "23 1 0:21 / /proc rw shared:5 - proc proc rw\n"
             "36 1 259:0 / /srv rw shared:6 - ext4 /dev/nvme0n1 rw\n");
    tree.put("run/proc/swaps", "Filename Type Size Used Priority\n");
    tree.put("run/proc/cmdline", "quiet vfio-pci.ids=1b36:0010\n").put("run/proc/iomem", "\n");
    tree.put("run/proc/interrupts", " 24: 1 IR-IO-APIC 5-edge ACPI:Ged\n");
    tree.put("run/proc/net/route", "Iface Destination\n").put("run/proc/self/status", "Name: x\n");
    tree.add_process(4711, "qemu -name web", {"/dev/vfio/971"});
  }
  void add_attributes(const std::string& bdf) {
    const std::string device = "bus/pci/devices/" + bdf + "/";
    tree.put(device + "reset_method", "flr bus\n").put(device + "power_state", "D0\n");
    tree.put(device + "sriov_totalvfs", "0\n").put(device + "sriov_numvfs", "0\n");
    tree.put(device + "resource", "0xfe000000 0xfe003fff 0x00040200\n");
    tree.put(device + "power/runtime_status", "active\n");
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(tree.root())) {
      if (entry.is_regular_file() && !entry.is_symlink()) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  // Reads all that `list`, `topology`, `doctor`, `bind` and `unbind` read, for each device.
  void read_all() const {
    const Sysfs sysfs = tree.sysfs();
    ignore(read_topology(sysfs), "only a crash matters");
    kernel_names(sysfs);
    const HostRoots roots{.sys = tree.root(), .proc = proc(), .dev = tree.root() / "run/dev"};
    const HostFacts host = host_facts(roots);
    for (const Bdf bdf : {kDrive, kNic, kBound, Bdf{.device = 5}}) {
      check_device(device_facts(roots, bdf), host);
      ignore(assignable_group(sysfs, bdf), "only a crash matters");
      const Binding binding(sysfs, tree.records(), KernelModules(tree.root() / "modules"));
      ignore(binding.bind(bdf), "only a crash matters");
      ignore(binding.unbind(bdf), "only a crash matters");
      ignore(require_no_vfio_user(sysfs, proc(), bdf, [](uint32_t) { return Result<void>(); }),
             "only a crash matters");
      const auto function = sysfs.function(bdf);
      if (!function) continue;
      taken_back(tree.root() / "run", *function);
      ignore(PersistentBinding(tree.root() / "run").keep(*function, "vfio-pci"), "as above");
      const auto forgotten = PersistentBinding(tree.root() / "run").forget(bdf);
      ASSERT_TRUE(forgotten);
      EXPECT_LE(forgotten->size(), 2U);
    }
  }
  bool is_unused(Bdf bdf) const {
    return require_unused(tree.sysfs(), proc(), tree.root() / "run/dev", bdf).has_value();
  }
  fs::path proc() const { return tree.root() / "run/proc"; }

  SysfsTree tree;
};

TEST_P(DamagedFiles, NoReaderCrashesAndNoUsedDeviceIsCalledUnused) {
  const std::vector<fs::path> all = files();
  ASSERT_GT(all.size(), 60U);
  for (const fs::path& file : all) {
    SCOPED_TRACE(file);
    const std::string sound = *read_file(file);
    // Without a number, the disk is one path of a drive with several paths.
    const bool is_path = GetParam() == Damage::Missing && file.filename() == "dev";
    if (GetParam() == Damage::Missing) {
      fs::remove(file);
    } else {
      tree.put(fs::relative(file, tree.root()), damaged(GetParam()));
    }
    read_all();
    EXPECT_TRUE(is_path || !is_unused(kDrive));
    EXPECT_FALSE(is_unused(kNic));
    tree.put(fs::relative(file, tree.root()), sound);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, DamagedFiles,
                         testing::Values(Damage::Missing, Damage::Empty, Damage::Huge,
                                         Damage::Binary),
                         [](const auto& kind) { return name_of(kind.param); });

}  // namespace
}  // namespace passthru
