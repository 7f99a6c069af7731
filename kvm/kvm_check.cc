// SPDX-License-Identifier: MIT
#include "kvm/kvm_check.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "vfio/attach_advice.h"

namespace passthru {
namespace {

constexpr const char* kCheckName = "kvm";
constexpr const char* kNewerKernel = "Use a newer kernel";

/// Returns the check of a KVM that is not usable, without its text. The remedy is empty if the
/// error has its own advice.
HostCheck cure_for(int code) {
  HostCheck check{kCheckName, Answer::No, {}, {}};
  switch (code) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      check.remedy = "Enable virtualization in the firmware, and load KVM";
      check.commands = {"modprobe kvm-intel || modprobe kvm-amd"};
      break;
    case EACCES:
      check.remedy = "Run as root, or join the group of the file, usually kvm, and log in again";
      check.commands = {"usermod -aG kvm \"$USER\""};
      break;
    case ENOTSUP:
      check.remedy = kNewerKernel;
      break;
    default:
      break;
  }
  return check;
}

}  // namespace

Result<Fd> open_kvm(const std::string& device) {
  Fd kvm(::open(device.c_str(), O_RDWR | O_CLOEXEC));
  if (kvm) return kvm;
  return tl::unexpected(explain_kvm({.code = errno, .operation = "open " + device}, device));
}

Error explain_kvm(Error error, const std::string& device) {
  if (error.code == EPERM) return explain_cgroup(std::move(error), device);
  const std::string remedy = remedy_text(cure_for(error.code));
  return std::move(error).advise(remedy);
}

Result<KvmLimits> kvm_limits_of_host(const std::string& device) {
  const Fd kvm = PASSTHRU_TRY(open_kvm(device));
  return kvm_limits(KvmFd(kvm.get()),
                    /*irqchip_pins=*/true);  // /dev/kvm answers as a VM of it would
}

HostCheck check_kvm(const Result<KvmLimits>& limits) {
  if (!limits) {
    Error error = limits.error();
    HostCheck check = cure_for(error.code);
    if (check.remedy.empty()) check.remedy = error.advice;
    error.advice.clear();
    check.what = "KVM is not usable: " + error.message();
    return check;
  }
  const std::string what =
      fmt::format("irqfd; {} interrupt routes, {} memory slots", limits->routes, limits->slots);
  if (limits->resampling) return {kCheckName, Answer::Ok, what, {}};
  return {kCheckName, Answer::Warn,
          what + "; no resampling irqfd (KVM_CAP_IRQFD_RESAMPLE): only MSI and MSI-X, no INTx",
          kNewerKernel};
}

}  // namespace passthru
