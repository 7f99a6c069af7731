// SPDX-License-Identifier: MIT
// Owns the log of what devices may have written to: a part of DmaSpace, over all the address spaces
// that have a device in them.
#include <unistd.h>

#include <array>
#include <cerrno>

#include "vfio/dma_space.h"

namespace passthru {
namespace {

constexpr std::array kBackends = {Backend::Group, Backend::Cdev};
constexpr size_t kBits = 64;

}  // namespace

Result<void> DmaSpace::start_dirty_log() {
  MutexLock lock(space_mutex_);
  if (dirty_log_) return {};
  for (const Backend backend : kBackends) {
    if (!space(backend).active()) continue;
    auto started = space(backend).log_dirty(true);
    if (started) continue;
    end_dirty_logs();
    return started;
  }
  dirty_log_ = true;
  return {};
}

void DmaSpace::stop_dirty_log() {
  MutexLock lock(space_mutex_);
  if (dirty_log_) end_dirty_logs();
  dirty_log_ = false;
}

void DmaSpace::end_dirty_logs() {
  for (const Backend backend : kBackends) {
    if (!space(backend).active()) continue;
    ignore(space(backend).log_dirty(false),
           "it costs time, and nobody asks; it ends with its space");
  }
}

Result<std::vector<uint64_t>> DmaSpace::dirty_pages(uint64_t iova) {
  MutexLock lock(space_mutex_);
  const char* const operation = "read what devices have written";
  const auto found = memory_.find(iova);
  if (found == memory_.end()) return fail(ENOENT, operation, "no memory was added there");
  if (!dirty_log_) return fail(EINVAL, operation, "it is not logged");
  const Memory& memory = found->second;
  const size_t pages = memory.bytes.size() / static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<uint64_t> dirty((pages + kBits - 1) / kBits);
  if (!memory.writable) return dirty;
  for (const Backend backend : kBackends) {
    if (!memory.in_iommu[static_cast<size_t>(backend)]) continue;
    std::vector<uint64_t> here(dirty.size());
    PASSTHRU_TRY(space(backend).dirty_pages(iova, memory.bytes.size(), here));
    for (size_t word = 0; word < dirty.size(); ++word) dirty[word] |= here[word];
  }
  return dirty;
}

}  // namespace passthru
