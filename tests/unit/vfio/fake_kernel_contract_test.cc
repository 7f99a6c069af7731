// SPDX-License-Identifier: MIT
// The contract tests on the fake kernel. tests/hil/contract_test.cc runs them on the running Linux.
#include "tests/contract/attach_contract.h"
#include "tests/contract/gone_contract.h"
#include "tests/contract/interrupt_contract.h"
#include "tests/contract/node_contract.h"
#include "tests/contract/region_contract.h"
#include "tests/fakes/fake_kernel.h"

namespace passthru {
namespace {

ContractSource fake(std::string name, FakeSpec spec, Backend backend = Backend::Group) {
  return {std::move(name), [spec = std::move(spec), backend] {
            auto kernel = std::make_shared<FakeKernel>();
            FakeDevice& device = kernel->add(spec);
            ContractTarget target{kernel, spec.group, spec.bdf, backend, spec.cdev()};
            target.virtual_function = spec.virtual_function;
            target.backdoor_reset = [&device] { device.backdoor_reset(); };
            target.set_gone = [&device](bool gone) { device.set_gone(gone); };
            return target;
          }};
}

FakeSpec dynamic_nvme() {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.noresize = false;
  return spec;
}

FakeSpec conventional() {
  FakeSpec spec = FakeSpec::e1000e();
  spec.express = false;
  spec.resets = false;
  return spec;
}

const std::vector<ContractSource> kSources = {
    fake("nvme", FakeSpec::nvme()), fake("nvme_dynamic", dynamic_nvme()),
    fake("e1000e", FakeSpec::e1000e()), fake("conventional", conventional()),
    fake("nvme_cdev", dynamic_nvme(), Backend::Cdev)};
const std::vector<ContractSource> kAttached = {fake("nvme", FakeSpec::nvme())};
// A backdoor reset leaves a virtual function's memory decode on, so BackdoorResetContract excludes
// it.
const std::vector<ContractSource> kVirtualFunctions = {fake("nvme_vf", FakeSpec::nvme_vf())};

INSTANTIATE_TEST_SUITE_P(Fake, KernelContract, testing::ValuesIn(kSources),
                         [](const auto& each) { return each.param.name; });
INSTANTIATE_TEST_SUITE_P(Fake, GroupContract, testing::ValuesIn(kAttached),
                         [](const auto& each) { return each.param.name; });
INSTANTIATE_TEST_SUITE_P(Fake, NodeContract, testing::ValuesIn(kAttached),
                         [](const auto& each) { return each.param.name; });
INSTANTIATE_TEST_SUITE_P(FakeVirtual, KernelContract, testing::ValuesIn(kVirtualFunctions),
                         [](const auto& each) { return each.param.name; });
INSTANTIATE_TEST_SUITE_P(Fake, BackdoorResetContract, testing::ValuesIn(kSources),
                         [](const auto& each) { return each.param.name; });
INSTANTIATE_TEST_SUITE_P(Fake, IntxContract, testing::ValuesIn(kSources),
                         [](const auto& each) { return each.param.name; });

INSTANTIATE_TEST_SUITE_P(Fake, GoneContract, testing::ValuesIn(kSources),
                         [](const auto& each) { return each.param.name; });
INSTANTIATE_TEST_SUITE_P(FakeVirtual, GoneContract, testing::ValuesIn(kVirtualFunctions),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace passthru
