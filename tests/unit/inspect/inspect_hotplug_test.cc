// SPDX-License-Identifier: MIT
// Tests of devices that are added to the inspect service and removed from it while it answers.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "inspect/inspect_service.h"
#include "tests/unit/inspect/inspect_fixture.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

class InspectHotplug : public InspectFixture {
 protected:
  void SetUp() override {
    InspectFixture::SetUp();
    plug(kSecond);
    open_second();
    service.emplace(domain, devices());
    session.emplace(*service);
  }
  void open_second() {
    auto opened = AssignedDevice::open(
        domain, {.device = kSecond.bdf, .guest_address = {.device = kSecond.bdf.device}});
    ASSERT_TRUE(opened) << opened.error().message();
    second = std::move(*opened);
  }
  Json ask(const Json& request) { return Json::parse(session->answer(request.dump())); }
  Json listed() { return ask({{"request", "list"}})["devices"]; }
  static Json watch(const AssignedDevice& device, bool on = true) {
    return {{"request", "watch"}, {"device", device.bdf().str()}, {"on", on}};
  }
  EventfdOwner owner(unsigned vector) { return device->inspect().vectors[vector].owner; }
  /// Returns whether the domain keeps marks.
  bool keeps_marks() {
    const uint64_t before = domain.marks().since(0).next;
    domain.marks().add(TraceMark::Kind::Reset, device->bdf());
    return domain.marks().since(0).next != before;
  }

  const FakeSpec kSecond = FakeSpec::nvme({0, 0, 9, 0}, 9);
  std::unique_ptr<AssignedDevice> second;
  std::optional<InspectService> service;
  std::optional<InspectService::Session> session;
};

TEST_F(InspectHotplug, AnAddedDeviceIsListedAndARemovedDeviceIsNot) {
  const std::string first_bdf = device->bdf().str();
  const std::string second_bdf = second->bdf().str();
  EXPECT_EQ(listed(), Json::array({first_bdf}));
  ASSERT_TRUE(service->add(*second));
  EXPECT_EQ(listed(), Json::array({first_bdf, second_bdf}));
  EXPECT_EQ(ask({{"request", "inspect"}})["devices"].size(), 2U);
  EXPECT_EQ(ask({{"request", "inspect"}, {"device", second_bdf}})["devices"].size(), 1U);

  service->remove(*device);
  device.reset();
  EXPECT_EQ(listed(), Json::array({second_bdf}));
  EXPECT_EQ(ask({{"request", "inspect"}})["devices"].size(), 1U);
  for (const char* kind : {"inspect", "heal", "trigger", "watch"}) {
    const Json answer =
        ask({{"request", kind}, {"device", first_bdf}, {"vector", 0}, {"on", true}});
    EXPECT_EQ(answer["errno"], ENODEV) << kind;
  }
}

TEST_F(InspectHotplug, NoVectorOfARemovedDeviceIsWatched) {
  InspectService::Session other(*service);
  EXPECT_EQ(ask(watch(*device))["vectors"], (Json{0, 1}));
  other.answer(watch(*device).dump());
  EXPECT_EQ(owner(0), EventfdOwner::Forwarder);
  EXPECT_TRUE(keeps_marks());

  service->remove(*device);
  EXPECT_EQ(owner(0), EventfdOwner::Irqfd);
  EXPECT_EQ(owner(1), EventfdOwner::Irqfd);
  EXPECT_FALSE(keeps_marks());

  ASSERT_TRUE(service->add(*device));
  EXPECT_EQ(owner(0), EventfdOwner::Irqfd) << "a watch does not come back with the device";
  EXPECT_EQ(ask(watch(*device, false))["vectors"], Json::array());
  EXPECT_EQ(ask(watch(*device))["vectors"], (Json{0, 1}));
  EXPECT_EQ(owner(0), EventfdOwner::Forwarder);
  session.reset();
  EXPECT_EQ(owner(0), EventfdOwner::Irqfd) << "the other session does not watch it any more";
}

