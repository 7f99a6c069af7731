// SPDX-License-Identifier: MIT
// Tests of the metrics for a monitoring system, whatever the VMMs answer.
#include "tools/msix/msix_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace passthru::tools {
namespace {

using testing::HasSubstr;

TEST(MsixMetrics, HaveEachDevicesDamageAndCounts) {
  MsixView seen{.function = {.bdf = {.device = 2}}, .source = "vmm"};
  seen.guest = Inspection{};
  seen.guest->restores = 5;
  seen.rows = {{.index = 0, .verdict = "ok", .host = HostInterrupt{.irq = 33, .counts = {3, 4}}},
               {.index = 7, .verdict = "cleared", .damaged = true}};
  const MsixView unseen{.function = {.bdf = {.device = 3}}};
  const std::string metrics = msix_metrics({seen, unseen});
  for (const char* line : {
           "passthru_damaged_vectors{device=\"0000:00:02.0\"} 1\n"
           "passthru_damaged_vectors{device=\"0000:00:03.0\"} 0\n",
           "\npassthru_vector_damage{device=\"0000:00:02.0\",vector=\"7\",verdict=\"cleared\"} 1\n",
           "\npassthru_device_seen{device=\"0000:00:02.0\"} 1\n"
           "passthru_device_seen{device=\"0000:00:03.0\"} 0\n",
           "\npassthru_restored_vectors_total{device=\"0000:00:02.0\"} 5\n",
           "\npassthru_interrupts_total{device=\"0000:00:02.0\",vector=\"0\"} 7\n",
       }) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
}

TEST(MsixMetrics, AVerdictThatAVmmMadeUpEndsNoLabel) {
  const MsixView view{.rows = {{.verdict = "a\"} 1\\", .damaged = true}}};
  EXPECT_THAT(msix_metrics({view}), HasSubstr("verdict=\"a\\\"} 1\\\\\"} 1\n"));
}

}  // namespace
}  // namespace passthru::tools
