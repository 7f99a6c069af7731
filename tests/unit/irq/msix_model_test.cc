// SPDX-License-Identifier: MIT
// Random programs that run on the real MSI-X and on a plain model of the spec. They consist of
// guest accesses, device interrupts and damage. The guest's reads and messages must never differ.
// PASSTHRU_SEED repeats a run (`any`: a random seed); PASSTHRU_STEPS is its length.
#include "tests/unit/irq/msix_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <utility>

#include "irq/msix.h"
#include "irq/remap.h"
#include "tests/fakes/environment_number.h"
#include "tests/fakes/fake_hypervisor.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/unit/irq/msix_program.h"

namespace passthru {
namespace {

// The real code and the model side by side. `run` returns a description of the first difference, or
// "".
class Pair : public VectorObserver {
 public:
  explicit Pair(const FakeSpec& spec) : fake_(kernel_.add(spec)), model_(spec.msix.vectors) {
    auto device = VfioDevice::open(kernel_, dma_, spec.door());
    if (!device) std::abort();
    device_ = *device;
    msix_ = std::make_unique<Msix>(device_, spec.msix.layout(), router_, *this,
                                   Msix::Options{.wake = [] { return Result<void>{}; }});
    table_ = msix_->table_target();
    pba_ = msix_->pba_target();
    host_.translation = [this](const MsiMessage& message, uint16_t) { return translate(message); };
    bound_.resize(spec.msix.vectors);
    damaged_.resize(spec.msix.vectors);
  }

  std::string run(const Step& step) {
    kernel_.forget_calls();
    std::vector<bool> was_sending(bound_.size());
    for (uint64_t vector = 0; vector < bound_.size(); ++vector) {
      was_sending[vector] = model_.sends(vector);
    }
    const std::string differs = take(step);
    if (!differs.empty()) return differs;
    for (const auto& [vector, why] : std::exchange(failed_, {})) {
      // Only an invalid message may make a vector fail here.
      if (!model_.live(vector) || model_.sends(vector)) {
        return fmt::format("vector {} failed: {}", vector, why);
      }
    }

    // Growing disables and enables the index. Each bound vector may then have lost an interrupt, so
    // each gets exactly one signal.
    const auto calls = kernel_.calls("VFIO_DEVICE_SET_IRQS");
    const bool cycled = std::any_of(calls.begin(), calls.end(),
                                    [](const FakeCall& call) { return call.count == 0; });
    for (uint64_t vector = 0; vector < bound_.size(); ++vector) {
      if (model_.given_up(vector)) bound_[vector] = damaged_[vector] = false;
      // The library checks the physical entry before a vector goes live, and on demand.
      const bool looked_at = looked_ || (model_.sends(vector) && !was_sending[vector]);
      const bool restored = bound_[vector] && damaged_[vector] && looked_at;
      if (model_.enabled() && ((cycled && bound_[vector]) || restored)) model_.raise(vector);
      if (restored || cycled || !model_.enabled()) damaged_[vector] = false;
      bound_[vector] = model_.enabled() && (bound_[vector] || model_.live(vector));
    }
    looked_ = false;
    return compare_messages();
  }

  void vector_failed(unsigned vector, const Error& error) override {
    failed_.emplace_back(vector, error.message());
  }
  void vectors_restored(unsigned /*count*/) override {}
  void intx_failed(const Error& /*error*/) override {}

 private:
  std::string take(const Step& step) {
    const auto value =
        std::as_bytes(std::span{&step.value, 1}).first(std::min<size_t>(step.size, 8));
    switch (step.kind) {
      case Step::Kind::WriteTable:
        table_->write(step.offset, value);
        model_.write_table(step.offset, value);
        return {};
      case Step::Kind::ReadTable:
        return compare_bytes(*table_, step, model_.read_table(step.offset, step.size));
      case Step::Kind::ReadPending:
        return compare_bytes(*pba_, step, model_.read_pending(step.offset, step.size));
      case Step::Kind::WritePending:
        pba_->write(step.offset, value);
        return {};
      case Step::Kind::WriteControl:
        msix_->write_control(static_cast<uint16_t>(step.value));
        model_.write_control(static_cast<uint16_t>(step.value));
        return {};
      case Step::Kind::Raise:
        // The model skips an interrupt that damage loses: the restore raises it in the model.
        if (model_.enabled() && !damaged_[step.offset]) model_.raise(step.offset);
        fake_.fire(static_cast<unsigned>(step.offset));
        return {};
      case Step::Kind::ClearEntry:
        if (bound_[step.offset]) {
          fake_.set_entry(static_cast<unsigned>(step.offset), {0, 0, 0, 0});
          damaged_[step.offset] = true;
        }
        return {};
      case Step::Kind::ClearControl:
        if (!model_.enabled()) return {};
        fake_.set_msix_control(0);
        [[fallthrough]];
      case Step::Kind::Audit:
        looked_ = true;
        return msix_->audit() ? "" : "the audit failed";
      case Step::Kind::Remap:
        remapped_[step.offset] = static_cast<Remapped>(step.value);
        msix_->retranslate(
            [&](const MsiMessage& message) { return cpu_of(message) == step.offset; });
        model_.remap(step.offset, remapped_[step.offset]);
        return {};
    }
    return "no such step";
  }

  static uint64_t cpu_of(const MsiMessage& message) { return message.address >> 12 & 3; }

