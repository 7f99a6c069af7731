// SPDX-License-Identifier: MIT
// An example: a guest with PCI devices whose VMM is a process that may nothing. This program, run
// by root, opens what is needed; its child gives up all rights and becomes `passthru run`, which
// finds the open descriptors and opens no device itself. docs/unprivileged.md explains each step.
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr const char* kUsage =
    "usage: unprivileged [--group] [--user UID] [--memlock MIB] BDF... -- passthru run "
    "ARGUMENT...\n"
    "Runs the command without any right, as user 65534 or UID, in which it may lock MIB of memory\n"
    "(as much as it likes). It gets /dev/kvm and the devices, which are bound to vfio-pci, as "
    "open\n"
    "descriptors; --group: by VFIO's groups, for kernels without /dev/iommu.\n";

enum { kWrongUsage = 2, kRefused = 3 };  // as passthru's own

struct Arguments {
  bool by_group = false;
  id_t user = 65534;  // nobody: owns nothing
  rlim_t memlock = RLIM_INFINITY;
  std::vector<std::string> devices{};
  std::vector<std::string> command{};
};

[[noreturn]] void refuse(const std::string& what) {
  std::fprintf(stderr, "unprivileged: %s\n", what.c_str());
  std::exit(kRefused);
}

void must(bool done, const std::string& what) {
  if (!done) refuse("cannot " + what + ": " + std::strerror(errno));
}

// User 0 would keep its rights, and so would -1, which means "as before".
uint32_t number(const char* text) {
  const std::string_view digits = text == nullptr ? "" : text;
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc() && end == digits.data() + digits.size() && value != 0 &&
      value != UINT32_MAX) {
    return value;
  }
  std::fprintf(stderr, "unprivileged: a number from 1 to 4294967294 is missing\n%s", kUsage);
  std::exit(kWrongUsage);
}

Arguments parse(char** word) {
  Arguments arguments;
  for (; *word != nullptr && std::string_view(*word) != "--"; ++word) {
    const std::string_view text(*word);
    if (text == "--group") {
      arguments.by_group = true;
    } else if (text == "--user") {
      arguments.user = number(*++word);
    } else if (text == "--memlock") {
      arguments.memlock = uint64_t{number(*++word)} << 20;
    } else if (text.starts_with('-')) {
      break;
    } else {
      arguments.devices.emplace_back(text);
    }
  }
  for (; *word != nullptr; ++word) arguments.command.emplace_back(*word);
  if (arguments.command.size() < 2 || arguments.command.front() != "--") {
    std::fputs(kUsage, stderr);
    std::exit(kWrongUsage);
  }
  arguments.command.erase(arguments.command.begin());
  return arguments;
}

// Left open across the exec: that is what it is for.
int open_node(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR);
  must(fd >= 0, "open " + path);
  return fd;
}

// The device of VFIO that a function has while it is bound to vfio-pci: "vfio3".
std::string cdev_of(const std::string& bdf) {
  std::error_code error;
  for (const auto& entry :
       fs::directory_iterator("/sys/bus/pci/devices/" + bdf + "/vfio-dev", error)) {
    return entry.path().filename();
  }
  refuse(bdf + " has no device of VFIO: it is not bound to vfio-pci ('passthru bind " + bdf +
         "'), or the kernel has none (CONFIG_VFIO_DEVICE_CDEV; then say --group)");
}

std::string group_of(const std::string& bdf) {
  std::error_code error;
  const fs::path link = fs::read_symlink("/sys/bus/pci/devices/" + bdf + "/iommu_group", error);
  if (error) refuse(bdf + " is in no IOMMU group: there is no such device, or no IOMMU");
  return link.filename();
}

// What the command is told of the descriptors that it inherits.
std::vector<std::string> open_all(const Arguments& arguments) {
  const auto text = [](int fd) { return std::to_string(fd); };
  std::vector<std::string> words = {"--kvm-fd", text(open_node("/dev/kvm"))};
  if (arguments.devices.empty()) return words;
  if (!arguments.by_group) {
    std::string iommufd;
    for (const std::string& bdf : arguments.devices) {
      const int device = open_node("/dev/vfio/devices/" + cdev_of(bdf));
      if (iommufd.empty()) iommufd = text(open_node("/dev/iommu"));
      words.insert(words.end(), {"--device", "fd=" + text(device) + ",iommufd=" + iommufd});
    }
    return words;
  }
  const std::string container = text(open_node("/dev/vfio/vfio"));
  std::set<std::string> groups;
  for (const std::string& bdf : arguments.devices) {
    std::string device = bdf;
    // A group can be opened once, and is named once: it is there for the others of its devices.
    if (const std::string group = group_of(bdf); groups.insert(group).second) {
      device = "group-fd=" + text(open_node("/dev/vfio/" + group));
      device.append(",container-fd=").append(container).append(",bdf=").append(bdf);
    }
    words.insert(words.end(), {"--device", device});
  }
  return words;
}

// The order matters: each step needs a right that a later one gives up.
void give_up_all_rights(const Arguments& arguments) {
  must(::unshare(CLONE_NEWNS) == 0, "make a mount namespace");
  must(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "keep mounts private");
  must(::mount("none", "/dev", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NOEXEC, "mode=755") == 0,
       "hide /dev");
  // Memory that devices reach is locked, and counts against the limit of who maps it.
  const rlimit memlock{arguments.memlock, arguments.memlock};
  must(::setrlimit(RLIMIT_MEMLOCK, &memlock) == 0, "raise RLIMIT_MEMLOCK");

  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    must(::prctl(PR_CAPBSET_DROP, capability) == 0, "drop a capability for good");
  }
  must(::setgroups(0, nullptr) == 0, "leave all groups");
  must(::setresgid(arguments.user, arguments.user, arguments.user) == 0, "change the group");
  must(::setresuid(arguments.user, arguments.user, arguments.user) == 0, "change the user");
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  must(::syscall(SYS_capset, &header, none) == 0, "give up the capabilities that are left");
  must(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "give up new rights of programs");
}

[[noreturn]] void become(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv.front(), argv.data());
  refuse("cannot run " + words.front() + ": " + std::strerror(errno));
}

}  // namespace

int main(int /*argc*/, char** argv) {
  const Arguments arguments = parse(argv + 1);
  // What is open here by accident is not the child's.
  must(::close_range(3, ~0U, 0) == 0, "close what was inherited");
  std::vector<std::string> command = arguments.command;
  for (std::string& word : open_all(arguments)) command.push_back(std::move(word));

  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  must(child >= 0, "fork");
  if (child == 0) {
    give_up_all_rights(arguments);
    // Changing the user has cleared it, so it comes last: who ends the parent ends the guest.
    must(::prctl(PR_SET_PDEATHSIG, SIGTERM) == 0, "ask for a signal");
    if (::getppid() != parent) return kRefused;
    become(command);
  }
  // The devices are free for others when the child has ended.
  ::close_range(3, ~0U, 0);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) must(errno == EINTR, "wait for the guest");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
