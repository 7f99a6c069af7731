// SPDX-License-Identifier: MIT
// Tests of VFIO drivers that were made for a device: finding, choosing and refusing them.
#include <gmock/gmock.h>

#include "base/small_file.h"
#include "tests/unit/prepare/binding_fixture.h"

namespace passthru {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kAliases =
    "# Aliases extracted from modules themselves.\n"
    "alias pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_core\n"
    "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n"
    "alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci\n"
    "alias vfio_pci:v000015B3d*sv*sd*bc*sc*i* all_of_the_vendor_vfio_pci\n"
    "alias vfio_pci:v000010DEd00002342sv*sd*bc*sc*i* nvgrace_gpu_vfio_pci\n"
    "alias usb:v15B3p101Ed*dc*dsc*dp*ic*isc*ip*in* other\n";

class VariantDriver : public BindingTest {
 protected:
  void SetUp() override {
    tree.add_driver("vfio-pci").add_vfio_driver("mlx5_vfio_pci");
    tree.add_vfio_driver("nvgrace-gpu-vfio-pci");
    tree.put("modules/modules.alias", kAliases);
    tree.put("modules/modules.dep",
             "kernel/drivers/vfio/pci/mlx5/mlx5-vfio-pci.ko.xz: kernel/x.ko.xz\n"
             "kernel/drivers/vfio/pci/vfio-pci.ko.xz:\n");
  }
  void add_mlx5() { tree.add({.vendor = 0x15b3, .device = 0x101e, .driver = "mlx5_core"}); }
  void add_nvgrace() { tree.add({.vendor = 0x10de, .device = 0x2342, .driver = "nvidia"}); }
  std::string variant() const {
    return binding().variant_driver(tree.sysfs().function(kDevice).value_or(PciFunction()));
  }
  KernelModules modules() const { return KernelModules(tree.root() / "modules"); }
};

TEST_F(VariantDriver, Case13TheBestMatchIsTheMostSpecificAlias) {
  add_mlx5();
  EXPECT_EQ(variant(), "mlx5_vfio_pci");
  const auto function = tree.sysfs().function(kDevice);
  EXPECT_THAT(*modules().serving(*function, KernelModules::Alias::VfioPci),
              ElementsAre("mlx5_vfio_pci", "all_of_the_vendor_vfio_pci", "vfio_pci"));
  EXPECT_THAT(*modules().serving(*function, KernelModules::Alias::Pci), ElementsAre("mlx5_core"));
}

TEST_F(VariantDriver, Case13AnOrdinaryDeviceHasNoVariantDriver) {
  tree.add({.driver = "nvme"});
  EXPECT_EQ(variant(), "");
}

TEST_F(VariantDriver, Case13WithoutTheKernelsListsThereIsNoVariantDriver) {
  add_mlx5();
  std::filesystem::remove(tree.root() / "modules/modules.alias");
  EXPECT_EQ(variant(), "");
}

TEST_F(VariantDriver, Case13ABuiltInVariantDriverIsFoundToo) {
  using namespace std::string_literals;
  tree.add({.vendor = 0x1234, .device = 0x5678, .driver = ""});
  tree.put(
      "modules/modules.builtin.modinfo",
      "vfio.license=GPL v2\0hisi_acc_vfio_pci.alias=vfio_pci:v00001234d00005678sv*sd*bc*sc*i*\0"s);
  EXPECT_EQ(variant(), "hisi_acc_vfio_pci");
}

TEST_F(VariantDriver, Case13WithoutAChoiceVfioPciIsBound) {
  add_mlx5();
  ASSERT_TRUE(bind());
  EXPECT_EQ(driver(), "vfio-pci");
}

TEST_F(VariantDriver, Case13TheChosenDriverIsBoundAndUnbound) {
  add_mlx5();
  ASSERT_TRUE(bind("mlx5_vfio_pci"));
  EXPECT_EQ(driver(), "mlx5_vfio_pci");
  EXPECT_EQ(driver_override(), "mlx5_vfio_pci");
  EXPECT_THAT(commands(binding().bind(kDevice)), IsEmpty()) << "it is a VFIO driver";
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "mlx5_core");
  EXPECT_EQ(driver_override(), "");
  EXPECT_FALSE(has_record());
}

// The module is nvgrace_gpu_vfio_pci, and its driver nvgrace-gpu-vfio-pci.
TEST_F(VariantDriver, Case13HyphensAndUnderscoresAreTheSameName) {
  add_nvgrace();
  EXPECT_EQ(variant(), "nvgrace_gpu_vfio_pci");
  for (const char* name :
       {"nvgrace_gpu_vfio_pci", "nvgrace-gpu-vfio-pci", "nvgrace-gpu_vfio-pci"}) {
    ASSERT_TRUE(bind(name)) << name;
    EXPECT_EQ(driver(), "nvgrace-gpu-vfio-pci") << name;
    EXPECT_EQ(driver_override(), "nvgrace-gpu-vfio-pci") << "the kernel compares it exactly";
    EXPECT_THAT(commands(binding().bind(kDevice, name)), IsEmpty()) << name;
    ASSERT_TRUE(unbind());
  }
  ASSERT_TRUE(bind("vfio_pci"));
  EXPECT_EQ(driver(), "vfio-pci");
}

