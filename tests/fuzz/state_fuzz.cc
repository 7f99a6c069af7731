// SPDX-License-Identifier: MIT
// Fuzzes the state of a device that another process has saved. The decoder must not read beyond the
// bytes, and a state that it accepts must be written and read again as it is.
#include <algorithm>
#include <string_view>

#include "device/device_state.h"

namespace passthru {
namespace {

void expect(bool condition) {
  if (!condition) __builtin_trap();
}

void run(std::string_view bytes) {
  const auto state = decode(bytes);
  if (!state) {
    expect(!state.error().message().empty());
    return;
  }
  const auto again = decode(encode(*state));
  expect(again && *again == *state);
}

}  // namespace
}  // namespace passthru

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using passthru::run;
  run({reinterpret_cast<const char*>(data), size});
  if (size < 4) return 0;
  // Most inputs have a wrong header: put a right header before them.
  std::string whole("PTHRUDEV\1\0\0\0\0\0\0\0", 16);
  whole.append(reinterpret_cast<const char*>(data), std::min<size_t>(size, 8192));
  const auto length = static_cast<uint32_t>(whole.size());
  for (unsigned byte = 0; byte < 4; ++byte) {
    whole[12 + byte] = static_cast<char>(length >> (8 * byte) & 0xff);
  }
  run(whole);
  return 0;
}
