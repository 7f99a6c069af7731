// SPDX-License-Identifier: MIT
// The C interface: a device's BARs.
#include <span>
#include <vector>

#include "capi/access_pieces.h"
#include "capi/call_object.h"
#include "capi/sized_struct.h"
#include "capi/struct_sizes.h"

namespace passthru {
namespace {

Result<void> check_bar(uint32_t bar, const char* operation) {
  return require(bar <= kRomBar, operation, "the BAR is above 6");
}

passthru_bar_info to_c(const BarInspection& bar) {
  uint32_t flags = 0;
  if (bar.io) flags |= PASSTHRU_BAR_IO;
  if (bar.is_64bit) flags |= PASSTHRU_BAR_64BIT;
  if (bar.prefetchable) flags |= PASSTHRU_BAR_PREFETCHABLE;
  if (bar.decoded) flags |= PASSTHRU_BAR_DECODED;
  return {.size = 0,
          .flags = flags,
          .bar_size = bar.size,
          .guest_address = bar.decoded ? bar.guest_address : 0};
}

passthru_span to_c(const BarSpanMemory& span) {
  return {.offset = span.offset,
          .size = span.size,
          .memory = span.memory,
          .fd = span.memory != nullptr ? span.fd : -1,
          .reserved = 0,
          .fd_offset = span.memory != nullptr ? span.fd_offset : 0};
}

}  // namespace
}  // namespace passthru

using namespace passthru;

extern "C" {

int passthru_device_bar_info(passthru_device* handle, uint32_t bar, passthru_bar_info* info) {
  constexpr const char* kOperation = "describe a BAR";
  return call_device(handle, kOperation, [=](AssignedDevice& device) -> Result<void> {
    PASSTHRU_TRY(check_bar(bar, kOperation));
    return write_struct(to_c(device.bar_info(bar)), info, kBarInfoSize, kOperation);
  });
}

int passthru_device_bar_spans(passthru_device* handle, uint32_t bar, passthru_span* spans,
                              size_t* count) {
  constexpr const char* kOperation = "describe the parts of a BAR";
  return call_device(handle, kOperation, [=](AssignedDevice& device) -> Result<void> {
    PASSTHRU_TRY(check_bar(bar, kOperation));
    std::vector<passthru_span> parts;
    for (const BarSpanMemory& span : device.bar_spans(bar)) parts.push_back(to_c(span));
    return copy_out(parts, spans, count, kOperation);
  });
}

int passthru_device_bar_read(passthru_device* handle, uint32_t bar, uint64_t offset, void* data,
                             size_t size) {
  constexpr const char* kOperation = "read a BAR";
  const int read = call_device(handle, kOperation, [=](AssignedDevice& device) -> Result<void> {
    PASSTHRU_TRY(check_bar(bar, kOperation));
    PASSTHRU_TRY(require_bytes(data, size, kOperation));
    const std::span bytes(static_cast<std::byte*>(data), size);
    for_each_access(offset, bytes, [&](uint64_t at, std::span<std::byte> piece) {
      device.bar_read(bar, at, piece);
    });
    return {};
  });
  if (read != 0) fill_ones(data, size);
  return read;
}

int passthru_device_bar_write(passthru_device* handle, uint32_t bar, uint64_t offset,
                              const void* data, size_t size) {
  constexpr const char* kOperation = "write a BAR";
  return call_device(handle, kOperation, [=](AssignedDevice& device) -> Result<void> {
    PASSTHRU_TRY(check_bar(bar, kOperation));
    PASSTHRU_TRY(require_bytes(data, size, kOperation));
    const std::span bytes(static_cast<const std::byte*>(data), size);
    for_each_access(offset, bytes, [&](uint64_t at, std::span<const std::byte> piece) {
      device.bar_write(bar, at, piece);
    });
    return {};
  });
}

}  // extern "C"
