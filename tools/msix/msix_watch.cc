// SPDX-License-Identifier: MIT
// `passthru msix watch`: a device's vectors live, like top; in a pipe as lines; or as JSON, a
// document per sample.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tools/commands.h"
#include "tools/devices/device_words.h"
#include "tools/json.h"
#include "tools/msix/msix_commands.h"
#include "tools/msix/msix_view.h"
#include "tools/msix/watch_lines.h"
#include "tools/terminal.h"

namespace passthru::tools {
namespace {

constexpr const char* kMsixWatchFooter =
    "Shows the rate and the verdict of each vector. Vectors that have just\n"
    "started, stopped or changed are highlighted; damaged vectors are at the\n"
    "top. Keys: space pauses, s sorts by rate, vector or latency, q quits,\n"
    "Ctrl-Z suspends. A narrow terminal loses columns. In a pipe, and with\n"
    "TERM=dumb, prints at once a line for each vector that ever fired or is\n"
    "damaged, without a rate. After each interval, prints a line for each vector\n"
    "that fired or changed. p50 and p99 are upper limits, in ns.\n"
    "The guest continues as before. With --latency, its interrupts pass through\n"
    "the VMM's forwarder, which times them, until the command ends.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru msix watch 0000:01:00.0\n"
    "  sudo passthru msix watch 0000:01:00.0 --latency --count 10 |\n"
    "    grep '^vector 3 '\n"
    "  sudo passthru msix watch 0000:01:00.0 --json |\n"
    "    jq '.vectors[] | {index, rate}'";

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr size_t kRows = 24;  // if the terminal's size is unknown
// The lines above the table, and the cursor's line below it.
constexpr size_t kHeaderRows = 3;

struct WatchOptions {
  std::string device{};
  VmmChoice vmm{};
  double seconds = 1;
  unsigned count = 0;  ///< 0: until stopped
  bool latency = false;
  bool json = false;
};

Result<WatchSample> look(const Sysfs& sysfs, Bdf bdf, VmmClient* vmm) {
  const MsixView view = PASSTHRU_TRY(look_at_msix(sysfs, bdf, vmm, Idle::Leave));
  WatchSample sample{.time = std::chrono::steady_clock::now()};
  for (const MsixRow& row : view.rows) {
    const VectorInspection& seen = row.vector;
    WatchedVector vector{.index = seen.index, .verdict = seen.verdict, .damaged = seen.damaged};
    if (row.host) vector.count = row.host->count();
    if (row.reported) {
      vector.count = seen.delivered;
      vector.owner = seen.owner;
      if (seen.forwarded) vector.latency = seen.forwarded->latency_log2_ns;
    }
    sample.vectors.push_back(vector);
  }
  return sample;
}

/// A watched device and its last samples.
class VectorWatch {
 public:
  enum class As { Screen, Lines, Json };

  VectorWatch(Bdf bdf, std::optional<VmmClient> vmm, As as)
      : bdf_(bdf), vmm_(std::move(vmm)), as_(as) {}

  Result<void> begin(bool latency) {
    if (latency && !vmm_) {
      return tl::unexpected(
          Error{.code = ENODEV, .operation = "time the interrupts", .device = bdf_.str()}
              .because("no VMM with an inspect socket has it")
              .advise("Leave out --latency, or start the guest with 'passthru run --inspect'"));
    }
    latency_ = latency;
    before_ = PASSTHRU_TRY(look_and_time());
    lines_ = compare(before_, before_, {}, order_);
    return {};
  }

  Result<void> update() {
    WatchSample now = PASSTHRU_TRY(look_and_time());
    lines_ = compare(before_, now, lines_, order_);
    if (as_ == As::Json) json_ = watch_json(bdf_.str(), before_, now, lines_);
    before_ = std::move(now);
    // Only now: the first sample has the time that is left from the search.
    if (vmm_) vmm_->renew_patience();
    return {};
  }

  /// Returns false, with errno, if the output cannot be written.
  [[nodiscard]] bool print(Terminal& terminal, bool paused) {
    if (as_ == As::Screen) return terminal.draw(screen(paused));
    if (as_ == As::Json) fmt::print("{}", json_line(json_));
    if (as_ == As::Lines) print_wrapped(plain_lines(lines_));
    return std::fflush(stdout) == 0;
  }

