// SPDX-License-Identifier: MIT
// Tests of the requests to a running VM and their answers. A wrong request changes nothing.
#include "inspect/inspect_service.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "inspect/inspection_json.h"
#include "tests/unit/inspect/inspect_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class InspectServiceTest : public InspectFixture {
 protected:
  void SetUp() override {
    InspectFixture::SetUp();
    service.emplace(domain, devices());
    session.emplace(*service);
  }
  Json ask(const Json& request) { return Json::parse(session->answer(request.dump())); }
  [[nodiscard]] static std::string bdf() { return "0000:00:02.0"; }
  EventfdOwner owner(unsigned vector) { return device->inspect().vectors[vector].owner; }

  std::optional<InspectService> service;
  std::optional<InspectService::Session> session;
};

TEST_F(InspectServiceTest, AllDevicesOrOneAreInspected) {
  for (const Json& request :
       {Json{{"request", "inspect"}}, Json{{"request", "inspect"}, {"device", bdf()}}}) {
    const Json answer = ask(request);
    EXPECT_EQ(answer["version"], 1);
    ASSERT_EQ(answer["devices"].size(), 1U) << answer;
    const auto inspection = answer["devices"][0].get<Inspection>();
    EXPECT_EQ(inspection.device.str(), bdf());
    EXPECT_EQ(inspection.vectors[0].verdict, Verdict::Ok);
    EXPECT_EQ(inspection.vectors[0].guest_message.data, message_of(0).data);
    EXPECT_EQ(inspection.vectors[2].verdict, Verdict::Unused);
    EXPECT_EQ(Json(inspection), answer["devices"][0]) << "both ways";
  }
}

TEST_F(InspectServiceTest, WhichDevicesThereAreIsToldWithoutALookAtThem) {
  kernel->forget_calls();
  const Json answer = ask({{"request", "list"}});
  EXPECT_EQ(answer["devices"], Json::array({bdf()}));
  EXPECT_EQ(answer["pid"], ::getpid());
  EXPECT_EQ(answer["version"], 1);
  EXPECT_TRUE(kernel->calls().empty());
}

TEST_F(InspectServiceTest, DamageIsSeenAndHealedOnRequest) {
  const auto verdict = [&](unsigned vector) {
    return ask({{"request", "inspect"}})["devices"][0]["vectors"][vector]["verdict"];
  };
  hardware->set_entry(1, {0, 0, 0, 0});
  EXPECT_EQ(verdict(1), "cleared");
  EXPECT_EQ(verdict(0), "ok");
  EXPECT_EQ(ask({{"request", "heal"}, {"device", bdf()}})["restored"], 1);
  EXPECT_THAT(host.delivered(), ::testing::ElementsAre(message_of(1)));
  EXPECT_EQ(verdict(1), "ok");
}

class InspectHiddenTable : public InspectServiceTest {
 protected:
  [[nodiscard]] FakeSpec spec() const override {
    FakeSpec spec = FakeSpec::nvme();
    spec.msix.mappable = false;
    spec.msi_vectors = 4;
    return spec;
  }
  Json vector(unsigned index) {
    return ask({{"request", "inspect"}})["devices"][0]["vectors"][index];
  }
};

TEST_F(InspectHiddenTable, AVectorInUseIsNotSeenAndNotDamaged) {
  EXPECT_EQ(vector(0)["verdict"], "not seen");
  EXPECT_EQ(vector(0)["why"], "the VMM cannot map the device's MSI-X table");
  EXPECT_EQ(vector(0)["damaged"], false);
  EXPECT_EQ(vector(2)["verdict"], "unused");
  EXPECT_EQ(ask({{"request", "heal"}, {"device", bdf()}})["restored"], 0);
}

