// SPDX-License-Identifier: MIT
// Tests of the metrics for a monitoring system, whatever the VMMs answer.
#include "tools/msix/msix_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inspect/inspection_json.h"
#include "tests/unit/inspect/reported_vector.h"

namespace passthru::tools {
namespace {

using testing::HasSubstr;

TEST(MsixMetrics, HaveEachDevicesDamageAndCounts) {
  MsixView seen{.function = {.bdf = {.device = 2}}, .source = "vmm"};
  seen.guest = Inspection{};
  seen.guest->restores = 5;
  seen.rows = {{.vector = reported_vector(0), .host = HostInterrupt{.irq = 33, .counts = {3, 4}}},
               {.vector = reported_vector(7, Verdict::Cleared)}};
  const MsixView unseen{.function = {.bdf = {.device = 3}}};
  // The VMM answers, and cannot read the entry of a vector in use.
  MsixView hidden{.function = {.bdf = {.device = 4}}, .source = "vmm"};
  hidden.rows = {{.vector = reported_vector(0, Verdict::NotSeen)}};
  hidden.rows[0].vector.bound = true;
  const std::string metrics = msix_metrics({seen, unseen, hidden});
  for (const char* line : {
           "passthru_damaged_vectors{device=\"0000:00:02.0\"} 1\n"
           "passthru_damaged_vectors{device=\"0000:00:03.0\"} 0\n"
           "passthru_damaged_vectors{device=\"0000:00:04.0\"} 0\n",
           "\npassthru_vector_damage{device=\"0000:00:02.0\",vector=\"7\",verdict=\"cleared\"} 1\n",
           "\npassthru_device_seen{device=\"0000:00:02.0\"} 1\n"
           "passthru_device_seen{device=\"0000:00:03.0\"} 0\n"
           "passthru_device_seen{device=\"0000:00:04.0\"} 0\n",
           "\npassthru_restored_vectors_total{device=\"0000:00:02.0\"} 5\n",
           "\npassthru_interrupts_total{device=\"0000:00:02.0\",vector=\"0\"} 7\n",
       }) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
}

TEST(MsixMetrics, AVerdictThatAVmmMadeUpEndsNoLabel) {
  const nlohmann::json made_up = {
      {"vectors", {{{"index", 3}, {"verdict", "a\"} 1\\"}, {"damaged", true}}}}};
  const auto inspection = made_up.get<Inspection>();
  const MsixView view{.rows = {{.vector = inspection.vectors.at(0), .reported = true}}};
  EXPECT_THAT(msix_metrics({view}), HasSubstr("vector=\"3\",verdict=\"unknown\"} 1\n"));
}

}  // namespace
}  // namespace passthru::tools
