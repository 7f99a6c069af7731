// SPDX-License-Identifier: MIT
// The metrics of `passthru msix audit --format=prometheus`. Pure.
#pragma once

#include <string>
#include <vector>

#include "tools/msix/msix_view.h"

namespace passthru::tools {

/// In the text format of Prometheus, version 0.0.4: all samples of a metric together.
std::string msix_metrics(const std::vector<MsixView>& views);

}  // namespace passthru::tools
