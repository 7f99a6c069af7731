// SPDX-License-Identifier: MIT
// LinuxKernel: the ranges of IOVAs that devices can use.
#include <linux/vfio.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "vfio/iommufd_abi.h"
#include "vfio/iova_ranges.h"
#include "vfio/kernel_call.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

/// More than the reserved ranges of any machine need.
constexpr size_t kMaxIovaRanges = size_t{1} << 16;

}  // namespace

Result<std::vector<IovaRange>> LinuxKernel::container_iova_ranges(int container) {
  constexpr const char* kName = "VFIO_IOMMU_GET_INFO";
  vfio_iommu_type1_info info{};
  const auto answer = PASSTHRU_TRY(whole_answer(container, VFIO_IOMMU_GET_INFO, info, kName));
  std::memcpy(&info, answer.data(), sizeof info);
  return parse_iova_ranges(answer, (info.flags & VFIO_IOMMU_INFO_CAPS) != 0 ? info.cap_offset : 0);
}

Result<std::vector<IovaRange>> LinuxKernel::ioas_iova_ranges(int iommufd, uint32_t ioas) {
  constexpr const char* kName = "IOMMU_IOAS_IOVA_RANGES";
  static_assert(sizeof(IovaRange) == 2 * sizeof(uint64_t));
  std::vector<IovaRange> ranges(16);
  for (;;) {
    abi::IoasIovaRanges query{.size = sizeof query,
                              .ioas = ioas,
                              .count = static_cast<uint32_t>(ranges.size()),
                              .reserved = 0,
                              .ranges = reinterpret_cast<uintptr_t>(ranges.data()),
                              .alignment = 0};
    const auto asked = kernel_call(iommufd, abi::kIoasIovaRanges, &query, kName);
    if (query.count > kMaxIovaRanges) return fail(EPROTO, kName, "the answer has too many ranges");
    // EMSGSIZE gives the number of ranges. It may grow until the next call, but not forever.
    if (!asked && asked.error().code == EMSGSIZE && query.count > ranges.size()) {
      ranges.resize(query.count);
      continue;
    }
    if (!asked) return tl::unexpected(asked.error());
    ranges.resize(std::min<size_t>(query.count, ranges.size()));
    if (!ascending(ranges)) return fail(EBADMSG, kName, "the ranges are not ascending");
    return ranges;
  }
}

}  // namespace passthru