TEST_F(InspectHiddenTable, AVectorOfMsiHasNoEntryToSee) {
  device->config_write(kMsixControl, 2, 0);
  device->config_write(kMsi + PCI_MSI_ADDRESS_LO, 4, 0xfee0'0000);
  device->config_write(kMsi + PCI_MSI_DATA_64, 2, 0x41);
  device->config_write(kMsi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
  EXPECT_EQ(vector(0)["verdict"], "not seen");
  EXPECT_EQ(vector(0)["why"], "it uses MSI, which has no table");
}

TEST_F(InspectServiceTest, WhatIsWatchedIsUntilTheSessionEnds) {
  EXPECT_EQ(ask({{"request", "watch"}, {"device", bdf()}, {"on", true}})["vectors"], (Json{0, 1}));
  EXPECT_EQ(owner(0), EventfdOwner::Forwarder);
  EXPECT_EQ(owner(1), EventfdOwner::Forwarder);
  session.reset();
  EXPECT_EQ(owner(0), EventfdOwner::Irqfd);
  EXPECT_EQ(owner(1), EventfdOwner::Irqfd);
}

TEST_F(InspectServiceTest, WhatAnotherSessionWatchesStaysWatched) {
  const Json request = {{"request", "watch"}, {"device", bdf()}, {"vector", 0}, {"on", true}};
  InspectService::Session other(*service);
  ask(request);
  other.answer(request.dump());
  session.reset();
  EXPECT_EQ(owner(0), EventfdOwner::Forwarder);
  EXPECT_EQ(owner(1), EventfdOwner::Irqfd);
  Json off = request;
  off["on"] = false;
  other.answer(off.dump());
  EXPECT_EQ(owner(0), EventfdOwner::Irqfd);
}

TEST_F(InspectServiceTest, ATraceHasInterruptsAndMarksFromANumberOn) {
  ask({{"request", "watch"}, {"device", bdf()}, {"on", true}});
  const uint64_t next = ask({{"request", "trace"}})["next"];
  hardware->fire(1);
  Json answer;
  ASSERT_TRUE(eventually([&] {
    answer = ask({{"request", "trace"}, {"after", next}});
    return !answer["interrupts"].empty();
  }));
  ASSERT_EQ(answer["interrupts"].size(), 1U);
  EXPECT_EQ(answer["interrupts"][0]["vector"], 1);
  EXPECT_EQ(answer["interrupts"][0]["device"], bdf());
  EXPECT_EQ(answer["lost"], 0);
  EXPECT_EQ(answer["next"], next + 1);

  mmio_write(kWindow + 0x2000 + 12, 1);
  device->config_write(kBar0, 4, static_cast<uint32_t>(kElsewhere));
  device->config_write(kCommand, 2, 0);
  std::vector<std::string> kinds;
  const Json traced = ask({{"request", "trace"}});
  for (const Json& mark : traced["marks"]) kinds.push_back(mark["kind"]);
  EXPECT_THAT(kinds, ::testing::IsSupersetOf({"masked", "bar_moved"}));
}

TEST_F(InspectServiceTest, NoMarksAreKeptWhileNobodyWatches) {
  mmio_write(kWindow + 0x2000 + 12, 1);
  EXPECT_EQ(ask({{"request", "trace"}})["marks_next"], 0);
}

TEST_F(InspectServiceTest, MarksAreKeptOfADeviceThatHasNoVectorInUseYet) {
  ASSERT_TRUE(device->reset());
  const Json answer = ask({{"request", "watch"}, {"device", bdf()}, {"on", true}});
  ASSERT_EQ(answer["vectors"], Json::array()) << answer;
  domain.marks().add(TraceMark::Kind::Reset, device->bdf());
  EXPECT_EQ(ask({{"request", "trace"}})["marks"].size(), 1U);
  ask({{"request", "watch"}, {"device", bdf()}, {"on", false}});
  domain.marks().add(TraceMark::Kind::Reset, device->bdf());
  EXPECT_EQ(ask({{"request", "trace"}})["marks_next"], 1) << "tracing has stopped";
}

TEST_F(InspectServiceTest, ATriggerTellsWhetherItArrived) {
  const Json answer = ask({{"request", "trigger"}, {"device", bdf()}, {"vector", 1}});
  EXPECT_EQ(answer["arrived"], true) << answer;
  EXPECT_GT(answer["latency_ns"], 0);
  EXPECT_EQ(owner(1), EventfdOwner::Irqfd) << "not watched any more";
  EXPECT_THAT(host.delivered(), ::testing::ElementsAre(message_of(1)));

  mmio_write(kWindow + 0x2000 + 16 + 12, 1);
  const Json masked = ask({{"request", "trigger"}, {"device", bdf()}, {"vector", 1}});
  EXPECT_EQ(masked["arrived"], false);
  EXPECT_EQ(masked["pending"], true);
}

TEST_F(InspectServiceTest, ATriggerArrivesInALoopThatAlsoDrivesTheForwarder) {
  auto forwarder = Forwarder::make();
  ASSERT_TRUE(forwarder);
  ASSERT_TRUE((*forwarder)->poll_fd());
  ASSERT_TRUE(domain.interrupts().adopt(std::move(*forwarder)));
  const Json answer = ask({{"request", "trigger"}, {"device", bdf()}, {"vector", 1}});
  EXPECT_EQ(answer["arrived"], true) << answer;
  EXPECT_EQ(owner(1), EventfdOwner::Irqfd) << "not watched any more";
}

TEST_F(InspectServiceTest, ATriggerWhoseMessageIsRefusedHasNotArrived) {
  host.fail_next("signal_msi", EIO);
  const Json answer = ask({{"request", "trigger"}, {"device", bdf()}, {"vector", 1}});
  EXPECT_EQ(answer["errno"], EIO) << answer;
  EXPECT_THAT(answer["error"].get<std::string>(), HasSubstr("refused the vector's message"));
  EXPECT_EQ(owner(1), EventfdOwner::Irqfd) << "not watched any more";
}

TEST_F(InspectServiceTest, ADetachedDeviceIsInspectedAndNothingElse) {
  device->detach();
  EXPECT_EQ(ask({{"request", "inspect"}})["devices"][0]["detached"], "by the VMM");
  for (const char* kind : {"trigger", "watch"}) {
    const Json answer = ask({{"request", kind}, {"device", bdf()}, {"vector", 0}, {"on", true}});
    EXPECT_EQ(answer["errno"], ENODEV) << kind;
  }
}

TEST_F(InspectServiceTest, DetachingWhatIsWatchedEndsWell) {
  ask({{"request", "watch"}, {"device", bdf()}, {"on", true}});
  device->detach();
  session.reset();
  EXPECT_EQ(device->inspect().detached, "by the VMM");
  const uint64_t before = domain.marks().since(0).next;
  domain.marks().add(TraceMark::Kind::Reset, device->bdf());
  EXPECT_EQ(domain.marks().since(0).next, before) << "tracing has stopped";
}

struct Wrong {
  const char* request;
  const char* message;
};

class WrongRequest : public InspectServiceTest, public testing::WithParamInterface<Wrong> {};

TEST_P(WrongRequest, IsAnsweredWithAnErrorAndChangesNothing) {
  kernel->forget_calls();
  const Json answer = Json::parse(session->answer(GetParam().request));
  ASSERT_TRUE(answer.contains("error")) << answer;
  EXPECT_THAT(answer["error"].get<std::string>(), HasSubstr(GetParam().message));
  EXPECT_NE(answer["errno"], 0);
  EXPECT_EQ(answer["version"], 1);
  EXPECT_TRUE(kernel->calls("VFIO_DEVICE_SET_IRQS").empty());
  EXPECT_EQ(owner(0), EventfdOwner::Irqfd);
}

INSTANTIATE_TEST_SUITE_P(
    , WrongRequest,
    testing::Values(
        Wrong{"", "not a JSON object"}, Wrong{"hello", "not a JSON object"},
        Wrong{"[1,2]", "not a JSON object"}, Wrong{"{\"request\":", "not a JSON object"},
        Wrong{"{}", "no string \"request\""}, Wrong{R"({"request":7})", "no string \"request\""},
        Wrong{R"({"request":"sell"})", "must be list, inspect, watch"},
        Wrong{R"({"request":"heal"})", "no string \"device\""},
        Wrong{R"({"request":"heal","device":[]})", "no string \"device\""},
        Wrong{R"({"request":"heal","device":"nvme"})", "nvme"},
        Wrong{R"({"request":"heal","device":"0000:00:1f.7"})", "this VM does not have the device"},
        Wrong{R"({"request":"watch","device":"0000:00:02.0"})", "\"on\""},
        Wrong{R"({"request":"watch","device":"0000:00:02.0","on":true,"vector":-1})", "\"vector\""},
        Wrong{R"({"request":"watch","device":"0000:00:02.0","on":true,"vector":9e9})",
              "\"vector\""},
        Wrong{R"({"request":"watch","device":"0000:00:02.0","on":true,"vector":99999999999})",
              "vectors"},
        Wrong{R"({"request":"trigger","device":"0000:00:02.0"})", "\"vector\""},
        Wrong{R"({"request":"trigger","device":"0000:00:02.0","vector":9})", "no host interrupt"},
        Wrong{R"({"request":"trace","after":"now"})", "\"after\""}));

TEST_F(InspectServiceTest, NestingWithoutEndIsNoProblem) {
  const std::string deep(InspectService::kMaxRequest, '[');
  EXPECT_THAT(session->answer(deep), HasSubstr("not a JSON object"));
}

}  // namespace
}  // namespace passthru
