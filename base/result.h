// SPDX-License-Identifier: MIT
// Owns how an operation of Passthru fails: `Error` says what failed, on which device and why,
// `Result<T>` carries either a value or that. Any room may use it; nothing on an access or
// interrupt path throws.
#pragma once

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace passthru {

/// Why an operation failed. Filled from the inside out: the kernel seam knows `code` and
/// `operation`, the layers above add the device, the index and what the user can do about it.
struct Error {
  int code = 0;                     ///< errno, never 0
  std::string operation{};          ///< what was tried: "VFIO_DEVICE_SET_IRQS", "open /dev/vfio/12"
  std::string device{};             ///< BDF, or empty where no device is concerned
  std::optional<uint32_t> index{};  ///< region, irq or vector number
  std::string cause{};              ///< why, where more is known than errno says
  std::string advice{};             ///< what to do about it, one sentence

  [[nodiscard]] Error on(std::string bdf) &&;
  [[nodiscard]] Error at(uint32_t number) &&;
  [[nodiscard]] Error because(std::string why) &&;
  [[nodiscard]] Error advise(std::string what_to_do) &&;

  /// One line: "0000:00:02.0: VFIO_DEVICE_SET_IRQS (3): Invalid argument: cause. Advice."
  [[nodiscard]] std::string message() const;
};

/// An error made by Passthru itself (bad input, a limit), with the errno that names its kind.
[[nodiscard]] inline tl::unexpected<Error> fail(int code, std::string operation,
                                                std::string cause = {}) {
  return tl::unexpected<Error>(
      Error{.code = code, .operation = std::move(operation), .cause = std::move(cause)});
}

/// `tl::expected` that the compiler warns about when it is dropped.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;

  [[nodiscard]] T release() && {
    if constexpr (!std::is_void_v<T>) return std::move(**this);
  }

  /// The same result with the device named in its error.
  [[nodiscard]] Result on(const std::string& bdf) && {
    if (!*this && this->error().device.empty()) this->error().device = bdf;
    return std::move(*this);
  }
};

/// For a failure that nobody can act upon any more (tear-down): says at the call that it is
/// deliberate.
template <class T>
void ignore(const Result<T>& /*result*/, const char* /*why*/) {}

}  // namespace passthru

/// The value of a Result, or return its error from the enclosing function.
#define PASSTHRU_TRY(expression)                                                        \
  ({                                                                                    \
    auto passthru_try_result = (expression);                                            \
    if (!passthru_try_result)                                                           \
      return tl::unexpected<::passthru::Error>(std::move(passthru_try_result).error()); \
    std::move(passthru_try_result).release();                                           \
  })
