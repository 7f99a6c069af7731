// SPDX-License-Identifier: MIT
// The text of `passthru doctor`: the findings, worst first; what fixes them; and the conclusion.
// Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "pci/bdf.h"
#include "prepare/host_checks.h"

namespace passthru::tools {

/// Returns the checks by their answers: no, warn, unknown, ok. Those that no command fixes come
/// before the others with the same answer. Otherwise the order stays, so that the commands can run
/// in it.
std::vector<HostCheck> worst_first(std::vector<HostCheck> checks);

/// Returns "0000:01:00.0 can be assigned", with the checks whose answers are unknown, or
/// "0000:01:00.0 cannot be assigned, because", the worst finding and the number of other causes.
/// Without `device`, it is about the machine.
std::string conclusion(const std::vector<HostCheck>& checks, const std::optional<Bdf>& device);

/// The reader of the text.
struct DoctorReader {
  std::optional<size_t> columns{};  ///< of the terminal; nothing: a pipe, where no line is wrapped
  bool root = true;                 ///< if not, the commands are for sudo
};

/// Returns a line for each check. Then each cause that can be fixed: the names of its checks, what
/// to do, and each command on a line of its own, which is never wrapped. The last line is the
/// conclusion.
std::string doctor_text(const std::vector<HostCheck>& checks, const std::optional<Bdf>& device,
                        const DoctorReader& reader);

}  // namespace passthru::tools
