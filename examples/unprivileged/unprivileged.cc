// SPDX-License-Identifier: MIT
// An example: a guest with PCI devices whose VMM is a process without any right. Three processes:
//   the parent   stays root, opens /dev/kvm and the devices, and forwards signals;
//   init         is the first process of a PID namespace, and gives up all rights;
//   the command  is `passthru run`. It gets the open descriptors, and opens no device itself.
// docs/unprivileged.md explains each step, and what the command can still do.
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "confinement.h"
#include "descriptors.h"
#include "must.h"
#include "signals.h"
#include "system_calls.h"
#include "user.h"

namespace {

constexpr const char* kUsage =
    "usage: unprivileged [--group] [--user UID] [--memlock MIB] BDF... -- passthru run "
    "ARGUMENT...\n"
    "Runs the command without any right. It gets open descriptors of /dev/kvm and of the devices,\n"
    "which must be bound to vfio-pci, and the variables TERM, LANG, LC_* and PASSTHRU_*.\n"
    "  --group        open the devices by VFIO's groups, for kernels without /dev/iommu\n"
    "  --user UID     user of the command (default: a user that no process has)\n"
    "  --memlock MIB  limit of locked memory (default: no limit)\n";

struct Arguments {
  bool by_group = false;
  uint32_t user = 0;  // 0: a user that no process has
  rlim_t memlock = RLIM_INFINITY;
  std::vector<std::string> devices{};
  std::vector<std::string> command{};
};

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

// Root's environment may have secrets and names of sockets: a VMM gets only variables that it
// reads.
std::vector<std::string> clean_environment() {
  std::vector<std::string> kept;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view text(*each);
    for (const char* prefix : {"TERM=", "LANG=", "LC_", "PASSTHRU_"}) {
      if (text.starts_with(prefix)) kept.emplace_back(text);
    }
  }
  return kept;
}

[[noreturn]] void become(const std::vector<std::string>& command) {
  const auto pointers = [](const std::vector<std::string>& words) {
    std::vector<char*> array;
    array.reserve(words.size() + 1);
    for (const std::string& word : words) array.push_back(const_cast<char*>(word.c_str()));
    array.push_back(nullptr);
    return array;
  };
  const std::vector<std::string> environment = clean_environment();
  ::execvpe(command.front().c_str(), pointers(command).data(), pointers(environment).data());
  refuse("cannot run " + command.front() + ": " + std::strerror(errno));
}

}  // namespace

int main(int /*argc*/, char** argv) {
  Arguments arguments = parse(argv + 1);
  // The child must not inherit descriptors that are open here by accident.
  must(::close_range(3, ~0U, 0) == 0, "close inherited descriptors");
  if (arguments.user == 0) arguments.user = fresh_user();
  must_be_unused(arguments.user);
  std::vector<std::string> command = arguments.command;
  for (std::string& word : open_all(arguments.devices, arguments.by_group)) {
    command.push_back(std::move(word));
  }

  const sigset_t mask = hold_signals();
  const int parent = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  must(parent >= 0, "open a pidfd");
  must(::unshare(CLONE_NEWPID) == 0, "create a PID namespace");
  const pid_t init = ::fork();
  must(init >= 0, "fork");
  if (init == 0) {
    enter_namespaces();
    give_up_all_rights(arguments.user, arguments.memlock);
    die_with(parent);
    refuse_system_calls();
    // The first process of a PID namespace ignores each signal for which it has no handler, as the
    // command has none while it starts. So the command is the second process.
    const pid_t child = ::fork();
    must(child >= 0, "fork");
    if (child == 0) {
      ::sigprocmask(SIG_SETMASK, &mask, nullptr);
      become(command);
    }
    ::close_range(3, ~0U, 0);
    return wait_for(child);
  }
  // The devices are free for others when the command has ended.
  ::close_range(3, ~0U, 0);
  return wait_for(init);
}
