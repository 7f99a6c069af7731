// SPDX-License-Identifier: MIT
// Tests of what `passthru doctor` says of KVM.
#include "kvm/kvm_check.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/prepare/host_checks_facts.h"

namespace passthru {
namespace {

TEST(CheckKvm, SaysWhatThereIsAndWhatIsMissing) {
  KvmLimits limits{.slots = 509, .routes = 4096, .resampling = true};
  EXPECT_EQ(line(check_kvm(limits)), "ok kvm: irqfd; 4096 interrupt routes, 509 memory slots > ");
  limits.resampling = false;
  EXPECT_EQ(check_kvm(limits).answer, Answer::Warn);
  EXPECT_EQ(
      line(check_kvm(fail(ENOTSUP, "use KVM", "this KVM has no irqfd (KVM_CAP_IRQFD)"))),
      "no kvm: KVM is not usable: cannot use KVM: this KVM has no irqfd (KVM_CAP_IRQFD) > Use a "
      "newer kernel");
}

TEST(CheckKvm, SaysWhoMayNotOpenIt) {
  const auto said = [](int code) {
    const Error error = explain_kvm({.code = code, .operation = "open /dev/kvm"}, "/dev/kvm");
    return line(check_kvm(tl::unexpected(error)));
  };
  EXPECT_EQ(said(EACCES),
            "no kvm: KVM is not usable: cannot open /dev/kvm: Permission denied > Run as root, or "
            "join the group of the file, usually kvm, and log in again: 'usermod -aG kvm "
            "\"$USER\"'");
  EXPECT_EQ(said(EPERM),
            "no kvm: KVM is not usable: cannot open /dev/kvm: the device cgroup of this process "
            "does not allow it > Allow it where the container or the service is defined; for "
            "systemd, DeviceAllow=/dev/kvm rw");
}

TEST(CheckKvm, ADeviceThatIsNotThereOrIsNoKvmIsNotUsable) {
  EXPECT_EQ(
      line(check_kvm(kvm_limits_of_host("/dev/no-such-kvm"))),
      "no kvm: KVM is not usable: cannot open /dev/no-such-kvm: No such file or directory > Enable "
      "virtualization in the firmware, and load KVM: 'modprobe kvm-intel || modprobe kvm-amd'");
  const HostCheck other = check_kvm(kvm_limits_of_host("/dev/null"));
  EXPECT_EQ(other.answer, Answer::No);
  EXPECT_EQ(other.what,
            "KVM is not usable: cannot call KVM_CHECK_EXTENSION: Inappropriate ioctl for device");
}

}  // namespace
}  // namespace passthru
