// SPDX-License-Identifier: MIT
// The answers to requests about a running VM: JSON in, JSON out, no descriptor. Used by
// inspect/inspect_server. docs/inspect.md describes the requests.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "device/assigned_device.h"
#include "device/domain.h"

namespace passthru {

/// Answers requests of sessions. A single thread at a time creates, uses and destroys the sessions.
/// Any thread may call `add` and `remove`, also while a session answers.
class InspectService {
 public:
  /// The version of requests and answers. It changes when a member changes its meaning.
  static constexpr int kVersion = 1;
  static constexpr size_t kMaxRequest = 4096;

  /// Returns the answer for a client that is refused: one JSON document with "error".
  static std::string refusal(const Error& error);

  /// `domain` must outlive this object. So must `devices`, unless they are removed before.
  InspectService(Domain& domain, const std::vector<AssignedDevice*>& devices);
  InspectService(const InspectService&) = delete;
  InspectService& operator=(const InspectService&) = delete;

  /// Adds a device to those that requests reach. It must outlive this object, unless it is removed
  /// before. Waits for no answer.
  ///
  /// Errors:
  /// - EEXIST: a device with the same PCI address is here, or is still being removed.
  Result<void> add(AssignedDevice& device) PASSTHRU_EXCLUDES(devices_mutex_);

  /// Removes a device, which may then be destroyed. Ends the watches of its vectors in all
  /// sessions. Does nothing if the device is not here.
  ///
  /// Waits until the answer under way no longer uses the device: up to a second for "trigger", and
  /// for the device's locks. Does not wait for an answer about another device. Must not be called
  /// from inside a call of Hypervisor or from inside an access: the answer may wait for that call.
  void remove(AssignedDevice& device) PASSTHRU_EXCLUDES(devices_mutex_);

  /// A client. The vectors that it watches are watched until it stops that or ends.
  class Session {
   public:
    explicit Session(InspectService& service) : service_(service) {}
    ~Session() { service_.end(*this); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Returns the answer to a request. Both are one JSON document without a newline. The answer to
    /// a wrong or failed request has "error". Waits for the devices' locks, and up to a second for
    /// "trigger".
    std::string answer(std::string_view request);
    /// Returns whether it watches a vector or a device.
    [[nodiscard]] bool watches_anything() const { return service_.watches_anything(*this); }

   private:
    InspectService& service_;
  };

 private:
  class Request;

  struct Listed {
    AssignedDevice* device;
    unsigned uses = 0;     ///< by an answer; guarded by devices_mutex_
    bool leaving = false;  ///< `remove` waits for the last use; guarded by devices_mutex_
    /// The number of sessions that watch each vector. Belongs to the thread that uses the device,
    /// and to `remove` after the last use.
    std::map<unsigned, unsigned> watchers{};
  };
  struct Watches {
    std::set<std::pair<Bdf, unsigned>> vectors{};
    std::set<Bdf> devices{};  ///< watched as a whole, even if no vector is in use
    bool marking = false;     ///< has claimed the domain's marks
  };

  struct EndUse {
    InspectService* service;
    void operator()(Listed* listed) const;
  };
  /// A device in use: `remove` waits until this ends. Null: no such device.
  using Use = std::unique_ptr<Listed, EndUse>;
  [[nodiscard]] Use use(Bdf bdf) PASSTHRU_EXCLUDES(devices_mutex_);
  [[nodiscard]] std::vector<Bdf> listed() PASSTHRU_EXCLUDES(devices_mutex_);

  /// The caller uses the device.
  Result<void> watch(const Session& session, Listed& listed, unsigned vector, bool on)
      PASSTHRU_EXCLUDES(devices_mutex_);
  void watch_device(const Session& session, Bdf bdf, bool on) PASSTHRU_EXCLUDES(devices_mutex_);
  [[nodiscard]] bool watches(const Session& session, Bdf bdf, unsigned vector)
      PASSTHRU_EXCLUDES(devices_mutex_);
  [[nodiscard]] bool watches_anything(const Session& session) PASSTHRU_EXCLUDES(devices_mutex_);
  void end(const Session& session) PASSTHRU_EXCLUDES(devices_mutex_);

  [[nodiscard]] Listed* find(Bdf bdf) PASSTHRU_REQUIRES(devices_mutex_);
  [[nodiscard]] Listed* begin_removal(const AssignedDevice& device)
      PASSTHRU_EXCLUDES(devices_mutex_);
  void keep_marks(Watches& watches) PASSTHRU_REQUIRES(devices_mutex_);

  Domain& domain_;
  Mutex devices_mutex_;  ///< protects the list and the sessions' watches; never held in a call of a
                         ///< device that waits
  std::condition_variable_any changed_;  ///< a use or a removal has ended
  std::list<Listed> devices_ PASSTHRU_GUARDED_BY(devices_mutex_);
  std::map<const Session*, Watches> sessions_ PASSTHRU_GUARDED_BY(devices_mutex_);
};

}  // namespace passthru
