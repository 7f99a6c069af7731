// SPDX-License-Identifier: MIT
// Owns the token that the users of a physical function on vfio-pci and of its virtual functions
// share, what the kernel is told of it, and what a user is told where it is wrong. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// A UUID. Who has a physical function (SR-IOV) can take its virtual functions away and may see
/// their data, so on vfio-pci both sides have to know the same one: who opens the physical function
/// sets it, and who opens a virtual function shows it.
class VfToken {
 public:
  /// Reads "bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3", in either case. EINVAL for anything else, saying
  /// what a token looks like.
  static Result<VfToken> parse(std::string_view text);

  /// As the kernel takes it behind a device's name: lower case.
  [[nodiscard]] std::string str() const;
  /// As the kernel takes it as a value: in the order in which it is written.
  [[nodiscard]] const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  bool operator==(const VfToken&) const = default;

 private:
  std::array<uint8_t, 16> bytes_{};
};

/// What VFIO_GROUP_GET_DEVICE_FD is to be given: "0000:01:00.1 vf_token=UUID", or the address
/// alone.
std::string device_name(Bdf bdf, const std::optional<VfToken>& token);

/// Whether a token that was given is of use for `function`. EINVAL, as from the kernel, where it is
/// neither a virtual function of `physical` on vfio-pci nor one that can have virtual functions.
/// `physical`: empty where it is no virtual function.
Result<void> check_vf_token(const PciFunction& function,
                            const std::optional<PciFunction>& physical);

/// The kernel's EACCES when `function` was opened, with `given` or without a token. Any other error
/// as it was.
Error explain_vf_token(Error error, const PciFunction& function, bool given);

}  // namespace passthru
