// SPDX-License-Identifier: MIT
// The VF token, which the users of a physical function on vfio-pci and of its virtual functions
// share. Pure.
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

/// A UUID. The user of a physical function (SR-IOV) can remove its virtual functions and may see
/// their data. On vfio-pci both sides must therefore know the same token. Opening the physical
/// function sets it; opening a virtual function presents it.
class VfToken {
 public:
  /// Reads "bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3", in upper or lower case.
  ///
  /// Errors:
  /// - EINVAL: anything else. The message shows the form of a token.
  static Result<VfToken> parse(std::string_view text);

  /// Returns the lower-case form, which the kernel expects after the name of a device.
  [[nodiscard]] std::string str() const;
  /// Returns the bytes in the order of the text, which the kernel expects as a value.
  [[nodiscard]] const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  bool operator==(const VfToken&) const = default;

 private:
  std::array<uint8_t, 16> bytes_{};
};

/// Returns the argument of VFIO_GROUP_GET_DEVICE_FD: "0000:01:00.1 vf_token=UUID", or the address
/// alone.
std::string device_name(Bdf bdf, const std::optional<VfToken>& token);

/// Checks whether a token applies to `function`. `physical` is empty unless it is a virtual
/// function.
///
/// Errors:
/// - EINVAL, as from the kernel: the function is neither a virtual function of a `physical` on
///   vfio-pci nor able to have virtual functions.
Result<void> check_vf_token(const PciFunction& function,
                            const std::optional<PciFunction>& physical);

/// Explains the kernel's EACCES from opening `function`, with a token (`given`) or without. Returns
/// any other error unchanged.
Error explain_vf_token(Error error, const PciFunction& function, bool given);

}  // namespace passthru
