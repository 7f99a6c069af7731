// SPDX-License-Identifier: MIT
// The filter of the guest's system calls.
#pragma once

/// Makes the kernel refuse system calls to this process and its children, permanently. Needs
/// no_new_privs or CAP_SYS_ADMIN.
void refuse_system_calls();
