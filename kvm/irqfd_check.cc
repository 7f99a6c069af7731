// SPDX-License-Identifier: MIT
#include "kvm/irqfd_check.h"

#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"

namespace passthru {

Result<bool> irqfd_takes_signals(const KvmFd& vm, uint32_t free_gsi) {
  const Fd eventfd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!eventfd) return fail(errno, "create an eventfd");
  kvm_irqfd irqfd{};
  irqfd.fd = static_cast<uint32_t>(eventfd.get());
  irqfd.gsi = free_gsi;
  if (auto armed = vm.call(KVM_IRQFD, "KVM_IRQFD", &irqfd); !armed) {
    Error error = std::move(armed).error();
    if (error.code != EINVAL) return tl::unexpected(std::move(error));
    return tl::unexpected(std::move(error)
                              .because("the VM has no in-kernel interrupt controller")
                              .advise("Create it (KVM_CREATE_IRQCHIP or KVM_CAP_SPLIT_IRQCHIP) "
                                      "before the KvmHypervisor"));
  }
  auto signalled = vm.calls().signal(eventfd.get());
  // KVM also takes the counter when the irqfd is removed: read it before that.
  uint64_t left = 0;
  const bool taken = ::read(eventfd.get(), &left, sizeof left) < 0 && errno == EAGAIN;
  irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
  ignore(vm.call(KVM_IRQFD, "KVM_IRQFD", &irqfd), "it ends with its eventfd at the latest");
  if (!signalled) return tl::unexpected(std::move(signalled).error());
  return taken;
}

}  // namespace passthru
