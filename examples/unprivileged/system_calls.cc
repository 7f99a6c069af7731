// SPDX-License-Identifier: MIT
// The system calls that fail with EPERM in the guest's process: no VMM needs them. All others are
// allowed, also KVM's and VFIO's requests and io_uring. A filter does not see the operations of
// io_uring, but no operation does what a refused call does.
#include "system_calls.h"

#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdint>

#include "must.h"

namespace {

constexpr int kCalls[] = {
    // Other processes: their memory and their descriptors.
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise), SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp),
    // Keys: those of root's session are inherited.
    SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key),
    // Namespaces and mounts: in a user namespace of its own, a process has all capabilities.
    SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
    SCMP_SYS(chroot), SCMP_SYS(open_tree), SCMP_SYS(move_mount), SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr),
    // Code in the kernel, and the kernel's own parts that had many faults.
    SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load), SCMP_SYS(init_module), SCMP_SYS(finit_module),
    SCMP_SYS(delete_module)};

// Requests to a terminal: to type into it, to paste, to give it to another driver.
constexpr uint64_t kRequests[] = {TIOCSTI, TIOCLINUX, TIOCSETD};

constexpr uint64_t kNamespaces[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
                                    CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP};

// libseccomp returns -errno.
void must_be_zero(int error, const char* what) {
  errno = -error;
  must(error == 0, what);
}

}  // namespace

void refuse_system_calls() {
  const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
  must(filter != nullptr, "create a filter of system calls");
  const auto refuse_call = [filter](int error, int call, auto... arguments) {
    must_be_zero(::seccomp_rule_add(filter, SCMP_ACT_ERRNO(static_cast<uint16_t>(error)), call,
                                    sizeof...(arguments), arguments...),
                 "refuse a system call");
  };
  for (const int call : kCalls) refuse_call(EPERM, call);
  // The kernel uses only 32 bits of a request. An exact comparison would let a request with a
  // higher bit pass.
  for (const uint64_t request : kRequests) {
    refuse_call(EPERM, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, request));
  }
  for (const uint64_t kind : kNamespaces) {
    refuse_call(EPERM, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, kind, kind));
  }
  // The flags of clone3() are in memory, which a filter cannot read. After ENOSYS the C library
  // creates threads by clone().
  refuse_call(ENOSYS, SCMP_SYS(clone3));
  must_be_zero(::seccomp_load(filter), "load the filter of system calls");
  ::seccomp_release(filter);
}
