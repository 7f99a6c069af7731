// SPDX-License-Identifier: MIT
// Tests of `passthru bind` and `unbind` as commands: the exit status, the texts, and the options.
#include "tools/bind/rebind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/small_file.h"
#include "tests/fakes/sysfs_tree.h"
#include "tools/commands.h"

namespace passthru::tools {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class RebindCommand : public testing::Test {
 protected:
  RebindCommand() {
    tree.add_driver("vfio-pci").put("run/proc/version", "Linux\n");
    tree.put("run/usr/lib/udev/rules.d/80-drivers.rules", "");
  }
  RebindHost host() {
    return {.sysfs = tree.sysfs(),
            .root = tree.root() / "run",
            .records = tree.records(),
            .modules = KernelModules(tree.root() / "modules"),
            .apply = [this](const FileChange& change) { return tree.apply(change); },
            .try_group = [](uint32_t) { return Result<void>(); }};
  }
  // Runs a command; `out` and `err` are what it prints.
  int run(const std::function<int()>& command) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = command();
    out = testing::internal::GetCapturedStdout();
    err = testing::internal::GetCapturedStderr();
    return status;
  }
  static BindOptions named(const std::string& device) {
    BindOptions options;
    options.devices = {device};
    return options;
  }
  int bind(const BindOptions& options) {
    return run([&] { return bind_devices(host(), options); });
  }
  int unbind(const RebindOptions& options) {
    return run([&] { return unbind_devices(host(), options); });
  }
  std::string driver() const { return tree.driver_of(kName); }

  static constexpr const char* kName = "0000:00:02.0";
  static constexpr const char* kRule = "run/etc/udev/rules.d/10-passthru-0000:00:02.0.rules";
  SysfsTree tree;
  std::string out;
  std::string err;
};

TEST_F(RebindCommand, ADeviceGoesToVfioAndBack) {
  tree.add({.driver = "nvme"});
  EXPECT_EQ(bind(named(kName)), kDone);
  EXPECT_EQ(out, "0000:00:02.0: nvme -> vfio-pci (IOMMU group 0)\n");
  EXPECT_EQ(bind(named(kName)), kDone);
  EXPECT_EQ(out, "0000:00:02.0: vfio-pci already, nothing to do (IOMMU group 0)\n");
  EXPECT_EQ(unbind(named(kName)), kDone);
  EXPECT_EQ(out, "0000:00:02.0: vfio-pci -> nvme\n");
  EXPECT_EQ(unbind(named(kName)), kDone);
  EXPECT_EQ(out, "0000:00:02.0: nvme already, nothing to do\n");
}

TEST_F(RebindCommand, ADryRunWithoutChangesSaysSo) {
  tree.add({.driver = "nvme"});
  BindOptions options = named(kName);
  options.dry_run = true;
  EXPECT_EQ(unbind(options), kDone);
  EXPECT_EQ(out, "# nothing to do\n");
}

TEST_F(RebindCommand, ADryRunByANameSaysWhichDeviceItIs) {
  tree.add({.driver = "e1000e"}).add_child(kName, "net/eth0", "net");
  tree.put("bus/pci/devices/0000:00:02.0/net/eth0/flags", "0x1002\n");  // down
  BindOptions options = named("eth0");
  options.dry_run = true;
  ASSERT_EQ(bind(options), kDone) << err;
  EXPECT_THAT(out, StartsWith("# eth0 is 0000:00:02.0\n"));
  EXPECT_THAT(out, HasSubstr("echo vfio-pci > "));
  EXPECT_THAT(out, HasSubstr("0000:00:02.0/driver_override"));
  EXPECT_EQ(driver(), "e1000e");
  options.json = true;
  ASSERT_EQ(bind(options), kDone) << err;
  const Json json = Json::parse(out);
  EXPECT_EQ(json.at("devices"), Json::array({kName}));
  EXPECT_FALSE(json.at("changes").empty());
}

TEST_F(RebindCommand, ANameOfNoDeviceIsWrongUsage) {
  tree.add({.driver = "nvme"});
  EXPECT_EQ(bind(named("nosuch0")), kUsage);
  EXPECT_THAT(err, HasSubstr("cannot find the device 'nosuch0'"));
  EXPECT_EQ(driver(), "nvme");
}

TEST_F(RebindCommand, AnInterruptedBindIsTakenBack) {
  tree.add({.driver = "nvme"});
  tree.put("run/passthru/0000:00:02.0",
           "device=1b36:0010\nvfio_driver=vfio-pci\ndriver=nvme\noverride=\n");
  EXPECT_EQ(unbind(named(kName)), kDone);
  EXPECT_EQ(out, "0000:00:02.0: nvme already, settings updated\n");
}

