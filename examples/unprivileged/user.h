// SPDX-License-Identifier: MIT
// A user of its own for each guest.
#pragma once

#include <cstdint>

/// Returns a user that no process has, and that no other parent gets while this process lives.
uint32_t fresh_user();

/// Refuses a user that a process has. Guests of the same user can signal each other. Without other
/// protection they can also read each other's memory and take each other's devices.
void must_be_unused(uint32_t user);