TEST_F(VariantDriver, Case13ABoundDeviceCanChangeItsVfioDriver) {
  add_mlx5();
  ASSERT_TRUE(bind());
  ASSERT_TRUE(bind("mlx5_vfio_pci"));
  EXPECT_EQ(driver(), "mlx5_vfio_pci");
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "mlx5_core") << "the record still has the host's driver";
}

TEST_F(VariantDriver, Case13AChangeOfTheVfioDriverThatIsRefusedIsUndone) {
  add_mlx5();
  ASSERT_TRUE(bind());
  tree.refuse("/drivers/mlx5_vfio_pci/bind", EINVAL);
  ASSERT_FALSE(bind("mlx5_vfio_pci"));
  EXPECT_EQ(driver(), "vfio-pci");
  EXPECT_EQ(driver_override(), "vfio-pci");
  ASSERT_TRUE(unbind());
  EXPECT_EQ(driver(), "mlx5_core");
}

// ---- refusals ---------------------------------------------------------------------------------

TEST_F(VariantDriver, Case13ADriverOfAnotherDeviceIsRefused) {
  tree.add({.driver = "nvme"});
  EXPECT_EQ(
      bind("mlx5_vfio_pci").error().message(),
      "0000:00:02.0: cannot bind to mlx5_vfio_pci: it is not a VFIO driver for 1b36:0010. Use "
      "--driver vfio-pci, which serves every device");
  EXPECT_EQ(driver(), "nvme");
}

TEST_F(VariantDriver, Case13AHostDriverIsRefusedAndTheVariantDriverNamed) {
  add_mlx5();
  EXPECT_EQ(bind("mlx5_core").error().message(),
            "0000:00:02.0: cannot bind to mlx5_core: it is not a VFIO driver for 15b3:101e. Use "
            "--driver mlx5_vfio_pci, or --driver vfio-pci");
  ASSERT_TRUE(bind("mlx5_vfio_pci")) << "as the hint says";
}

TEST_F(VariantDriver, Case13WithoutTheKernelsListsOnlyTheNameTellsAVfioDriver) {
  add_mlx5();
  std::filesystem::remove(tree.root() / "modules/modules.alias");
  tree.add_driver("uio_pci_generic");
  EXPECT_EQ(bind("uio_pci_generic").error().code, EINVAL);
  EXPECT_TRUE(bind("mlx5_vfio_pci"));
}

TEST_F(VariantDriver, Case13AVariantDriverThatIsNotLoadedCanBeLoaded) {
  add_mlx5();
  tree.remove_driver("mlx5_vfio_pci");
  EXPECT_EQ(
      bind("mlx5-vfio-pci").error().message(),
      "0000:00:02.0: cannot find driver mlx5-vfio-pci: the driver is not loaded. Load it with "
      "'modprobe mlx5-vfio-pci'");
}

// modprobe would find nothing.
TEST_F(VariantDriver, Case13AVariantDriverThatTheKernelLacksIsNotLoaded) {
  add_mlx5();
  tree.remove_driver("mlx5_vfio_pci");
  tree.put("modules/modules.dep", "kernel/drivers/vfio/pci/vfio-pci.ko.xz:\n");
  EXPECT_EQ(bind("mlx5_vfio_pci").error().message(),
            "0000:00:02.0: cannot find driver mlx5_vfio_pci: the driver is not loaded, and this "
            "kernel has no module of that name. Use --driver vfio-pci, which serves every device");
  EXPECT_TRUE(bind("vfio-pci")) << "as the hint says";
}

TEST(ModuleNames, Case13AreEqualIfOnlyHyphensAndUnderscoresDiffer) {
  EXPECT_TRUE(same_module("vfio-pci", "vfio_pci"));
  EXPECT_FALSE(same_module("vfio-pci", "vfiopci"));
  EXPECT_FALSE(same_module("vfio-pci", "vfio-pci-core"));
  EXPECT_TRUE(is_vfio_name("vfio-pci"));
  EXPECT_TRUE(is_vfio_name("nvgrace-gpu_vfio-pci"));
  EXPECT_FALSE(is_vfio_name("pci-stub"));
  EXPECT_FALSE(is_vfio_name("vfio-platform"));
  EXPECT_FALSE(is_vfio_name(""));
}

}  // namespace
}  // namespace passthru
