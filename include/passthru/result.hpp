// SPDX-License-Identifier: MIT
//
// Results of the C++ interface: `Error` is an errno and a text, `Result<T>` is a value or an Error.
#ifndef PASSTHRU_RESULT_HPP
#define PASSTHRU_RESULT_HPP

#include <passthru/passthru.h>

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

namespace passthru {
inline namespace v0 {

/// The reason why a call failed. what() is the text of passthru_last_error().
class Error : public std::runtime_error {
 public:
  /// `code` is an errno.
  explicit Error(int code, const std::string& text = {}) : std::runtime_error(text), code_(code) {}
  [[nodiscard]] int code() const noexcept { return code_; }

 private:
  int code_;
};

namespace detail {

/// Throws the error. Aborts in a program without exceptions.
[[noreturn]] inline void raise(const Error& error) {
#ifdef __cpp_exceptions
  throw error;
#else
  static_cast<void>(error);
  std::abort();
#endif
}

}  // namespace detail

/// A value or an Error. The compiler warns if a Result is dropped.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool has_value() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  /// Returns the value. Throws the Error if there is no value, as `*` and `->` do.
  T& value() & {
    if (!has_value()) detail::raise(error());
    return *std::get_if<0>(&content_);
  }
  const T& value() const& {
    if (!has_value()) detail::raise(error());
    return *std::get_if<0>(&content_);
  }
  T value() && { return std::move(value()); }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T operator*() && { return std::move(value()); }
  [[nodiscard]] T* operator->() { return &value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }
  /// Returns the value, or `other` if there is no value.
  [[nodiscard]] T value_or(T other) && {
    if (has_value()) return std::move(value());
    return other;
  }

  /// Returns the error. There must be no value.
  [[nodiscard]] const Error& error() const noexcept { return *std::get_if<1>(&content_); }

 private:
  std::variant<T, Error> content_;
};

/// Success or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  [[nodiscard]] bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }
  /// Throws the Error, if there is one.
  void value() const {
    if (error_) detail::raise(*error_);
  }
  /// Returns the error. There must be one.
  [[nodiscard]] const Error& error() const noexcept { return *error_; }

 private:
  std::optional<Error> error_{};
};

namespace detail {

/// Returns the calling thread's last error. `status` is -errno, which a function has returned.
inline Error last_error(int status) {
  return Error(-status, passthru_last_error());
}

/// Returns what a C function has returned as a Result.
inline Result<void> result_of(int status) {
  if (status < 0) return last_error(status);
  return {};
}

/// Returns `value`, or the error that `status` stands for.
template <class T>
Result<T> result_of(int status, T value) {
  if (status < 0) return last_error(status);
  return value;
}

}  // namespace detail
}  // namespace v0
}  // namespace passthru

#endif
