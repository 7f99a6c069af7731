// SPDX-License-Identifier: MIT
#include "vfio/capability_chain.h"

#include <fmt/format.h>

#include <cerrno>

namespace passthru {

Result<std::vector<InfoCapability>> capability_chain(std::span<const std::byte> answer,
                                                     size_t fixed, uint32_t first,
                                                     const char* call) {
  // Capabilities do not overlap, so a longer chain than this has a loop.
  const size_t max_length = answer.size() / sizeof(vfio_info_cap_header);
  std::vector<InfoCapability> chain;
  for (uint32_t offset = first; offset != 0;) {
    if (chain.size() == max_length) return fail(EBADMSG, call, "the capability chain has a loop");
    const auto header = value_at<vfio_info_cap_header>(answer, offset);
    if (!header || offset < fixed) {
      return fail(EBADMSG, call,
                  fmt::format("capability at {:#x} of {:#x} bytes", offset, answer.size()));
    }
    chain.push_back({.id = header->id, .offset = offset});
    offset = header->next;
  }
  return chain;
}

}  // namespace passthru
