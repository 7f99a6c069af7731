// SPDX-License-Identifier: MIT
#include "confinement.h"

#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "must.h"

namespace {

// A kernel without IPC objects has no namespace for them either, and nothing to hide.
bool has_ipc() {
  return std::filesystem::exists("/proc/sysvipc") || std::filesystem::exists("/proc/sys/fs/mqueue");
}

}  // namespace

void enter_namespaces() {
  // A process can type into its controlling terminal (TIOCSTI), and root's shell runs this input.
  must(::setsid() >= 0, "leave the terminal's session");
  must(::unshare(CLONE_NEWNS | CLONE_NEWNET | (has_ipc() ? CLONE_NEWIPC : 0)) == 0,
       "create namespaces");
  must(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make mounts private");
  must(::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0,
       "mount a /proc without the other processes");
  must(::mount("none", "/dev", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NOEXEC, "mode=755") == 0,
       "hide /dev");
}

// The order matters: each step needs a right that a later one gives up.
void give_up_all_rights(uint32_t user, rlim_t memlock) {
  // Memory that devices reach is locked, and counts against the limit of the process that maps it.
  const rlimit limit{memlock, memlock};
  must(::setrlimit(RLIMIT_MEMLOCK, &limit) == 0, "raise RLIMIT_MEMLOCK");

  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    must(::prctl(PR_CAPBSET_DROP, capability) == 0, "drop a capability for good");
  }
  must(::setgroups(0, nullptr) == 0, "leave all groups");
  must(::setresgid(user, user, user) == 0, "change the group");
  must(::setresuid(user, user, user) == 0, "change the user");
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  must(::syscall(SYS_capset, &header, none) == 0, "drop the remaining capabilities");
  must(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "set no_new_privs");
  // This process still has root's environment in its memory, and the command has the same user.
  must(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, "hide this process's memory");
}

// A change of the user clears the signal, so this comes after give_up_all_rights().
void die_with(int parent_pidfd) {
  // SIGKILL, because the guest's process cannot ignore it.
  must(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "request a signal for the end of the parent");
  pollfd ended{.fd = parent_pidfd, .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, 0) != 0) std::exit(kRefused);  // it ended before the request
}
