// SPDX-License-Identifier: MIT
// Owns the answers to what is asked of a running VM: JSON in, JSON out, no descriptor. Dependent by
// inspect/inspect_server; the requests are described in docs/inspect.md.
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

/// Not thread-safe, and independent of what the devices do meanwhile. Outlived by `domain` and
/// `devices`.
class InspectService {
 public:
  /// Of requests and answers; a member that changes its meaning changes it.
  static constexpr int kVersion = 1;
  static constexpr size_t kMaxRequest = 4096;

  /// What one is answered who may not ask: one JSON document with "error".
  static std::string refusal(const Error& error);

  InspectService(Domain& domain, std::vector<AssignedDevice*> devices)
      : domain_(domain), devices_(std::move(devices)) {}

  /// One who asks. What it watches is watched until it says otherwise or ends.
  class Session {
   public:
    explicit Session(InspectService& service) : service_(service) {}
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// One request, one answer, both one JSON document without a newline. A request that is wrong
    /// or fails is answered with "error". May take as long as the devices' locks are held, and a
    /// second for "trigger".
    std::string answer(std::string_view request);

   private:
    friend class InspectService;
    InspectService& service_;
    std::set<std::pair<Bdf, unsigned>> watched_;
    std::set<Bdf> devices_;  ///< watched whole, also while none of their vectors is in use
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
