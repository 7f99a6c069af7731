// SPDX-License-Identifier: MIT
// Tests of the uses of serial ports, displays, sound cards and USB controllers, with their texts.
#include "prepare/node_uses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/sysfs_tree.h"
#include "tests/unit/prepare/uses_text.h"

namespace passthru {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class NodeUses : public testing::Test {
 protected:
  NodeUses() { tree.put("run/proc/version", "Linux\n"); }
  void add(uint32_t class_code, const char* driver) {
    tree.add({.class_code = class_code, .driver = driver});
  }
  void add_serial_port() {
    add(0x070002, "serial");
    tree.add_node(kName, "0000:00:02.0:0/tty/ttyPT7", "tty", "4:971");
  }
  void add_display(const char* fb) {
    add(0x030000, "amdgpu");
    tree.add_node(kName, "drm/card7", "drm", "226:7", "dri/card7");
    tree.add_child(kName, "drm/card7/card7-DP-1", "drm");
    if (*fb != '\0') tree.add_node(kName, std::string("graphics/") + fb, "graphics", "29:7");
  }
  void add_vt_console(const char* name, const char* driver, const char* bind) {
    const std::string directory = std::string("class/vtconsole/") + name;
    tree.put(directory + "/name", std::string(driver) + "\n");
    tree.put(directory + "/bind", std::string(bind) + "\n");
  }
  void set_boot_vga(const char* value) {
    tree.put("bus/pci/devices/0000:00:02.0/boot_vga", std::string(value) + "\n");
  }
  void add_keyboard() {
    tree.add_child(kName, kKeyboard, "input");
    tree.put(std::string("bus/pci/devices/0000:00:02.0/") + kKeyboard + "/name", "Model M\n");
  }
  std::vector<std::string> uses() {
    return uses_text(tree.sysfs(), tree.root() / "run/proc", kDevice);
  }
  std::string refusal() {
    const auto unused =
        require_unused(tree.sysfs(), tree.root() / "run/proc", tree.root() / "dev", kDevice);
    return unused ? "" : unused.error().message();
  }

