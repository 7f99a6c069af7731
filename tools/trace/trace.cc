// SPDX-License-Identifier: MIT
// `passthru trace`: records the interrupts of a running guest's device in a file.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "pci/sysfs.h"
#include "tools/commands.h"
#include "tools/devices/device_words.h"
#include "tools/terminal.h"
#include "tools/trace/trace_file.h"
#include "tools/trace/trace_summary.h"
#include "tools/vmm_client.h"

namespace passthru::tools {
namespace {

constexpr const char* kTraceFooter =
    "Open the file with https://ui.perfetto.dev or chrome://tracing. A track is\n"
    "a vector. A slice is an interrupt, from when the VMM saw it to when the\n"
    "guest had it. Marks show when the guest masks and unmasks, vectors are\n"
    "restored, the device is reset, and its BARs move.\n"
    "During the trace the interrupts pass through the VMM's forwarder, which\n"
    "costs a few microseconds each. Ctrl-C ends the trace.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru trace 0000:01:00.0 -o nic.json --seconds 5\n"
    "  sudo passthru trace 0000:01:00.0 -o nic.json --seconds 5 --json |\n"
    "    jq .marks";

using Clock = std::chrono::steady_clock;
// The VMM keeps 4,096 interrupts: up to 80,000 a second, the trace is complete.
constexpr std::chrono::milliseconds kPause{50};

struct TraceOptions {
  std::string device{};
  std::string file{};
  VmmChoice vmm{};
  double seconds = 0;  // 0: until Ctrl-C
  bool force = false;
  bool json = false;
};

/// The VMM's own counters of the vectors that it forwards.
using Counters = std::map<unsigned, uint64_t>;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Tracer {
 public:
  Tracer(Bdf bdf, VmmClient vmm, TraceFile file)
      : bdf_(bdf), vmm_(std::move(vmm)), file_(std::move(file)) {}

  Result<void> begin() {
    before_ = PASSTHRU_TRY(counters());
    // Skips the interrupts and marks from before the trace.
    const auto now = PASSTHRU_TRY(
        vmm_.ask({{"request", "trace"}, {"after", UINT64_MAX}, {"marks_after", UINT64_MAX}}));
    next_ = PASSTHRU_TRY(vmm_.member(now, "next", uint64_t{0}));
    marks_next_ = PASSTHRU_TRY(vmm_.member(now, "marks_next", uint64_t{0}));
    return watch(true);
  }

  /// Writes the interrupts and marks since the last call to the file.
  Result<void> collect() {
    const auto answer = PASSTHRU_TRY(
        vmm_.ask({{"request", "trace"}, {"after", next_}, {"marks_after", marks_next_}}));
    try {
      PASSTHRU_TRY(file_.add(answer, bdf_.str(), name_));
      next_ = answer.at("next").get<uint64_t>();
      marks_next_ = answer.at("marks_next").get<uint64_t>();
    } catch (const nlohmann::json::exception& error) {
      return tl::unexpected(vmm_.not_understood(error.what()));
    }
    return {};
  }

  void renew_patience() { vmm_.renew_patience(); }

  Result<void> watch(bool on) {
    const auto answer =
        PASSTHRU_TRY(vmm_.ask({{"request", "watch"}, {"device", bdf_.str()}, {"on", on}}));
    watched_ |= on && !PASSTHRU_TRY(vmm_.member(answer, "vectors", nlohmann::json())).empty();
    return {};
  }

  /// Ends the watch and finishes the file. The VMM keeps marks only while it watches vectors: this
  /// fetches marks before the end of the watch, and the last interrupts after it.
  Result<void> end() {
    PASSTHRU_TRY(collect());
    PASSTHRU_TRY(watch(false));
    PASSTHRU_TRY(collect());
    for (const auto& [vector, count] : PASSTHRU_TRY(counters())) {
      const uint64_t came = count - std::min(before_[vector], count);
      if (came != 0) delivered_[vector] = came;
    }
    nlohmann::json delivered = nlohmann::json::array();
    for (const auto& [vector, came] : delivered_) {
      delivered.push_back({{"vector", vector}, {"delivered", came}});
    }
    return file_.finish({{"device", bdf_.str()},
                         {"name", name_},
                         {"vectors", delivered},
                         {"lost", file_.counts().lost}});
  }

  /// Finishes the file after an error, for example the end of the VMM. After a failed write no file
  /// appears, which the summary reports.
  void end_early(const Error& why) {
    ignore(file_.finish({{"device", bdf_.str()}, {"name", name_}, {"ended", why.message()}}),
           "the caller reports the first error");
  }

  [[nodiscard]] TraceSummary summary() const {
    return {.device = bdf_.str(),
            .name = name_,
            .counts = file_.counts(),
            .delivered = delivered_,
            .watched = watched_,
            .whole = file_.is_whole()};
  }

 private:
  Result<Counters> counters() {
    Counters counters;
    for (const Inspection& inspection : PASSTHRU_TRY(vmm_.inspect(bdf_))) {
      name_ = inspection.name;
      for (const VectorInspection& vector : inspection.vectors) {
        if (vector.forwarded) counters[vector.index] = vector.forwarded->delivered;
      }
    }
    return counters;
  }

  const Bdf bdf_;
  VmmClient vmm_;
  TraceFile file_;
  std::string name_;
  Counters before_;
  Counters delivered_;  ///< while it was traced
  bool watched_ = false;
  uint64_t next_ = 0;
  uint64_t marks_next_ = 0;
};

Result<void> trace(Tracer& tracer, double seconds) {
  const auto start = Clock::now();
  while (!StopFlag::is_set() && (seconds <= 0 || seconds_since(start) < seconds)) {
    std::this_thread::sleep_for(kPause);
    PASSTHRU_TRY(tracer.watch(true));
    PASSTHRU_TRY(tracer.collect());
    tracer.renew_patience();
  }
  return tracer.end();
}

int run(const TraceOptions& options) {
  const auto bdf = device_of(Sysfs(), options.device);
  if (!bdf) return wrong_usage(bdf.error());
  if (const auto function = Sysfs().function(*bdf); !function)
    return report_error(function.error());
  auto vmm = need_vmm(*bdf, options.vmm);
  if (!vmm) return report_error(vmm.error());
  const StopFlag stop;  // from here on, Ctrl-C finishes the file
  using Existing = OutputFile::Existing;
  auto file = TraceFile::create(options.file, options.force ? Existing::Replace : Existing::Keep);
  if (!file) return report_error(file.error());
  Tracer tracer(*bdf, std::move(*vmm), std::move(*file));
  auto done = tracer.begin();
  const bool begun = done.has_value();
  const auto start = Clock::now();
  if (done) done = trace(tracer, options.seconds);
  // Without a trace, an older file stays.
  if (!done && begun) tracer.end_early(done.error());
  TraceSummary summary = tracer.summary();
  summary.file = options.file;
  summary.seconds = seconds_since(start);
  if (!done) summary.ended = done.error().message();
  if (options.json) {
    print_json(trace_json(summary));
  } else if (begun) {
    print_wrapped(trace_text(summary));
  }
  return done ? kDone : report_error(done.error());
}

}  // namespace

CLI::App* add_trace(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("trace", "Record the interrupts of a running guest's device");
  const auto options = std::make_shared<TraceOptions>();
  command->add_option("DEVICE", options->device, kDeviceHelp)->type_name("")->required();
  command
      ->add_option("-o,--output", options->file, "File to write, complete at the end of the trace")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--seconds", options->seconds, "Duration of the trace (default: until Ctrl-C)")
      ->transform(decimal_from(0.05, 86'400))
      ->type_name("SECONDS");
  command->add_flag("--force", options->force, "Replace FILE if it exists");
  add_socket_options(*command, options->vmm);
  command->add_flag("--json", options->json,
                    "Print a summary of the file as JSON; docs/json.md describes its members");
  command->footer(kTraceFooter);
  command->callback([options, &status] { status = run(*options); });
  return command;
}

}  // namespace passthru::tools
