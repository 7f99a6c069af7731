// SPDX-License-Identifier: MIT
// The system calls that the example's filter refuses. The arguments make each call harmless.
// Without the filter, root's call does not fail with EPERM.
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "attacks.h"
#include "examples/unprivileged/system_calls.h"

namespace {

constexpr long kBad = -1;     // an invalid descriptor and invalid flags
constexpr long kNowhere = 1;  // an invalid address
constexpr int kAsBefore = 0;
constexpr long kUpperHalf = 1L << 32;

struct Call {
  const char* name;
  int wanted;
  long number;
  std::array<long, 6> arguments;
};

// With CLONE_THREAD alone, clone() always fails.
Call clone_of(const char* name, long kind, int wanted = EPERM) {
  return {name, wanted, SYS_clone, {kind | CLONE_THREAD}};
}

const Call kCalls[] = {
    {"ptrace", EPERM, SYS_ptrace, {1 /* PTRACE_PEEKTEXT */}},
    {"process_vm_readv", EPERM, SYS_process_vm_readv, {0}},
    {"process_vm_writev", EPERM, SYS_process_vm_writev, {0}},
    {"process_madvise", EPERM, SYS_process_madvise, {kBad, 0, 0, 0, kBad}},
    {"pidfd_getfd", EPERM, SYS_pidfd_getfd, {kBad, kBad, 0}},
    {"kcmp", EPERM, SYS_kcmp, {0}},
    {"keyctl", EPERM, SYS_keyctl, {0, -1, 0}},
    {"add_key", EPERM, SYS_add_key, {kNowhere, kNowhere}},
    {"request_key", EPERM, SYS_request_key, {kNowhere, kNowhere}},
    {"unshare", EPERM, SYS_unshare, {0}},
    {"setns", EPERM, SYS_setns, {kBad}},
    {"mount", EPERM, SYS_mount, {kNowhere, kNowhere, kNowhere}},
    {"umount2", EPERM, SYS_umount2, {kNowhere, kBad}},
    {"pivot_root", EPERM, SYS_pivot_root, {kNowhere, kNowhere}},
    {"chroot", EPERM, SYS_chroot, {kNowhere}},
    {"open_tree", EPERM, SYS_open_tree, {kBad, kNowhere, kBad}},
    {"move_mount", EPERM, SYS_move_mount, {kBad, kNowhere, kBad, kNowhere, kBad}},
    {"fsopen", EPERM, SYS_fsopen, {kNowhere, kBad}},
    {"fsconfig", EPERM, SYS_fsconfig, {kBad, kBad}},
    {"fsmount", EPERM, SYS_fsmount, {kBad, kBad, kBad}},
    {"fspick", EPERM, SYS_fspick, {kBad, kNowhere, kBad}},
    {"mount_setattr", EPERM, SYS_mount_setattr, {kBad, kNowhere, kBad, kNowhere, 0}},
    {"bpf", EPERM, SYS_bpf, {kBad, 0, 0}},
    {"perf_event_open", EPERM, SYS_perf_event_open, {kNowhere, 0, 0, kBad, kBad}},
    {"userfaultfd", EPERM, SYS_userfaultfd, {kBad}},
    {"kexec_load", EPERM, SYS_kexec_load, {0, kBad, 0, kBad}},
    {"kexec_file_load", EPERM, SYS_kexec_file_load, {kBad, kBad, 0, 0, kBad}},
    {"init_module", EPERM, SYS_init_module, {kNowhere, 0, kNowhere}},
    {"finit_module", EPERM, SYS_finit_module, {kBad, kNowhere, kBad}},
    {"delete_module", EPERM, SYS_delete_module, {kNowhere, 0}},
    {"TIOCSTI", EPERM, SYS_ioctl, {kBad, TIOCSTI}},
    {"TIOCSTI and another bit", EPERM, SYS_ioctl, {kBad, TIOCSTI | kUpperHalf}},
    {"TIOCLINUX", EPERM, SYS_ioctl, {kBad, TIOCLINUX}},
    {"TIOCLINUX and another bit", EPERM, SYS_ioctl, {kBad, TIOCLINUX | kUpperHalf}},
    {"TIOCSETD", EPERM, SYS_ioctl, {kBad, TIOCSETD}},
    clone_of("clone: mounts", CLONE_NEWNS),
    clone_of("clone: UTS", CLONE_NEWUTS),
    clone_of("clone: IPC", CLONE_NEWIPC),
    clone_of("clone: user", CLONE_NEWUSER),
    clone_of("clone: PID", CLONE_NEWPID),
    clone_of("clone: network", CLONE_NEWNET),
    clone_of("clone: cgroup", CLONE_NEWCGROUP),
    clone_of("clone: two namespaces", CLONE_NEWUSER | CLONE_NEWNET),
    {"clone3", ENOSYS, SYS_clone3, {0}},
    // Calls that a VMM needs.
    {"KVM_RUN", kAsBefore, SYS_ioctl, {kBad, KVM_RUN}},
    {"TCGETS", kAsBefore, SYS_ioctl, {kBad, TCGETS}},
    clone_of("clone: a thread", 0, kAsBefore),
    {"io_uring_setup", kAsBefore, SYS_io_uring_setup, {1, kNowhere}},
    {"io_uring_enter", kAsBefore, SYS_io_uring_enter, {kBad}},
    {"io_uring_register", kAsBefore, SYS_io_uring_register, {kBad}},
};

int make(const Call& call) {
  const auto& [a, b, c, d, e, f] = call.arguments;
  return ::syscall(call.number, a, b, c, d, e, f) < 0 ? errno : 0;
}

}  // namespace

int make_refused_calls() {
  std::vector<int> before;
  before.reserve(std::size(kCalls));
  for (const Call& call : kCalls) before.push_back(make(call));
  refuse_system_calls();
  int failed = 0;
  for (size_t i = 0; i < std::size(kCalls); ++i) {
    const Call& call = kCalls[i];
    const int now = make(call);
    const bool as_wanted = now == (call.wanted == kAsBefore ? before[i] : call.wanted);
    // A container that drops these rights of root fails here: the test cannot show that the filter
    // works.
    const bool shown = call.wanted == kAsBefore || before[i] != call.wanted;
    std::printf("%s %s: %s, without the filter %s\n", as_wanted && shown ? "ok    " : "FAILED",
                call.name, std::strerror(now), std::strerror(before[i]));
    if (!as_wanted || !shown) failed = 1;
  }
  bool ran = false;
  std::thread([&ran] { ran = true; }).join();  // the C library falls back from clone3
  return ran ? failed : 1;
}
