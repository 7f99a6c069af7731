// SPDX-License-Identifier: MIT
// Errors: `Error` says what failed, on which device and why; `Result<T>` is a value or an Error.
// Access and interrupt paths never throw.
#pragma once

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace passthru {

/// The reason why an operation failed. The kernel calls fill in `code` and `operation`; their
/// callers add the device, the index and the advice.
struct Error {
  int code = 0;                     ///< errno, never 0
  std::string operation{};          ///< "open /dev/iommu", or the name of a call: "KVM_IRQFD"
  std::string device{};             ///< BDF; empty if no device is concerned
  std::optional<uint32_t> index{};  ///< region, irq or vector number
  std::string cause{};              ///< the reason, if more is known than errno says
  std::string advice{};             ///< what the user can do, without a full stop at the end

  [[nodiscard]] Error on(std::string bdf) &&;
  [[nodiscard]] Error at(uint32_t number) &&;
  [[nodiscard]] Error because(std::string why) &&;
  [[nodiscard]] Error advise(std::string what_to_do) &&;

  /// Returns one line: "0000:00:02.0: cannot open the device: cause. Advice", or with the name of a
  /// call "cannot call VFIO_DEVICE_SET_IRQS (3): cause". Without a cause, the text of errno.
  [[nodiscard]] std::string message() const;
};

/// Returns an error that Passthru itself found (bad input, a limit). `code` is the errno that fits
/// best.
[[nodiscard]] inline tl::unexpected<Error> fail(int code, std::string operation,
                                                std::string cause = {}) {
  return tl::unexpected<Error>(
      Error{.code = code, .operation = std::move(operation), .cause = std::move(cause)});
}

/// A `tl::expected` that the compiler warns about when it is dropped.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;

  [[nodiscard]] T release() && {
    if constexpr (!std::is_void_v<T>) return std::move(**this);
  }

  /// Names the device in the error, unless the error names a device already.
  [[nodiscard]] Result on(const std::string& bdf) && {
    if (!*this && this->error().device.empty()) this->error().device = bdf;
    return std::move(*this);
  }
};

/// Drops a result on purpose, for tear-down, when no caller can act on a failure. `why` documents
/// it.
template <class T>
void ignore(const Result<T>& /*result*/, const char* /*why*/) {}

}  // namespace passthru

/// Evaluates to the value of a Result, or returns its error from the enclosing function.
#define PASSTHRU_TRY(expression)                                                        \
  ({                                                                                    \
    auto passthru_try_result = (expression);                                            \
    if (!passthru_try_result)                                                           \
      return tl::unexpected<::passthru::Error>(std::move(passthru_try_result).error()); \
    std::move(passthru_try_result).release();                                           \
  })
