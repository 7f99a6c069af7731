// SPDX-License-Identifier: MIT
// libpci reports a damaged list through a callback that must not return. Only a jump back over its
// C frames saves the process.
#include "pci/pci_names.h"

#include <fmt/format.h>

#include <array>
#include <csetjmp>
#include <cstdlib>
#include <cstring>

#include "base/mutex.h"

extern "C" {
#include <pci/pci.h>
}

namespace passthru {
namespace {

thread_local std::jmp_buf damaged_list;

// The attribute is part of libpci's pointer type, so clang wants it behind the declarator.
void on_error(char* message, ...) __attribute__((noreturn));
void on_error(char* /*message*/, ...) {
  std::longjmp(damaged_list, 1);
}
void on_warning(char* /*message*/, ...) {}

// No network, no udev: the answer depends on the list alone.
constexpr int kListOnly = PCI_LOOKUP_NO_HWDB;

// Everything between setjmp and a possible longjmp is C: no destructor is jumped over.
template <class... Ids>
bool look_up(pci_access* access, std::array<char, 256>& text, int what, Ids... ids) {
  if (setjmp(damaged_list) != 0) return false;
  return pci_lookup_name(access, text.data(), static_cast<int>(text.size()), what | kListOnly,
                         ids...) != nullptr;
}

}  // namespace

struct PciNames::List {
  Mutex access_mutex;  // libpci has no lock of its own
  pci_access* access PASSTHRU_GUARDED_BY(access_mutex) = nullptr;
  bool usable PASSTHRU_GUARDED_BY(access_mutex) = true;
};

PciNames::PciNames(const std::string& file) : list_(std::make_unique<List>()) {
  const MutexLock lock(list_->access_mutex);
  // No pci_init: names need no access to a device.
  list_->access = pci_alloc();
  list_->access->error = on_error;
  list_->access->warning = on_warning;
  list_->access->debug = on_warning;
  if (!file.empty()) pci_set_name_list_path(list_->access, strdup(file.c_str()), /*to_be_freed=*/1);
}

PciNames::~PciNames() {
  const MutexLock lock(list_->access_mutex);
  pci_cleanup(list_->access);
}

std::string PciNames::device(uint16_t vendor, uint16_t device) const {
  const MutexLock lock(list_->access_mutex);
  std::array<char, 256> text{};
  list_->usable =
      list_->usable &&
      look_up(list_->access, text, PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, int{vendor}, int{device});
  return list_->usable ? text.data() : fmt::format("Device {:04x}:{:04x}", vendor, device);
}

std::string PciNames::device_class(uint16_t base_and_subclass) const {
  const MutexLock lock(list_->access_mutex);
  std::array<char, 256> text{};
  list_->usable =
      list_->usable && look_up(list_->access, text, PCI_LOOKUP_CLASS, int{base_and_subclass});
  return list_->usable ? text.data() : fmt::format("Class {:04x}", base_and_subclass);
}

}  // namespace passthru