// The apply function gives up while the kernel waits for the driver.
TEST_F(RebindCommand, AStoppedBindSaysWhatWasChangedAndHowToGoOn) {
  tree.add({.driver = "nvme"});
  RebindHost stopped = host();
  stopped.apply = [this](const FileChange& change) -> Result<void> {
    if (change.file.filename() == "unbind") return fail(ECANCELED, "write the file");
    return tree.apply(change);
  };
  EXPECT_EQ(run([&] { return bind_devices(stopped, named(kName)); }), kRefused);
  EXPECT_THAT(err, StartsWith("passthru: 0000:00:02.0: cannot write the file: stopped while the "
                              "kernel was working on it"));
  EXPECT_THAT(err, HasSubstr("driver_override'. Not made: 'echo 0000:00:02.0 > "));
  EXPECT_THAT(err, HasSubstr("'passthru bind 0000:00:02.0' binds from this state, and 'passthru "
                             "unbind 0000:00:02.0' gives back"));
  EXPECT_EQ(tree.sysfs().function(Bdf{.device = 2})->driver_override, "vfio-pci") << "not undone";
  EXPECT_EQ(unbind(named(kName)), kDone);
  EXPECT_EQ(driver(), "nvme");
}

// ---- uses -------------------------------------------------------------------------------------

TEST_F(RebindCommand, Case6ADeviceInUseIsRefusedUnlessForced) {
  tree.add({.class_code = 0x070002, .driver = "serial"});
  tree.add_node(kName, "tty/ttyPT7", "tty", "4:971");
  tree.add_process(812, "agetty ttyPT7", {"/dev/ttyPT7"});
  BindOptions options = named(kName);
  EXPECT_EQ(bind(options), kRefused);
  EXPECT_THAT(err, HasSubstr("ttyPT7 is open in process 812 (agetty ttyPT7)"));
  EXPECT_EQ(driver(), "serial");
  options.force = true;
  EXPECT_EQ(bind(options), kDone);
  EXPECT_EQ(driver(), "vfio-pci");
}

TEST_F(RebindCommand, Case5ADeviceThatAGuestUsesIsNotUnbound) {
  tree.add({.driver = "nvme", .group = 971});
  ASSERT_EQ(bind(named(kName)), kDone);
  tree.add_process(4711, "qemu -name web", {"/dev/vfio/971"});
  EXPECT_EQ(unbind(named(kName)), kRefused);
  EXPECT_THAT(err, HasSubstr("process 4711 (qemu -name web) has /dev/vfio/971 open"));
  EXPECT_EQ(driver(), "vfio-pci");
  std::filesystem::remove_all(tree.root() / "run/proc/4711");
  EXPECT_EQ(unbind(named(kName)), kDone);
}

TEST_F(RebindCommand, Case4AnUnbindAfterWhichVfioHasTheDeviceAgainFails) {
  tree.add({.driver = "nvme"});
  ASSERT_EQ(bind(named(kName)), kDone);
  std::filesystem::remove(tree.records() / kName);  // as after a boot
  tree.add_dynamic_id("vfio-pci", 0x1b36, 0x0010);
  EXPECT_EQ(unbind(named(kName)), kRefused);
  EXPECT_EQ(out, "");
  EXPECT_THAT(err, HasSubstr("vfio-pci took it again by a dynamic id"));
  EXPECT_THAT(err, HasSubstr("'echo 1b36 0010 > /sys/bus/pci/drivers/vfio-pci/remove_id'"));
  tree.put("run/proc/cmdline", "vfio-pci.ids=1b36:0010\n");
  EXPECT_EQ(unbind(named(kName)), kRefused);
  EXPECT_THAT(err, HasSubstr("the kernel's command line has vfio-pci.ids=1b36:0010"));
}

// ---- groups and drivers -----------------------------------------------------------------------

TEST_F(RebindCommand, Case27ARootPortWithoutAcsStaysWithTheHost) {
  tree.add({.bdf = "0000:00:01.0", .driver = "pcieport", .group = 3, .bridge = true});
  tree.add({.driver = "nvme", .group = 3});
  tree.add({.bdf = "0000:00:1f.0", .class_code = 0x060100, .driver = "", .group = 3});
  BindOptions options = named(kName);
  options.whole_groups = true;
  EXPECT_EQ(bind(options), kDone);
  EXPECT_EQ(out, "0000:00:02.0: nvme -> vfio-pci (IOMMU group 3)\n");
  EXPECT_EQ(tree.driver_of("0000:00:01.0"), "pcieport");
  EXPECT_EQ(tree.driver_of("0000:00:1f.0"), "");
}

class RebindVariant : public RebindCommand {
 protected:
  RebindVariant() {
    tree.put("modules/modules.alias",
             "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n"
             "alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci\n");
    tree.add_vfio_driver("mlx5_vfio_pci");
    tree.add({.vendor = 0x15b3, .device = 0x101e, .driver = "mlx5_core", .group = 4});
  }
};

TEST_F(RebindVariant, Case13ABindSaysThatThereIsAVariantDriver) {
  EXPECT_EQ(bind(named(kName)), kDone);
  EXPECT_EQ(out,
            "0000:00:02.0: mlx5_core -> vfio-pci (IOMMU group 4)\n"
            "  the kernel has a VFIO driver for this device: 'passthru bind --driver mlx5_vfio_pci "
            "0000:00:02.0'\n");
  BindOptions options = named(kName);
  options.driver = "mlx5-vfio-pci";  // as the note says
  EXPECT_EQ(bind(options), kDone);
  EXPECT_EQ(out, "0000:00:02.0: vfio-pci -> mlx5_vfio_pci (IOMMU group 4)\n");
  EXPECT_EQ(bind(named(kName)), kDone);
  EXPECT_THAT(out, EndsWith("mlx5_vfio_pci already, nothing to do (IOMMU group 4)\n"));
}

