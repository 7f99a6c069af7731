// SPDX-License-Identifier: MIT
// The system calls that the guest's process is refused.
#pragma once

/// Has the kernel refuse them to this process and to all that it starts, for good. It needs
/// no_new_privs or CAP_SYS_ADMIN.
void refuse_system_calls();
