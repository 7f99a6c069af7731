// SPDX-License-Identifier: MIT
// The update of the tree after a burst of events: a switch and each function behind it have events
// of their own.
#include "tools/topology/topology_watch.h"

#include <poll.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "pci/pci_names.h"
#include "pci/topology.h"
#include "pci/uevents.h"
#include "tools/commands.h"
#include "tools/printable.h"
#include "tools/terminal.h"
#include "tools/topology/topology_output.h"

namespace passthru::tools {
namespace {

constexpr int kQuietMilliseconds = 100;
constexpr unsigned kMaxBurst = 256;

/// Returns the nearest bridge in front of the function that still exists.
std::optional<size_t> nearest_now(const Topology& before, const Topology& now, Bdf bdf) {
  if (const auto node = now.find(bdf)) {
    const auto& bridge = now.nodes[*node].bridge;
    return bridge ? bridge : node;
  }
  const auto gone = before.find(bdf);
  if (!gone) return std::nullopt;
  for (auto bridge = before.nodes[*gone].bridge; bridge; bridge = before.nodes[*bridge].bridge) {
    if (const auto still = now.find(before.nodes[*bridge].function.bdf)) return still;
  }
  return std::nullopt;
}

class Watch {
 public:
  Watch(const Sysfs& sysfs, Uevents& events, bool json)
      : sysfs_(sysfs), events_(events), json_(json) {}

  /// Runs until an error.
  Result<void> run() {
    tree_ = PASSTHRU_TRY(read_topology(sysfs_));
    PASSTHRU_TRY(show(all_nodes(tree_)));
    while (true) {
      const Burst burst = PASSTHRU_TRY(next_burst());
      Topology now = PASSTHRU_TRY(read_topology(sysfs_));
      std::set<size_t> concerned;
      for (const Bdf bdf : burst.changed) {
        const auto nearest = nearest_now(tree_, now, bdf);
        if (!nearest) continue;
        for (const size_t node : now.subtree(*nearest)) concerned.insert(node);
      }
      tree_ = std::move(now);
      PASSTHRU_TRY(show(burst.lost ? all_nodes(tree_) : concerned));
    }
  }

 private:
  struct Burst {
    std::set<Bdf> changed{};
    bool lost = false;  ///< the kernel has dropped events
  };

  /// Prints events until no event comes for a moment.
  Result<Burst> next_burst() {
    Burst burst;
    for (unsigned told = 0; told < kMaxBurst;) {
      pollfd readable{.fd = events_.fd(), .events = POLLIN, .revents = 0};
      if (::poll(&readable, 1, told == 0 ? -1 : kQuietMilliseconds) == 0) break;
      auto event = events_.receive();
      if (!event && event.error().code == ENOBUFS) {
        PASSTHRU_TRY(say(json_ ? json_line({{"event", "lost"}})
                               : "some events were lost; the tree is now:\n"));
        burst.lost = true;
        ++told;
        continue;
      }
      const auto what = PASSTHRU_TRY(std::move(event));
      if (!what) continue;
      PASSTHRU_TRY(say(json_ ? json_line(event_json(*what)) : event_text(*what)));
      burst.changed.insert(what->bdf);
      ++told;
    }
    return burst;
  }

  Result<void> show(const std::set<size_t>& nodes) {
    if (json_) {
      Json json = {{"event", "topology"}};
      json.update(topology_json(tree_, nodes, names_));
      return say(json_line(json));
    }
    return say(topology_text(tree_, nodes, names_) + faults_text(tree_));
  }

  // A terminal that was resized wraps the lines that come after it.
  [[nodiscard]] Result<void> say(const std::string& text) const {
    constexpr size_t kHang = 2;
    const auto columns = json_ ? std::nullopt : terminal_columns();
    const std::string lines = wrapped_lines(printable_lines(text), columns, kHang);
    if (std::fputs(lines.c_str(), stdout) == EOF) return fail(errno, "write the output");
    return {};
  }

  const Sysfs& sysfs_;
  Uevents& events_;
  const bool json_;
  const PciNames names_;
  Topology tree_;
};

}  // namespace

int watch_topology(const Sysfs& sysfs, bool json) {
  // By line in a pipe too.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  auto events = Uevents::open();
  if (!events) return report_error(events.error());
  const auto ended = Watch(sysfs, *events, json).run();
  return report_error(ended.error());
}

}  // namespace passthru::tools
