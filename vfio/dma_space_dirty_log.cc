// SPDX-License-Identifier: MIT
// DmaSpace: dirty-page tracking, for the memory in its container. An iommufd tracks in its own page
// tables, which takes an IOMMU with dirty tracking (since Linux 6.7).
#include <unistd.h>

#include <cerrno>

#include "vfio/attach_advice.h"
#include "vfio/dma_space.h"

namespace passthru {

Result<void> DmaSpace::start_dirty_log() {
  MutexLock lock(space_mutex_);
  if (ioas_.active()) return tl::unexpected(dirty_log_of_groups_only());
  if (container_.active()) PASSTHRU_TRY(container_.log_dirty(true));
  dirty_log_ = true;
  return {};
}

void DmaSpace::stop_dirty_log() {
  MutexLock lock(space_mutex_);
  if (dirty_log_ && container_.active()) {
    ignore(container_.log_dirty(false),
           "no caller reads the log any longer, and it ends with the last group");
  }
  dirty_log_ = false;
}

Result<std::vector<uint64_t>> DmaSpace::dirty_pages(uint64_t iova) {
  MutexLock lock(space_mutex_);
  const char* const operation = "read the dirty-page log";
  const auto found = memory_.find(iova);
  if (found == memory_.end()) return fail(ENOENT, operation, "no memory was added there");
  if (!dirty_log_) return fail(EINVAL, operation, "the log is off");
  const Memory& memory = found->second;
  constexpr size_t kBitsPerWord = 64;
  const size_t pages = memory.bytes.size() / static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<uint64_t> dirty((pages + kBitsPerWord - 1) / kBitsPerWord);
  if (!memory.writable || !memory.in_iommu[static_cast<size_t>(Backend::Group)]) return dirty;
  PASSTHRU_TRY(container_.dirty_pages(iova, memory.bytes.size(), dirty));
  return dirty;
}

}  // namespace passthru