TEST_F(InspectHotplug, WatchesOfOtherDevicesGoOn) {
  ASSERT_TRUE(service->add(*second));
  ask(watch(*device));
  ask(watch(*second));
  service->remove(*second);
  second.reset();
  EXPECT_EQ(owner(0), EventfdOwner::Forwarder);
  EXPECT_TRUE(keeps_marks());
  session.reset();
  EXPECT_EQ(owner(0), EventfdOwner::Irqfd);
  EXPECT_FALSE(keeps_marks());
}

TEST_F(InspectHotplug, TwoDevicesCannotHaveOneAddress) {
  const auto again = service->add(*device);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, EEXIST);
  EXPECT_EQ(again.error().device, device->bdf().str());
  EXPECT_EQ(listed().size(), 1U);
}

TEST_F(InspectHotplug, RemovingADeviceThatIsNotThereDoesNothing) {
  service->remove(*second);
  service->remove(*device);
  service->remove(*device);
  EXPECT_EQ(listed(), Json::array());
}

/// A service with an answer under way about the first device, in a call of the VMM.
class SlowAnswer : public InspectHotplug {
 protected:
  void begin_answer() {
    host.hook.set([this](std::string_view /*call*/, bool /*after*/) {
      if (entered.exchange(true)) return;
      released = eventually([this] { return release.load(); });
    });
    client = std::thread([this] { answer = ask(watch(*device)); });
    EXPECT_TRUE(eventually([this] { return entered.load(); }));
  }
  void end_answer() {
    release = true;
    client.join();
    host.hook.set({});
    EXPECT_TRUE(released) << "the answer waited until it gave up";
  }

  std::atomic<bool> entered{false};
  std::atomic<bool> release{false};
  std::atomic<bool> released{false};
  std::thread client;
  Json answer;
};

TEST_F(SlowAnswer, RemovingItsDeviceWaitsForIt) {
  begin_answer();
  std::atomic<unsigned> removed{0};
  const auto remove = [&] {
    service->remove(*device);
    EXPECT_TRUE(released) << "the answer still used the device";
    ++removed;
  };
  std::thread vmm(remove);
  std::thread another(remove);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(removed, 0U);
  end_answer();
  vmm.join();
  another.join();
  EXPECT_EQ(answer["vectors"], (Json{0, 1})) << answer;
  EXPECT_EQ(owner(0), EventfdOwner::Irqfd) << "the watch that the answer began has ended too";
  EXPECT_EQ(owner(1), EventfdOwner::Irqfd);
  EXPECT_FALSE(keeps_marks());
  device.reset();
  EXPECT_EQ(listed(), Json::array());
}

TEST_F(SlowAnswer, OtherDevicesComeAndGoMeanwhile) {
  begin_answer();
  ASSERT_TRUE(service->add(*second));
  service->remove(*second);
  second.reset();
  EXPECT_FALSE(release);
  end_answer();
  EXPECT_EQ(listed(), Json::array({device->bdf().str()}));
}

TEST_F(InspectHotplug, DevicesComeAndGoWhileClientsAsk) {
  const Json begin_watch = watch(*second);
  const std::vector<Json> requests = {
      Json{{"request", "list"}}, Json{{"request", "inspect"}}, begin_watch,
      Json{{"request", "heal"}, {"device", second->bdf().str()}}, watch(*second, false)};
  std::atomic<bool> stop{false};
  std::thread client([&] {
    while (!stop) {
      InspectService::Session mine(*service);
      for (const Json& request : requests) mine.answer(request.dump());
      mine.answer(begin_watch.dump());  // the session ends with a watch
    }
  });
  for (int round = 0; round < 30; ++round) {
    EXPECT_TRUE(service->add(*second));
    std::this_thread::sleep_for(2ms);
    service->remove(*second);
    second.reset();
    open_second();
  }
  stop = true;
  client.join();
  EXPECT_EQ(listed().size(), 1U);
  EXPECT_FALSE(keeps_marks());
}

}  // namespace
}  // namespace passthru
