// SPDX-License-Identifier: MIT
// `passthru run`: from the command line to a VM, and from its end to a summary and an exit status.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/printable.h"
#include "inspect/inspection_json.h"
#include "tools/commands.h"
#include "tools/devices/device_words.h"
#include "tools/json.h"
#include "tools/output_file.h"
#include "tools/run/run_messages.h"
#include "tools/run/run_summary.h"
#include "tools/user_names.h"
#include "vfio/linux_kernel.h"
#include "vmm/device_argument.h"
#include "vmm/output_writer.h"
#include "vmm/vm.h"

namespace passthru::tools {
namespace {

struct RunArguments {
  VmOptions vm;
  std::vector<std::string> devices;
  bool allow_unsafe_interrupts = false;
  std::string backend{};  // empty: by the environment
  std::string vf_token;
  std::string summary_file;
  bool force = false;
};

/// Returns nothing for "auto".
std::optional<Backend> backend_of(const std::string& name) {
  if (name == "cdev") return Backend::Cdev;
  if (name == "group") return Backend::Group;
  return std::nullopt;
}

const std::vector<std::string>& backends() {
  static const std::vector<std::string> names = {"auto", "cdev", "group"};
  return names;
}

/// Returns the value of --backend, or of the environment if that is empty.
Result<std::string> chosen_backend(const std::string& option) {
  constexpr const char* kVariable = "PASSTHRU_BACKEND";
  if (!option.empty()) return option;
  const char* const variable = std::getenv(kVariable);
  if (variable == nullptr || *variable == '\0') return "auto";
  std::string name = variable;
  if (std::find(backends().begin(), backends().end(), name) != backends().end()) return name;
  return tl::unexpected(
      Error{.code = EINVAL,
            .operation = fmt::format("use the environment variable {}", kVariable),
            .cause = fmt::format("'{}' is not {}", printable(name), joined_choices(backends())),
            .advice = "Unset it, or use --backend"});
}

std::atomic<Vm*> running{nullptr};

// Ends the VM on the usual signals while it exists, so that its devices are detached in order.
class StopOnSignals {
 public:
  explicit StopOnSignals(Vm& vm) {
    running = &vm;
    struct sigaction action = {};
    action.sa_handler = [](int) {
      const int code = errno;
      if (Vm* target = running) target->stop();
      errno = code;
    };
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
  }
  ~StopOnSignals() {
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
    running = nullptr;
  }
  StopOnSignals(const StopOnSignals&) = delete;
  StopOnSignals& operator=(const StopOnSignals&) = delete;

 private:
  static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, kSignals.size()> before_{};
};

const char* to_string(ExitReason reason) {
  switch (reason) {
    case ExitReason::PowerOff:
      return "power-off";
    case ExitReason::Reset:
      return "reset";
    case ExitReason::Stopped:
      return "stopped";
  }
  return "stopped";
}

// Raises soft limits to the hard limits. Memory that devices reach is locked, and each vector of a
// device has a descriptor.
void raise_limits() {
  for (const auto resource : {RLIMIT_MEMLOCK, RLIMIT_NOFILE}) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0) continue;
    limit.rlim_cur = limit.rlim_max;
    // After a failure, the call that needs more reports the limit.
    static_cast<void>(::setrlimit(resource, &limit));
  }
}