  Result<MsiMessage> translate(const MsiMessage& message) const {
    MsiMessage plain = PASSTHRU_TRY(translate_plain(message));
    const Remapped how = remapped_[cpu_of(plain)];
    if (how == Remapped::Blocked) return fail(EINVAL, "remap");
    if (how == Remapped::Moved) plain.address ^= 0x8000;
    return plain;
  }

  static std::string compare_bytes(AccessTarget& target, const Step& step,
                                   const std::vector<std::byte>& wanted) {
    std::vector<std::byte> found(step.size);
    target.read(step.offset, found);
    if (found == wanted) return {};
    std::string text = "the guest read";
    for (const std::byte byte : found) text += fmt::format(" {:02x}", std::to_integer<int>(byte));
    text += ", not";
    for (const std::byte byte : wanted) text += fmt::format(" {:02x}", std::to_integer<int>(byte));
    return text;
  }

  std::string compare_messages() {
    auto sent = host_.delivered();
    auto wanted = model_.send();
    const auto less = [](const MsiMessage& a, const MsiMessage& b) {
      return std::pair(a.address, a.data) < std::pair(b.address, b.data);
    };
    std::sort(sent.begin(), sent.end(), less);
    std::sort(wanted.begin(), wanted.end(), less);
    if (sent == wanted) return {};
    return fmt::format("the guest was sent {} messages, not {}, or others", sent.size(),
                       wanted.size());
  }

  FakeKernel kernel_;
  FakeHypervisor host_{kernel_};
  ForwardingRouter router_{host_};
  DmaSpace dma_{kernel_};
  FakeDevice& fake_;
  std::shared_ptr<VfioDevice> device_;
  std::unique_ptr<Msix> msix_;
  std::shared_ptr<AccessTarget> table_;
  std::shared_ptr<AccessTarget> pba_;
  MsixModel model_;
  std::vector<bool> bound_;    ///< was live since MSI-X was enabled, and was not freed
  std::vector<bool> damaged_;  ///< its physical entry was cleared and not yet restored
  bool looked_ = false;        ///< this step audited every vector
  std::array<Remapped, 4> remapped_{};
  std::vector<std::pair<unsigned, std::string>> failed_;
};

// Returns "" or the difference and its step.
std::string run(const FakeSpec& spec, std::span<const Step> program, size_t* failed_at = nullptr) {
  Pair pair(spec);
  for (size_t i = 0; i < program.size(); ++i) {
    std::string differs = pair.run(program[i]);
    if (differs.empty()) continue;
    if (failed_at != nullptr) *failed_at = i;
    return differs;
  }
  return {};
}

// Returns the shortest program that still differs. Leaves out ever smaller parts.
std::vector<Step> shrink(const FakeSpec& spec, std::vector<Step> program) {
  for (size_t part = program.size() / 2; part != 0; part /= 2) {
    for (size_t at = 0; at + part <= program.size();) {
      std::vector<Step> shorter = program;
      const auto first = shorter.begin() + static_cast<std::ptrdiff_t>(at);
      shorter.erase(first, first + static_cast<std::ptrdiff_t>(part));
      if (run(spec, shorter).empty()) {
        at += part;
      } else {
        program = std::move(shorter);
      }
    }
  }
  return program;
}

struct Device {
  const char* name;
  FakeSpec spec;
  friend void PrintTo(const Device& device, std::ostream* out) { *out << device.name; }
};

class MsixModelTest : public ::testing::TestWithParam<Device> {};

TEST_P(MsixModelTest, NothingThatAGuestReadsOrIsSentDiffers) {
  const auto& [name, spec] = GetParam();
  const uint64_t seed = environment_number("PASSTHRU_SEED", 1);
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random(seed);
  std::vector<Step> program(environment_number("PASSTHRU_STEPS", 30'000));
  for (Step& step : program) step = random_step(random, spec.msix.vectors);

  size_t failed_at = 0;
  const std::string differs = run(spec, program, &failed_at);
  if (differs.empty()) return;
  program.resize(failed_at + 1);
  std::string steps;
  for (const Step& step : shrink(spec, program)) steps += "  " + describe(step) + '\n';
  FAIL() << "PASSTHRU_SEED=" << seed << ", step " << failed_at << ": " << differs
         << "; the same happens after\n"
         << steps;
}

FakeSpec with_msix(FakeSpec spec, unsigned vectors, bool noresize) {
  spec.msix.vectors = vectors;
  spec.msix.noresize = noresize;
  return spec;
}

FakeSpec largest() {
  FakeSpec spec = with_msix(FakeSpec::nvme(), 2048, true);
  spec.bars[0].size = 0x20000;
  spec.msix.table_offset = 0x2000;
  spec.msix.pba_offset = 0x10000;
  return spec;
}

INSTANTIATE_TEST_SUITE_P(
    Devices, MsixModelTest,
    ::testing::Values(Device{"One", with_msix(FakeSpec::nvme(), 1, true)},
                      Device{"Five", FakeSpec::e1000e()},
                      Device{"Nvme", with_msix(FakeSpec::nvme(), 65, true)},
                      Device{"NvmeDynamic", with_msix(FakeSpec::nvme(), 65, false)},
                      Device{"SharedPage", FakeSpec::xhci()}, Device{"Largest", largest()}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace passthru