  void sort_otherwise() {
    order_ = static_cast<WatchOrder>((static_cast<int>(order_) + 1) % 3);
    sort_lines(lines_, order_);
  }

 private:
  [[nodiscard]] std::string screen(bool paused) const {
    const auto columns = terminal_columns();
    const size_t rows = std::max(terminal_rows().value_or(kRows), kHeaderRows) - kHeaderRows;
    return title_of(bdf_.str(), order_, paused, columns) + "\n\n" +
           table_of(lines_, true, rows, columns);
  }

  VmmClient* client() { return vmm_ ? &*vmm_ : nullptr; }

  // Asks again each time, so that the VMM also times vectors that came into use meanwhile.
  Result<WatchSample> look_and_time() {
    if (latency_) {
      static_cast<void>(
          PASSTHRU_TRY(vmm_->ask({{"request", "watch"}, {"device", bdf_.str()}, {"on", true}})));
    }
    return look(sysfs_, bdf_, client());
  }

  const Bdf bdf_;
  const Sysfs sysfs_;
  std::optional<VmmClient> vmm_;
  const As as_;
  Json json_;
  WatchSample before_;
  std::vector<WatchLine> lines_;
  WatchOrder order_ = WatchOrder::Rate;
  bool latency_ = false;
};

int run(const WatchOptions& options) {
  const auto bdf = device_of(Sysfs(), options.device);
  if (!bdf) return wrong_usage(bdf.error());
  auto vmm = find_vmm(*bdf, options.vmm);
  if (!vmm) return report_error(vmm.error());
  using As = VectorWatch::As;
  const As as = options.json ? As::Json : takes_escapes() ? As::Screen : As::Lines;
  VectorWatch watch(*bdf, std::move(*vmm), as);
  if (const auto begun = watch.begin(options.latency); !begun) return report_error(begun.error());

  const StopFlag stop;
  Result<void> done;
  {
    Terminal terminal(as == As::Screen);
    bool paused = false;
    const auto interval = milliseconds(static_cast<int64_t>(options.seconds * 1000));
    auto next = Clock::now() + interval;  // keys do not delay it
    // The first look is shown at once. As JSON, there are only differences between two looks.
    bool shows = as != As::Json;
    for (unsigned shown = 0;;) {
      if (shows && !watch.print(terminal, paused)) {
        if (errno != EPIPE) done = fail(errno, "write the output");  // EPIPE: the reader is gone
        break;
      }
      if (options.count != 0 && shown == options.count) break;
      const auto left = std::chrono::ceil<milliseconds>(next - Clock::now());
      const auto key = terminal.key(std::max(left, milliseconds(0)));
      if (StopFlag::is_set() || key == 'q') break;
      if (key == ' ') paused = !paused;
      if (key == 's') watch.sort_otherwise();
      const bool due = Clock::now() >= next;
      if (due) next = Clock::now() + interval;
      shows = terminal.take_redraw() || due || key;
      if (!due || paused) continue;
      done = watch.update();
      if (!done) break;
      ++shown;
    }
  }
  return done ? kDone : report_error(done.error());
}

}  // namespace

void add_msix_watch(CLI::App& msix, int& status) {
  CLI::App* command = msix.add_subcommand("watch", "Show the rate of each vector, live");
  const auto options = std::make_shared<WatchOptions>();
  command->add_option("DEVICE", options->device, kDeviceHelp)->type_name("")->required();
  add_socket_options(*command, options->vmm);
  command->add_option("--interval", options->seconds, "Seconds between two samples")
      ->transform(decimal_from(0.05, 3600))
      ->type_name("SECONDS")
      ->capture_default_str();
  command->add_option("--count", options->count, "End after N samples (default: run until stopped)")
      ->transform(number_from(0, std::numeric_limits<unsigned>::max()))
      ->type_name("N");
  command->add_flag("--latency", options->latency, "Measure the latency of interrupts too");
  command->add_flag("--json", options->json, kJsonLinesHelp);
  command->footer(kMsixWatchFooter);
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace passthru::tools