// Protects descriptors that a process with more rights opened. Other processes of this user can
// then neither trace this process nor copy its descriptors (pidfd_getfd). An exec ends the
// protection, so the parent process cannot set it.
void protect_descriptors() {
  static_cast<void>(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

/// Begins the file before the guest runs, so that a mistyped name does not lose the summary.
Result<std::optional<OutputFile>> begin_summary(const RunArguments& arguments) {
  using Existing = OutputFile::Existing;
  if (arguments.summary_file.empty()) return std::optional<OutputFile>();
  auto file = PASSTHRU_TRY(OutputFile::create(
      arguments.summary_file, arguments.force ? Existing::Replace : Existing::Keep));
  return std::optional(std::move(file));
}

Result<void> write_summary(OutputFile& file, ExitReason reason, uint64_t console_dropped,
                           const std::vector<Inspection>& devices) {
  const nlohmann::json json = {{"version", kJsonVersion},
                               {"end", to_string(reason)},
                               {"console_dropped", console_dropped},
                               {"devices", devices}};
  PASSTHRU_TRY(file.write(json_text(json, 2) + '\n'));
  return file.commit();
}

int run(RunArguments& arguments) {
  VmOptions& options = arguments.vm;
  if (options.kvm_fd >= 0) protect_descriptors();
  std::optional<VfToken> token;
  if (!arguments.vf_token.empty()) {
    const auto parsed = VfToken::parse(arguments.vf_token);
    if (!parsed) return wrong_usage(parsed.error());
    token = *parsed;
  }
  const auto backend = chosen_backend(arguments.backend);
  if (!backend) return wrong_usage(backend.error());
  for (const std::string& text : arguments.devices) {
    const auto argument = with_address(Sysfs(), text);
    if (!argument) return wrong_usage(argument.error());
    auto device = parse_device_argument(*argument);
    if (!device) return wrong_usage(device.error());
    device->options.allow_unsafe_interrupts = arguments.allow_unsafe_interrupts;
    device->source.backend = backend_of(*backend);
    if (!device->options.vf_token) device->options.vf_token = token;
    options.devices.push_back(*device);
  }
  if (const auto checked = options.check(); !checked) return wrong_usage(checked.error());
  auto summary_file = begin_summary(arguments);
  if (!summary_file) return report_error(summary_file.error());
  // Events come on the vCPUs' threads, with locks held. `messages` outlives the VM, so that the
  // devices are free before this process waits for a reader.
  auto messages = OutputWriter::start(STDERR_FILENO, {.what = "messages"});
  if (!messages) return report_error(messages.error());
  const auto refused = [&messages = **messages](const Error& error) {
    messages.write(error_line(error));
    return kRefused;
  };
  options.on_event = [&messages = **messages](const Event& event) {
    messages.write(event_line(event));
  };

  raise_limits();
  // The guest does not end when a reader of the output exits.
  std::signal(SIGPIPE, SIG_IGN);
  auto vm = Vm::create(options, std::make_shared<LinuxKernel>());
  if (!vm) return refused(vm.error());
  const auto ended = [&] {
    const StopOnSignals stop(**vm);
    return (*vm)->run();
  }();
  const uint64_t console_dropped = (*vm)->console_dropped();
  messages.value()->write(dropped_line(console_dropped));
  if (!ended) return refused(ended.error());

  const std::vector<Inspection> devices = (*vm)->inspect();
  for (const Inspection& device : devices)
    messages.value()->write(printable_lines(summary(device)));
  if (*summary_file) {
    const auto written = write_summary(**summary_file, *ended, console_dropped, devices);
    if (!written) return refused(written.error());
  }
  return *ended == ExitReason::Stopped ? kNo : kDone;
}

}  // namespace

CLI::App* add_run(CLI::App& app, int& status) {
  auto arguments = std::make_shared<RunArguments>();
  VmOptions& vm = arguments->vm;
  CLI::App* command =
      app.add_subcommand("run", "Boot a Linux guest with the devices that you name");
  command
      ->add_option("--kernel", vm.kernel,
                   "Kernel: a bzImage, for example /boot/vmlinuz-VERSION, or a vmlinux with "
                   "CONFIG_PVH=y")
      ->required()
      ->type_name("FILE");
  command->add_option("--initrd", vm.initrd, "The guest's initramfs (default: no initramfs)")
      ->type_name("FILE");
  command
      ->add_option("--append", vm.append,
                   "Kernel command line; console=ttyS0 is on stdin and stdout (default: empty)")
      ->type_name("STRING");
  command->add_option("--memory", vm.memory, "Size of the guest's memory, with K, M or G")
      ->transform(any_size())
      ->type_name("SIZE")
      ->default_str("512M");
  command
      ->add_option_function<std::string>(
          "--memory-from",
          [&vm](const std::string& text) {
            using Kind = MemoryBacking::Kind;
            vm.memory_from.kind = text == "memfd"       ? Kind::Memfd
                                  : text == "hugetlbfs" ? Kind::Hugetlbfs
                                                        : Kind::Anonymous;
          },
          "Kind of the guest's memory: anonymous memory, a memfd, or reserved huge pages")
      ->transform(one_of({"anonymous", "memfd", "hugetlbfs"}))
      ->type_name("anonymous|memfd|hugetlbfs")
      ->default_str("anonymous");
  command
      ->add_option("--huge-page-size", vm.memory_from.huge_page_size,
                   "Page size for --memory-from hugetlbfs (default: 2M)")
      ->transform(any_size())
      ->type_name("2M|1G")
      ->default_str("");
  command->add_option("--cpus", vm.cpus, "Number of virtual CPUs")
      ->transform(number_from(1, VmOptions::kMaxCpus))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option(
          "--device", arguments->devices,
          "Device to assign, bound to vfio-pci: its address, ids or part of its name; repeat for "
          "more. "
          "Options: nomap=N, msix=auto|inplace|barN, rom=FILE|off, addr=SLOT.FUNCTION, moderate=N, "
          "vectors=N, reset=on|off, silence=SECONDS, vf-token=UUID. If another process has opened "
          "it: fd=N,iommufd=N or group-fd=N,container-fd=N,bdf=BDF")
      ->type_name("DEVICE[,OPTION]...")
      ->take_all()
      ->allow_extra_args(false);
  command
      ->add_option(
          "--backend", arguments->backend,
          "How to open devices: by their own nodes and an iommufd (cdev), by their IOMMU groups "
          "(group), or by what this machine supports (auto, the default). The environment variable "
          "PASSTHRU_BACKEND sets another default")
      ->transform(one_of(backends()))
      ->type_name("auto|cdev|group");
  command
      ->add_option_function<std::string>(
          "--p2p",
          [&vm](const std::string& text) {
            vm.p2p = text == "on" ? P2p::On : text == "off" ? P2p::Off : P2p::Auto;
          },
          "Which BARs other devices of the guest reach by DMA: all (on), none (off), or with "
          "several devices those up to 4 GiB (auto, the default)")
      ->transform(one_of({"auto", "on", "off"}))
      ->type_name("auto|on|off");
  command
      ->add_option("--vf-token", arguments->vf_token,
                   "Token for SR-IOV with the physical function on vfio-pci. The physical function "
                   "sets the token, its virtual functions need the same token. Same as vf-token= "
                   "for each device (default: no token)")
      ->type_name("UUID");
  command->add_flag("--allow-unsafe-interrupts", arguments->allow_unsafe_interrupts,
                    "Assign devices without interrupt remapping too; the guest can then forge "
                    "interrupts");
  command
      ->add_option_function<std::string>(
          "--audit",
          [&vm](const std::string& text) {
            vm.audit = std::chrono::milliseconds(read_number(text).value_or(0));  // off
          },
          "Interval between checks for damaged interrupts, in milliseconds (default: 100), or off")
      ->transform(number_from(1, 60'000, "off"))
      ->type_name("MS|off");
  command->add_flag("--forward-interrupts", vm.forward_interrupts,
                    "Deliver MSI and MSI-X through this process, which counts them (default: "
                    "KVM's irqfds, which are faster)");
  CLI::Option* inspect_option =
      command
          ->add_option_function<std::string>(
              "--inspect", [&vm](const std::string& path) { vm.inspect = path; },
              "Let 'passthru msix', 'trace' and 'bars' inspect the running guest, through a socket "
              "at PATH or, without PATH, where they search (default: no socket)")
          ->expected(0, 1)
          ->type_name("[PATH]");
  command
      ->add_option_function<std::string>(
          "--inspect-group",
          [&vm](const std::string& word) {
            vm.inspect_access = {.group = group_of(word), .mode = 0660};
            if (vm.inspect_access.group) return;
            throw CLI::ValidationError("--inspect-group", fmt::format("'{}' is not a group", word));
          },
          "Let the members of GROUP use the inspect socket too (default: only this user and root)")
      ->needs(inspect_option)
      ->type_name("GROUP");
  command
      ->add_option("--kvm-fd", vm.kvm_fd,
                   "Descriptor of /dev/kvm, which the parent process opened, if this process "
                   "cannot open it (default: open /dev/kvm)")
      ->transform(number_from(0, std::numeric_limits<int>::max()))
      ->type_name("N")
      ->default_str("");
  CLI::Option* summary_option =
      command
          ->add_option("--summary", arguments->summary_file,
                       "Write a summary of the devices as JSON to FILE, when "
                       "the guest has ended")
          ->type_name("FILE");
  command->add_flag("--force", arguments->force, "Replace FILE if it exists")
      ->needs(summary_option);
  command->footer(
      "The guest's serial port is on stdin and stdout. On a terminal, Ctrl-A x\n"
      "ends the guest. The guest never waits for a reader of stdout: the VMM drops\n"
      "and counts unread output.\n"
      "\n"
      "Exit status: 0 the guest powered off or rebooted, 1 it was stopped, 2 wrong\n"
      "usage, 3 the system refused.\n"
      "\n"
      "Example:\n"
      "  passthru bind 0000:00:02.0\n"
      "  passthru run --kernel bzImage --initrd initrd --append console=ttyS0 \\\n"
      "    --memory 1G --cpus 2 --device 0000:00:02.0");
  command->callback([arguments, &status] { status = run(*arguments); });
  return command;
}

}  // namespace passthru::tools
