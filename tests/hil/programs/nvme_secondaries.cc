// SPDX-License-Identifier: MIT
// A program that manages the secondary controllers of an NVMe drive with SR-IOV, through the driver
// of the primary controller. Each virtual function has a secondary controller, which works only
// after the primary has given it queues and interrupts and has put it online (NVMe 1.4, 8.5). Runs
// in the lab machine and in guests.
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

constexpr const char* kUsage =
    "usage: nvme-secondaries DEVICE give-up           the primary releases its flexible\n"
    "                                                 resources at its next reset\n"
    "       nvme-secondaries DEVICE online VF VQ VI   VF (from 1) gets VQ queues, VI interrupts\n"
    "       nvme-secondaries DEVICE list              VF, controller, on or off, queues, "
    "interrupts\n";

constexpr uint8_t kIdentify = 0x06;
constexpr uint32_t kPrimaryCapabilities = 0x14;  // CNS values of Identify
constexpr uint32_t kSecondaryList = 0x15;
constexpr uint8_t kVirtualizationManagement = 0x1c;

/// Actions of Virtualization Management (NVMe 1.4, 5.22).
enum class Action : uint32_t { PrimaryFlexible = 1, Offline = 7, Assign = 8, Online = 9 };
enum class Resource : uint32_t { Queues = 0, Interrupts = 1 };

using Page = std::array<uint8_t, 4096>;

struct Secondary {
  unsigned controller, function, queues, interrupts;
  bool online;
};

unsigned word(const Page& page, size_t at) {
  return page[at] | static_cast<unsigned>(page[at + 1]) << 8;
}

unsigned number(const char* text) {
  char* end = nullptr;
  const unsigned long value = std::strtoul(text, &end, 0);
  if (*text != '\0' && *end == '\0' && value <= 0xffff) return static_cast<unsigned>(value);
  std::fprintf(stderr, "nvme-secondaries: '%s' is not a number from 0 to 65535\n", text);
  std::exit(2);
}

/// Sends a command. Ends the program if the controller or the kernel refuses it.
void admin(int device, const char* what, nvme_admin_cmd command) {
  const int status = ::ioctl(device, NVME_IOCTL_ADMIN_CMD, &command);
  if (status == 0) return;
  if (status < 0) {
    std::fprintf(stderr, "nvme-secondaries: %s: %s\n", what, std::strerror(errno));
  } else {
    std::fprintf(stderr, "nvme-secondaries: %s: NVMe status 0x%x\n", what,
                 static_cast<unsigned>(status));
  }
  std::exit(1);
}

Page identify(int device, uint32_t what) {
  Page page{};
  nvme_admin_cmd command{};
  command.opcode = kIdentify;
  command.addr = reinterpret_cast<uintptr_t>(page.data());
  command.data_len = page.size();
  command.cdw10 = what;
  admin(device, "Identify", command);
  return page;
}

void manage(int device, const char* what, unsigned controller, Resource resource, Action action,
            unsigned count) {
  nvme_admin_cmd command{};
  command.opcode = kVirtualizationManagement;
  command.cdw10 =
      controller << 16 | static_cast<uint32_t>(resource) << 8 | static_cast<uint32_t>(action);
  command.cdw11 = count;
  admin(device, what, command);
}

/// Returns an entry of the list of secondary controllers (NVMe 1.4, figure 249), counted from 0.
Secondary entry(const Page& list, unsigned index) {
  const size_t at = 32 + size_t{32} * index;
  return {.controller = word(list, at),
          .function = word(list, at + 8),
          .queues = word(list, at + 10),
          .interrupts = word(list, at + 12),
          .online = (list[at + 4] & 1) != 0};
}

void give_up(int device) {
  const unsigned primary = word(identify(device, kPrimaryCapabilities), 0);
  manage(device, "take the primary's queues", primary, Resource::Queues, Action::PrimaryFlexible,
         0);
  manage(device, "take the primary's interrupts", primary, Resource::Interrupts,
         Action::PrimaryFlexible, 0);
}

int online(int device, unsigned function, unsigned queues, unsigned interrupts) {
  const Page list = identify(device, kSecondaryList);
  for (unsigned index = 0; index < list[0]; ++index) {
    const Secondary secondary = entry(list, index);
    if (secondary.function != function) continue;
    const unsigned controller = secondary.controller;
    manage(device, "offline", controller, Resource::Queues, Action::Offline, 0);
    manage(device, "give queues", controller, Resource::Queues, Action::Assign, queues);
    manage(device, "give interrupts", controller, Resource::Interrupts, Action::Assign, interrupts);
    manage(device, "online", controller, Resource::Queues, Action::Online, 0);
    return 0;
  }
  std::fprintf(stderr, "nvme-secondaries: VF %u has no secondary controller\n", function);
  return 1;
}

void show(int device) {
  const Page list = identify(device, kSecondaryList);
  for (unsigned index = 0; index < list[0]; ++index) {
    const Secondary secondary = entry(list, index);
    std::printf("vf %u controller %u %s queues %u interrupts %u\n", secondary.function,
                secondary.controller, secondary.online ? "online" : "offline", secondary.queues,
                secondary.interrupts);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 2 ? argv[2] : "";
  if ((verb != "give-up" || argc != 3) && (verb != "list" || argc != 3) &&
      (verb != "online" || argc != 6)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  const int device = ::open(argv[1], O_RDONLY | O_CLOEXEC);
  if (device < 0) {
    std::fprintf(stderr, "nvme-secondaries: %s: %s\n", argv[1], std::strerror(errno));
    return 1;
  }
  if (verb == "give-up") give_up(device);
  if (verb == "list") show(device);
  if (verb == "online") return online(device, number(argv[3]), number(argv[4]), number(argv[5]));
  return 0;
}