  static constexpr const char* kName = "0000:00:02.0";
  static constexpr const char* kKeyboard = "usb1/1-1/1-1:1.0/0003:04B3:3025.0001/input/input5";
  SysfsTree tree;
};

// ---- serial ports -----------------------------------------------------------------------------

TEST_F(NodeUses, Case6ASerialPortWhoseTtyIsOpenIsInUse) {
  add_serial_port();
  tree.add_process(812, "/sbin/agetty -L ttyPT7", {"/dev/ttyPT7"});
  EXPECT_EQ(refusal(),
            "0000:00:02.0: cannot bind the device: the host uses it: ttyPT7 is open in process 812 "
            "(/sbin/agetty -L ttyPT7). Stop these uses first: 'kill 812'. --force binds it anyway");
}

TEST_F(NodeUses, Case6ASerialPortWhoseTtyIsClosedIsNotInUse) {
  add_serial_port();
  tree.add_process(812, "/sbin/agetty -L ttyPT8", {"/dev/ttyPT8", "/dev/ttyPT71"});
  EXPECT_EQ(refusal(), "");
}

TEST_F(NodeUses, Case6AConsoleOfTheKernelIsInUse) {
  add_serial_port();
  tree.put("run/proc/consoles",
           "tty0                 -WU (EC p  )    4:7\n"
           "ttyPT7               -W- (E  p a)    4:971\n");
  EXPECT_THAT(uses(), ElementsAre("ttyPT7 is a console of the kernel"));
  EXPECT_THAT(refusal(), testing::EndsWith("a console of the kernel. --force binds it anyway"));
  tree.put("run/proc/consoles", "ttyPT6               -W- (EC p a)    4:970\n");
  EXPECT_THAT(uses(), IsEmpty());
}

// ---- displays ---------------------------------------------------------------------------------

TEST_F(NodeUses, Case6TheDisplayOfTheBootIsInUseIfTheKernelNamesNoConsole) {
  add_display("");
  set_boot_vga("0");
  EXPECT_THAT(uses(), IsEmpty());
  set_boot_vga("1");
  EXPECT_THAT(uses(), ElementsAre("it is the display of the boot (boot_vga), with card7"));
}

TEST_F(NodeUses, Case6ADisplayThatShowsTheTextConsoleIsInUse) {
  add_display("fb0");
  set_boot_vga("1");
  add_vt_console("vtcon0", "(S) dummy device", "0");
  add_vt_console("vtcon1", "(M) frame buffer device", "1");
  EXPECT_EQ(refusal(),
            "0000:00:02.0: cannot bind the device: the host uses it: the text console is shown on "
            "its frame buffer. Stop these uses first: 'echo 0 > /sys/class/vtconsole/vtcon1/bind'. "
            "--force binds it anyway");
  add_vt_console("vtcon1", "(M) frame buffer device", "0");  // as the hint says
  EXPECT_EQ(refusal(), "");
}

TEST_F(NodeUses, Case6TheFrameBufferOfTheFirmwareIsOnTheDisplayOfTheBoot) {
  add(0x030000, "");
  tree.link("class/graphics/fb0", "devices/platform/efi-framebuffer.0/graphics/fb0");
  tree.put("devices/platform/efi-framebuffer.0/graphics/fb0/name", "EFI VGA\n");
  add_vt_console("vtcon1", "(M) frame buffer device", "1");
  set_boot_vga("0");
  EXPECT_THAT(uses(), IsEmpty());
  set_boot_vga("1");
  EXPECT_THAT(uses(), ElementsAre(HasSubstr("the text console is shown on its frame buffer")));
}

// The hint would free the console of another card, and this card is free.
TEST_F(NodeUses, Case6ASecondDisplayWithoutConsoleIsNotInUse) {
  add_display("fb1");
  set_boot_vga("1");
  tree.add({.bdf = "0000:00:03.0", .class_code = 0x030000, .driver = "i915"});
  tree.add_node("0000:00:03.0", "graphics/fb0", "graphics", "29:0");
  add_vt_console("vtcon1", "(M) frame buffer device", "1");
  EXPECT_THAT(uses(), IsEmpty());
}

TEST_F(NodeUses, Case6AConsoleInVgaTextModeIsOnTheDisplayOfTheBoot) {
  add(0x030000, "");
  add_vt_console("vtcon0", "(S) VGA+", "1");
  EXPECT_THAT(uses(), IsEmpty());
  set_boot_vga("1");
  EXPECT_THAT(uses(), ElementsAre("the text console is shown on it, in VGA text mode"));
}

TEST_F(NodeUses, Case6ACardThatADesktopHasOpenIsInUse) {
  add_display("");
  add_vt_console("vtcon0", "(S) dummy device", "1");
  tree.add_process(700, "/usr/lib/systemd/systemd-logind", {"/dev/dri/card7"});
  tree.put("run/proc/700/cgroup", "0::/system.slice/systemd-logind.service\n");
  tree.add_process(900, "/usr/lib/xorg/Xorg :0", {"/dev/dri/card7"});
  tree.put("run/proc/900/cgroup", "0::/system.slice/lightdm.service\n");
  EXPECT_THAT(uses(),
              ElementsAre("card7 is open in process 700 (/usr/lib/systemd/systemd-logind), process "
                          "900 (/usr/lib/xorg/Xorg :0) > systemctl stop lightdm.service"));
}

TEST_F(NodeUses, Case6ANodeOfNvidiasDriverIsFoundThroughProc) {
  add(0x030200, "nvidia");
  tree.add_process(55, "nvidia-persistenced", {"/dev/nvidia77"});
  EXPECT_THAT(uses(), IsEmpty());
  tree.put("run/proc/driver/nvidia/gpus/0000:00:02.0/information",
           "Model: \t\t A100\nDevice Minor: \t 77\nGPU Excluded:\t No\n");
  EXPECT_THAT(uses(),
              ElementsAre("nvidia77 is open in process 55 (nvidia-persistenced) > kill 55"));
}

// ---- sound ------------------------------------------------------------------------------------

TEST_F(NodeUses, Case6ASoundCardThatAProcessHasOpenIsInUse) {
  add(0x040300, "snd_hda_intel");
  tree.add_node(kName, "sound/card7/controlC7", "sound", "116:971", "snd/controlC7");
  tree.add_child(kName, "sound/card7/input12", "input");  // a jack
  EXPECT_THAT(uses(), IsEmpty());
  tree.add_process(1300, "/usr/bin/pipewire", {"/dev/snd/controlC7"});
  EXPECT_THAT(uses(),
              ElementsAre("controlC7 is open in process 1300 (/usr/bin/pipewire) > kill 1300"));
}

// ---- inputs -----------------------------------------------------------------------------------

TEST_F(NodeUses, Case6AUsbControllerWithAKeyboardIsInUse) {
  add(0x0c0330, "xhci_hcd");
  tree.add_node(kName, "usb1", "usb", "189:971", "bus/usb/971/001");
  EXPECT_THAT(uses(), IsEmpty());
  add_keyboard();
  EXPECT_EQ(refusal(),
            "0000:00:02.0: cannot bind the device: the host uses it: input device input5 (Model M) "
            "is attached to it. --force binds it anyway");
}

// The session manager would open the keyboard again, so the text has no command that ends it.
TEST_F(NodeUses, Case6AKeyboardIsNotFreedByEndingAProcess) {
  add(0x0c0330, "xhci_hcd");
  add_keyboard();
  tree.add_node(kName, std::string(kKeyboard) + "/event77", "input", "13:971", "input/event77");
  tree.add_process(900, "Xorg", {"/dev/input/event77"});
  EXPECT_THAT(uses(), ElementsAre("input device input5 (Model M) is attached to it",
                                  "event77 is open in process 900 (Xorg)"));
}

TEST_F(NodeUses, Case6AnInputThatOnlyReportsSwitchesIsNotAKeyboard) {
  add(0x0c0330, "xhci_hcd");
  add_keyboard();
  const std::string bits =
      std::string("bus/pci/devices/0000:00:02.0/") + kKeyboard + "/capabilities/";
  tree.put(bits + "key", "0\n").put(bits + "rel", "0\n").put(bits + "abs", "0\n");
  EXPECT_THAT(uses(), IsEmpty());
  tree.put(bits + "key", "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\n");
  EXPECT_THAT(uses(), ElementsAre(HasSubstr("input5 (Model M)")));
}

// ---- other nodes ------------------------------------------------------------------------------

TEST_F(NodeUses, Case6ADiskThatAProcessHasOpenIsInUse) {
  add(0x010802, "nvme");
  tree.add_node(kName, "nvme/nvme7/nvme7n1", "block", "259:971");
  tree.put("run/proc/self/mountinfo", "23 1 0:21 / /proc rw - proc proc rw\n");
  EXPECT_THAT(uses(), IsEmpty());
  tree.add_process(4711, "qemu-system-x86_64 -drive file=/dev/nvme7n1", {"/dev/nvme7n1"});
  EXPECT_THAT(uses(), ElementsAre("nvme7n1 is open in process 4711 (qemu-system-x86_64 -drive "
                                  "file=/dev/nvme7n1) > kill 4711"));
}

TEST_F(NodeUses, Case6NamesOfInputsDoNotActUponTheTerminal) {
  add(0x0c0330, "xhci_hcd");
  add_keyboard();
  tree.put(std::string("bus/pci/devices/0000:00:02.0/") + kKeyboard + "/name",
           "Evil\x1b]0;x\xe2\x80\xae\n");
  EXPECT_THAT(refusal(), HasSubstr("(Evil?]0;x?"
                                   "?"
                                   "?)"));
  EXPECT_THAT(refusal(), Not(HasSubstr("\x1b")));
}

TEST_F(NodeUses, ProcessesThatCannotBeListedAreAnErrorAndNotAnAnswer) {
  add_serial_port();
  const auto found = device_uses(tree.sysfs(), tree.root() / "nowhere", kDevice);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ENOENT);
}

}  // namespace
}  // namespace passthru
