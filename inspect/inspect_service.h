// SPDX-License-Identifier: MIT
// The answers to requests about a running VM: JSON in, JSON out, no descriptor. Used by
// inspect/inspect_server. docs/inspect.md describes the requests.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/assigned_device.h"
#include "device/domain.h"

namespace passthru {

/// Answers requests. Not thread-safe. The devices may change meanwhile. `domain` and `devices` must
/// outlive it.
class InspectService {
 public:
  /// The version of requests and answers. It changes when a member changes its meaning.
  static constexpr int kVersion = 1;
  static constexpr size_t kMaxRequest = 4096;

  /// Returns the answer for a client that is refused: one JSON document with "error".
  static std::string refusal(const Error& error);

  InspectService(Domain& domain, std::vector<AssignedDevice*> devices)
      : domain_(domain), devices_(std::move(devices)) {}

  /// A client. The vectors that it watches are watched until it stops that or ends.
  class Session {
   public:
    explicit Session(InspectService& service) : service_(service) {}
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Returns the answer to a request. Both are one JSON document without a newline. The answer to
    /// a wrong or failed request has "error". Waits for the devices' locks, and up to a second for
    /// "trigger".
    std::string answer(std::string_view request);

   private:
    friend class InspectService;
    InspectService& service_;
    std::set<std::pair<Bdf, unsigned>> watched_;
    std::set<Bdf> devices_;  ///< watched as a whole, even if no vector is in use
    bool marking_ = false;   ///< has claimed the domain's marks
  };

 private:
  class Request;
  [[nodiscard]] AssignedDevice* find(Bdf bdf) const;
  Result<void> watch(Session& session, Bdf bdf, unsigned vector, bool on);
  void keep_marks(Session& session);

  Domain& domain_;
  const std::vector<AssignedDevice*> devices_;
  std::map<std::pair<Bdf, unsigned>, unsigned> watchers_;  ///< sessions that watch a vector
};

}  // namespace passthru
