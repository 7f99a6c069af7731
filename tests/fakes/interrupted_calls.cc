// SPDX-License-Identifier: MIT
// seccomp_unotify(2) describes the notifications. The supervisor and the thread share their memory
// and their descriptors, so a path of a call is an address of the supervisor too.
#include "tests/fakes/interrupted_calls.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <system_error>
#include <thread>

#include "base/fd.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

struct KnownCall {
  unsigned number;
  const char* name;
  enum { Path, Descriptor } kind;
  unsigned argument;  // which of its arguments names the file
};

constexpr KnownCall kCalls[] = {
#ifdef SYS_open  // newer architectures have only the calls that end in "at"
    {SYS_open, "open", KnownCall::Path, 0},
    {SYS_mkdir, "mkdir", KnownCall::Path, 0},
    {SYS_rmdir, "rmdir", KnownCall::Path, 0},
    {SYS_chmod, "chmod", KnownCall::Path, 0},
    {SYS_chown, "chown", KnownCall::Path, 0},
    {SYS_stat, "stat", KnownCall::Path, 0},
    {SYS_lstat, "lstat", KnownCall::Path, 0},
    {SYS_rename, "rename", KnownCall::Path, 0},
    {SYS_unlink, "unlink", KnownCall::Path, 0},
#endif
    {SYS_openat, "open", KnownCall::Path, 1},
    {SYS_mkdirat, "mkdir", KnownCall::Path, 1},
    {SYS_fchmodat, "chmod", KnownCall::Path, 1},
    {SYS_fchownat, "chown", KnownCall::Path, 1},
    {SYS_newfstatat, "stat", KnownCall::Path, 1},
    {SYS_statx, "stat", KnownCall::Path, 1},
    {SYS_renameat2, "rename", KnownCall::Path, 1},
    {SYS_unlinkat, "unlink", KnownCall::Path, 1},
    {SYS_read, "read", KnownCall::Descriptor, 0},
    {SYS_write, "write", KnownCall::Descriptor, 0},
    {SYS_fchmod, "fchmod", KnownCall::Descriptor, 0},
    {SYS_fchown, "fchown", KnownCall::Descriptor, 0},
    {SYS_fsync, "fsync", KnownCall::Descriptor, 0},
};

void must(bool done, const char* what) {
  if (done) return;
  std::perror(what);
  std::abort();
}

// Makes the kernel report the known calls of this thread to the returned descriptor.
Fd report_calls() {
  std::vector<sock_filter> filter = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const KnownCall& call : kCalls) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{.len = static_cast<uint16_t>(filter.size()), .filter = filter.data()};
  must(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "prctl");
  Fd reports(static_cast<int>(
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program)));
  must(static_cast<bool>(reports), "seccomp");
  return reports;
}

// Reads the path as the kernel does, so that no sanitizer takes it for a race.
std::string text_at(uint64_t address) {
  const Fd memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  std::array<char, PATH_MAX> text{};
  must(::pread(memory.get(), text.data(), text.size() - 1, static_cast<off_t>(address)) > 0,
       "read a path");
  return text.data();
}

FileCall file_call(const seccomp_data& data) {
  const auto* const call =
      std::find_if(std::begin(kCalls), std::end(kCalls),
                   [&](const auto& each) { return each.number == static_cast<unsigned>(data.nr); });
  must(call != std::end(kCalls), "know a call");
  const uint64_t argument = data.args[call->argument];
  if (call->kind == KnownCall::Path) return {call->name, text_at(argument)};
  std::error_code error;
  return {call->name, fs::read_symlink("/proc/self/fd/" + std::to_string(argument), error)};
}

// Returns whether there was a report; false if the thread has ended.
bool next_report(const Fd& reports, seccomp_notif& report) {
  pollfd ready{.fd = reports.get(), .events = POLLIN, .revents = 0};
  while (::poll(&ready, 1, -1) < 0) must(errno == EINTR, "poll");
  if ((ready.revents & POLLIN) == 0) return false;
  report = {};
  return ::ioctl(reports.get(), SECCOMP_IOCTL_NOTIF_RECV, &report) == 0;
}

}  // namespace

std::vector<FileCall> run_interrupted(const std::function<void()>& function,
                                      const std::function<bool(const fs::path&)>& concerns,
                                      const Interruption& interruption) {
  // Not a promise: UBSan checks its virtual calls by a write to a pipe, which the filter would stop
  // before this thread answers.
  std::atomic<int> filtered = -1;
  std::thread thread([&] {
    filtered = report_calls().release();
    filtered.notify_one();
    function();
  });
  filtered.wait(-1);
  const Fd reports(filtered);
  std::vector<FileCall> calls;
  for (seccomp_notif report; next_report(reports, report);) {
    FileCall call = file_call(report.data);
    const bool counts = concerns(call.file);
    const bool interrupted = counts && calls.size() == interruption.at;
    if (interrupted && interruption.code == 0) ::_exit(kKilled);
    if (counts) calls.push_back(std::move(call));
    seccomp_notif_resp response{};
    response.id = report.id;
    response.error = interrupted ? -interruption.code : 0;
    response.flags = interrupted ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    must(::ioctl(reports.get(), SECCOMP_IOCTL_NOTIF_SEND, &response) == 0, "answer a report");
  }
  thread.join();
  return calls;
}

}  // namespace passthru