TEST_F(RebindVariant, Case13AChosenVfioPciIsNotQuestioned) {
  BindOptions options = named(kName);
  options.driver = "vfio-pci";
  EXPECT_EQ(bind(options), kDone);
  EXPECT_THAT(out, Not(HasSubstr("--driver")));
}

TEST_F(RebindVariant, Case13TheChoiceIsForTheNamedDevicesOfAGroup) {
  tree.add({.bdf = "0000:00:02.1", .driver = "nvme", .group = 4});
  BindOptions options = named(kName);
  options.driver = "mlx5_vfio_pci";
  options.whole_groups = true;
  EXPECT_EQ(bind(options), kDone);
  EXPECT_EQ(driver(), "mlx5_vfio_pci");
  EXPECT_EQ(tree.driver_of("0000:00:02.1"), "vfio-pci");
}

TEST_F(RebindVariant, Case13AGuestKeepsTheDriverThatItUses) {
  ASSERT_EQ(bind(named(kName)), kDone);
  tree.add_process(4711, "qemu", {"/dev/vfio/4"});
  BindOptions options = named(kName);
  options.driver = "mlx5_vfio_pci";
  EXPECT_EQ(bind(options), kRefused);
  EXPECT_THAT(err, HasSubstr("process 4711 (qemu)"));
  EXPECT_EQ(driver(), "vfio-pci");
}

TEST_F(RebindVariant, JsonNamesTheVariantDriverAndThePersistence) {
  BindOptions options = named(kName);
  options.json = true;
  EXPECT_EQ(bind(options), kDone);
  const Json device = Json::parse(out)["devices"][0];
  EXPECT_EQ(device["driver"], "vfio-pci");
  EXPECT_EQ(device["variant_driver"], "mlx5_vfio_pci");
  EXPECT_EQ(device["persistent"], false);
}

// ---- --persist --------------------------------------------------------------------------------

TEST_F(RebindCommand, APersistentBindingIsKeptInAFileUntilUnbind) {
  tree.add({.driver = "nvme"});
  BindOptions options = named(kName);
  options.persist = true;
  EXPECT_EQ(bind(options), kDone);
  EXPECT_EQ(out, "0000:00:02.0: nvme -> vfio-pci (IOMMU group 0)\n  bound at each boot by " +
                     (tree.root() / kRule).string() + "\n");
  EXPECT_TRUE(std::filesystem::exists(tree.root() / kRule));
  EXPECT_EQ(unbind(named(kName)), kDone);
  EXPECT_EQ(driver(), "nvme");
  EXPECT_FALSE(std::filesystem::exists(tree.root() / kRule));
}

TEST_F(RebindCommand, ADeviceThatIsBoundCanBecomePersistent) {
  tree.add({.driver = "nvme"});
  ASSERT_EQ(bind(named(kName)), kDone);
  BindOptions options = named(kName);
  options.persist = true;
  EXPECT_EQ(bind(options), kDone);
  EXPECT_THAT(out, StartsWith("0000:00:02.0: vfio-pci already, settings updated"));
  EXPECT_TRUE(std::filesystem::exists(tree.root() / kRule));
}

TEST_F(RebindCommand, ADryRunShowsTheFileAndWritesNothing) {
  tree.add({.driver = "nvme"});
  BindOptions options = named(kName);
  options.persist = true;
  options.dry_run = true;
  EXPECT_EQ(bind(options), kDone);
  EXPECT_THAT(out, HasSubstr("ATTR{driver_override}=\"vfio-pci\""));
  EXPECT_THAT(out, EndsWith(" > " + (tree.root() / kRule).string() + "\n"));
  EXPECT_FALSE(std::filesystem::exists(tree.root() / kRule));
  EXPECT_EQ(driver(), "nvme");

  options.dry_run = false;
  ASSERT_EQ(bind(options), kDone);
  options.dry_run = true;
  EXPECT_EQ(unbind(options), kDone);
  EXPECT_THAT(out, StartsWith("rm " + (tree.root() / kRule).string() + "\n"));
}

// After a boot, the rule has bound the device and /run has no record.
TEST_F(RebindCommand, AnUnbindAfterABootRemovesTheFileToo) {
  tree.add({.driver = "nvme"});
  BindOptions options = named(kName);
  options.persist = true;
  ASSERT_EQ(bind(options), kDone);
  std::filesystem::remove(tree.records() / kName);
  EXPECT_EQ(unbind(named(kName)), kDone);
  EXPECT_EQ(driver(), "nvme");
  EXPECT_FALSE(std::filesystem::exists(tree.root() / kRule));
}

}  // namespace
}  // namespace passthru::tools
