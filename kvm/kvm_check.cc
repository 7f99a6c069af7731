// SPDX-License-Identifier: MIT
#include "kvm/kvm_check.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace passthru {
namespace {

std::string advice_for(int code) {
  switch (code) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return "Load kvm-intel or kvm-amd with modprobe, and enable virtualization in the firmware";
    case EACCES:
    case EPERM:
      return "Run as root, or join the group that owns the file (usually: adduser USER kvm)";
    default:
      return {};
  }
}

}  // namespace

Result<Fd> open_kvm(const std::string& device) {
  Fd kvm(::open(device.c_str(), O_RDWR | O_CLOEXEC));
  if (kvm) return kvm;
  const int code = errno;
  return tl::unexpected(
      Error{.code = code, .operation = "open " + device}.advise(advice_for(code)));
}

Result<KvmLimits> kvm_limits_of_host(const std::string& device) {
  const Fd kvm = PASSTHRU_TRY(open_kvm(device));
  return kvm_limits(KvmFd(kvm.get()),
                    /*irqchip_pins=*/true);  // /dev/kvm answers as a VM of it would
}

HostCheck check_kvm(const Result<KvmLimits>& limits) {
  constexpr const char* kName = "kvm";
  constexpr const char* kNewer = "Use a newer kernel";
  if (!limits) {
    Error error = limits.error();
    if (error.cause.empty()) error.cause = std::generic_category().message(error.code);
    if (error.code == ENOTSUP) error.advice = kNewer;
    return {kName, Answer::No, fmt::format("{}: {}", error.operation, error.cause), error.advice};
  }
  const std::string what =
      fmt::format("irqfd; {} interrupt routes, {} memory slots", limits->routes, limits->slots);
  if (limits->resampling) return {kName, Answer::Ok, what, {}};
  return {kName, Answer::Warn,
          what + "; no resampling irqfd (KVM_CAP_IRQFD_RESAMPLE): only MSI and MSI-X, no INTx",
          kNewer};
}

}  // namespace passthru
