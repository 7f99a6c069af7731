// SPDX-License-Identifier: MIT
// InspectService: the requests.
#include "inspect/inspect_service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "inspect/inspection_json.h"
#include "inspect/trace_json.h"
#include "irq/trace_label.h"

namespace passthru {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kMaxTrigger{1};
constexpr std::chrono::microseconds kTriggerPause{200};
// A vector whose signals stay unread is armed again at the second check in a row.
constexpr std::chrono::milliseconds kBetweenLooks{10};
constexpr unsigned kLooks = 2;

Json failed(const Error& error) {
  return {{"error", error.message()}, {"errno", error.code}};
}

std::string as_text(Json answer) {
  answer["version"] = InspectService::kVersion;
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

/// One request of one session, checked member by member.
class InspectService::Request {
 public:
  Request(InspectService& service, const Session& session, const Json& json)
      : service_(service), session_(session), json_(json) {}

  Result<Json> answer() {
    const std::string kind = PASSTHRU_TRY(text("request"));
    if (kind == "list") return list();
    if (kind == "inspect") return inspect();
    if (kind == "watch") return watch();
    if (kind == "trace") return trace();
    if (kind == "trigger") return trigger();
    if (kind == "heal") return heal();
    return fail(EINVAL, "answer a request",
                "\"request\" must be list, inspect, watch, trace, trigger or heal");
  }

 private:
  [[nodiscard]] Result<std::string> text(const char* name) const {
    const auto member = json_.find(name);
    if (member != json_.end() && member->is_string()) return member->get<std::string>();
    return fail(EINVAL, "answer a request", fmt::format("the request has no string \"{}\"", name));
  }

  [[nodiscard]] Result<uint64_t> number(const char* name, std::optional<uint64_t> missing) const {
    const auto member = json_.find(name);
    if (member != json_.end() && member->is_number_unsigned()) return member->get<uint64_t>();
    if (member == json_.end() && missing) return *missing;
    return fail(EINVAL, "answer a request",
                fmt::format("the request has no unsigned number \"{}\"", name));
  }

  [[nodiscard]] Result<Use> device() const {
    const std::string name = PASSTHRU_TRY(text("device"));
    const Bdf bdf = PASSTHRU_TRY(Bdf::parse(name));
    if (Use device = service_.use(bdf); device != nullptr) return device;
    return tl::unexpected(
        Error{.code = ENODEV, .operation = "answer a request", .device = bdf.str()}.because(
            "this VM does not have the device"));
  }

  /// Takes no device's lock: every command sends this request to every VMM, to find its device.
  Result<Json> list() {
    Json devices = Json::array();
    for (const Bdf each : service_.listed()) devices.push_back(each.str());
    return Json{{"pid", ::getpid()}, {"devices", std::move(devices)}};
  }

  Result<Json> inspect() {
    Json devices = Json::array();
    if (json_.contains("device")) {
      const Use target = PASSTHRU_TRY(device());
      devices.push_back(target->device->inspect());
    } else {
      // One after the other, so that a device can be removed while another is slow.
      for (const Bdf bdf : service_.listed()) {
        if (const Use each = service_.use(bdf)) devices.push_back(each->device->inspect());
      }
    }
    return Json{{"pid", ::getpid()}, {"devices", std::move(devices)}};
  }

  /// Watches one vector, or all that have an interrupt of the host.
  Result<Json> watch() {
    const Use target = PASSTHRU_TRY(device());
    const Bdf bdf = target->device->bdf();
    const auto on = json_.find("on");
    if (on == json_.end() || !on->is_boolean()) {
      return fail(EINVAL, "answer a request", "the request has no boolean \"on\"");
    }
    std::vector<unsigned> vectors;
    if (json_.contains("vector")) {
      vectors.push_back(vector_of(PASSTHRU_TRY(number("vector", {}))));
    } else {
      service_.watch_device(session_, bdf, *on);
      for (const VectorInspection& each : target->device->inspect().vectors) {
        const bool watched = service_.watches(session_, bdf, each.index);
        if (*on ? each.bound : watched) vectors.push_back(each.index);
      }
    }
    for (const unsigned vector : vectors) {
      PASSTHRU_TRY(service_.watch(session_, *target, vector, *on));
    }
    return Json{{"vectors", vectors}};
  }

  Result<Json> trace() {
    const uint64_t after = PASSTHRU_TRY(number("after", 0));
    const uint64_t marks_after = PASSTHRU_TRY(number("marks_after", 0));
    const auto interrupts = service_.domain_.interrupts().trace_since(after);
    const auto marks = service_.domain_.marks().since(marks_after);
    return trace_json(interrupts, marks, Clock::now());
  }

  /// Triggers a vector. Watches it meanwhile, to see the interrupt arrive.
  Result<Json> trigger() {
    const Use target = PASSTHRU_TRY(device());
    const unsigned vector = vector_of(PASSTHRU_TRY(number("vector", {})));
    const bool watched = service_.watches(session_, target->device->bdf(), vector);
    PASSTHRU_TRY(service_.watch(session_, *target, vector, true));
    auto answer = trigger_watched(*target->device, vector);
    if (!watched) PASSTHRU_TRY(service_.watch(session_, *target, vector, false));
    return answer;
  }

  Result<Json> trigger_watched(AssignedDevice& target, unsigned vector) {
    auto& interrupts = service_.domain_.interrupts();
    uint64_t next = interrupts.trace_since(UINT64_MAX).next;
    const auto start = Clock::now();
    const uint64_t refused = refused_messages(target, vector);
    PASSTHRU_TRY(target.trigger(vector));
    auto next_look = start + kBetweenLooks;
    const TraceLabel label{.device = target.bdf(), .vector = static_cast<uint16_t>(vector)};
    while (Clock::now() - start < kMaxTrigger) {
      deliver_on_this_thread();
      const auto slice = interrupts.trace_since(next);
      next = slice.next;
      for (const TraceEntry& each : slice.entries) {
        if (each.label != label.packed() || each.time < start) continue;
        if (refused_messages(target, vector) != refused) {
          return tl::unexpected(Error{.code = EIO,
                                      .operation = "trigger a vector",
                                      .device = target.bdf().str(),
                                      .index = vector,
                                      .cause = "the VMM or KVM refused the vector's message"});
        }
        return Json{{"arrived", true}, {"latency_ns", (each.time - start).count()}};
      }
      // A masked vector delivers nothing. Check rarely: the check takes the device's locks.
      if (Clock::now() >= next_look) {
        if (is_pending(target, vector)) break;
        next_look = Clock::now() + kBetweenLooks;
      }
      std::this_thread::sleep_for(kTriggerPause);
    }
    return Json{{"arrived", false}, {"pending", is_pending(target, vector)}};
  }

  /// Delivers what is due if a loop of the VMM drives both the forwarder and the inspect socket.
  /// Nothing else delivers then.
  void deliver_on_this_thread() {
    const auto forwarder = service_.domain_.interrupts().forwarder();
    if (forwarder) ignore((*forwarder)->run_once(), "another thread drives it");
  }

  /// Returns how many deliveries of the forwarder failed.
  static uint64_t refused_messages(const AssignedDevice& target, unsigned vector) {
    const Inspection inspection = target.inspect();
    if (vector >= inspection.vectors.size()) return 0;
    const auto& forwarded = inspection.vectors[vector].forwarded;
    return forwarded ? forwarded->sink_failed : 0;
  }

  /// Returns whether the vector is pending. The guest may have fewer vectors by now.
  static bool is_pending(const AssignedDevice& target, unsigned vector) {
    const Inspection inspection = target.inspect();
    return vector < inspection.vectors.size() && inspection.vectors[vector].pending;
  }

  Result<Json> heal() {
    const Use target = PASSTHRU_TRY(device());
    uint64_t restored = 0;
    for (unsigned look = 0; look < kLooks; ++look) {
      if (look != 0) std::this_thread::sleep_for(kBetweenLooks);
      restored += PASSTHRU_TRY(target->device->check_health());
    }
    return Json{{"restored", restored}};
  }

  /// Limits a number from a request. No device has more than 2,048 vectors, so a larger number fits
  /// no vector.
  static unsigned vector_of(uint64_t number) {
    return static_cast<unsigned>(std::min<uint64_t>(number, UINT16_MAX));
  }

  InspectService& service_;
  const Session& session_;
  const Json& json_;
};

std::string InspectService::refusal(const Error& error) {
  return as_text(failed(error));
}

std::string InspectService::Session::answer(std::string_view request) {
  Json answer;
  const Json json = Json::parse(request, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    answer = failed({.code = EINVAL,
                     .operation = "answer a request",
                     .cause = "the request is not a JSON object",
                     .advice = "See docs/inspect.md"});
  } else if (auto done = Request(service_, *this, json).answer(); done) {
    answer = std::move(*done);
  } else {
    answer = failed(done.error());
  }
  return as_text(std::move(answer));
}

}  // namespace passthru
