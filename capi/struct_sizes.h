// SPDX-License-Identifier: MIT
// The sizes that the structs of the C interface had in the version that introduced them. A program
// of that version gives these sizes for ever.
#pragma once

#include <cstddef>

#include "passthru/passthru.h"

namespace passthru {

constexpr size_t kCallbacksSize = 168;
constexpr size_t kDomainOptionsSize = 8;
constexpr size_t kKvmOptionsSize = 32;
constexpr size_t kDeviceOptionsSize = 72;
constexpr size_t kBarInfoSize = 24;
constexpr size_t kDescriptorsSize = 24;

static_assert(sizeof(passthru_callbacks) == kCallbacksSize);
static_assert(sizeof(passthru_domain_options) == kDomainOptionsSize);
static_assert(sizeof(passthru_kvm_options) == kKvmOptionsSize);
static_assert(sizeof(passthru_device_options) == kDeviceOptionsSize);
static_assert(sizeof(passthru_bar_info) == kBarInfoSize);
static_assert(sizeof(passthru_descriptors) == kDescriptorsSize);
// Structs without a size never change.
static_assert(sizeof(passthru_message) == 16);
static_assert(sizeof(passthru_range) == 16);
static_assert(sizeof(passthru_kvm_route) == 24);
static_assert(sizeof(passthru_span) == 40);
// The library writes it, so a program may know a shorter one.
static_assert(sizeof(passthru_event) == 32);

}  // namespace passthru
