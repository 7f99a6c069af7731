// SPDX-License-Identifier: MIT
// Tests of calls of the C interface that an exception ends: also if there is no memory for the
// text.
#include "capi/call.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <exception>
#include <new>
#include <string>

namespace passthru {
namespace {

// A sanitizer ends the process when memory runs out.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kThrowsWithoutMemory = false;
#elif defined(__has_feature)
constexpr bool kThrowsWithoutMemory =
    !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool kThrowsWithoutMemory = true;
#endif

int end_by_bad_alloc(const char* operation) {
  return call(operation, []() -> Result<void> { throw std::bad_alloc(); });
}

int end_by_bad_exception(const char* operation) {
  return call(operation, []() -> Result<void> { throw std::bad_exception(); });
}

TEST(Call, AnExceptionBecomesAnErrnoAndAText) {
  EXPECT_EQ(end_by_bad_alloc("open a device"), -ENOMEM);
  EXPECT_STREQ(last_error(), "cannot open a device: Cannot allocate memory");
  EXPECT_EQ(end_by_bad_exception("open a device"), -EIO);
  EXPECT_STREQ(last_error(), "cannot open a device: std::bad_exception");
}

/// Ends the process with status 0 if both exceptions become an errno without a text, although no
/// memory is left for a copy of the operation.
[[noreturn]] void end_without_memory() {
  // malloc takes a block of this size from the kernel: it has no free memory that is as large.
  constexpr size_t kLong = size_t{64} << 20;
  const std::string operation(kLong, 'x');
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  if (::setrlimit(RLIMIT_AS, &none) != 0) ::_exit(2);
  set_last_text(EIO, "before");
  const bool memory = end_by_bad_alloc(operation.c_str()) == -ENOMEM && *last_error() == '\0';
  set_last_text(EIO, "before");
  const bool other = end_by_bad_exception(operation.c_str()) == -EIO && *last_error() == '\0';
  ::_exit(memory && other ? 0 : 1);
}

TEST(Call, AnExceptionBecomesAnErrnoWithoutMemoryForAText) {
  if (!kThrowsWithoutMemory) GTEST_SKIP() << "a sanitizer ends the process";
  EXPECT_EXIT(end_without_memory(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace passthru
