// SPDX-License-Identifier: MIT
// The frame of every function of the C interface: errors become -errno and a text, exceptions do
// not cross, and calls from a callback are refused.
#pragma once

#include <exception>
#include <new>

#include "base/result.h"

namespace passthru {

/// Marks the calling thread as being in a callback, as long as it exists.
class InCallback {
 public:
  InCallback();
  ~InCallback();
  InCallback(const InCallback&) = delete;
  InCallback& operator=(const InCallback&) = delete;
  /// Returns whether the calling thread is in a callback.
  static bool now();
};

/// Sets the calling thread's last error. Returns -errno.
int set_last_error(const Error& error) noexcept;
/// The same for a call that an exception has ended. If memory runs out here too, the text is "".
/// Returns -`code`.
int set_last_error(int code, const char* operation, const char* cause) noexcept;
/// Sets the calling thread's last error to a text. Returns -`code`.
int set_last_text(int code, const char* text) noexcept;
/// Returns the calling thread's last error, "" before the first.
const char* last_error() noexcept;

/// Runs `body`, which returns a Result<void>. Returns 0 or -errno. `operation` names the call for
/// errors of this function.
///
/// Errors:
/// - EDEADLK: the calling thread is in a callback.
/// - ENOMEM: memory ran out.
template <class Body>
int call(const char* operation, Body body) noexcept {
  try {
    if (InCallback::now()) {
      return set_last_error({.code = EDEADLK,
                             .operation = operation,
                             .cause = "the calling thread is in a callback of the library",
                             .advice = "Make the call after the callback has returned"});
    }
    const Result<void> done = body();
    return done ? 0 : set_last_error(done.error());
  } catch (const std::bad_alloc&) {
    return set_last_error(ENOMEM, operation, "");
  } catch (const std::exception& exception) {
    return set_last_error(EIO, operation, exception.what());
  }
}

}  // namespace passthru
