// SPDX-License-Identifier: MIT
// The shell completions: a function for bash and a function for zsh, with a case for each
// subcommand.
#include <fmt/format.h>

#include <string>
#include <utility>

#include "irq/verdict.h"
#include "tools/command_words.h"
#include "tools/explain/explanation.h"
#include "tools/values.h"

namespace passthru::tools {
namespace {

// `reached` is the subcommand, `choices` are the words that may follow it. The names `path` and
// `words` belong to zsh.
constexpr const char* kBash = R"(# completion of 'passthru' in bash, generated when it was built
_passthru() {
  # Not COMP_WORDS: bash divides a PCI address at its colons.
  local line=${COMP_LINE:0:COMP_POINT}
  local cur=${line##* } reached='' choices='' devices='' prev='' word
  for word in ${line% *}; do
    prev=$word
    case "$reached $word" in
%PATHS%    esac
  done
  if [[ $prev == --device ]]; then
    devices=yes
  elif [[ $prev == @(%FILES%) ]]; then
    compopt -o default 2>/dev/null
    COMPREPLY=()
    return
  else
    case $reached in
%CHOICES%    esac
  fi
  if [[ -n $devices && $cur != -* ]]; then
    local device
    for device in /sys/bus/pci/devices/{*,*/{,virtio*/}net/*,*/nvme/*,*/nvme/*/nvme*n*,*/virtio*/block/*} \
      /sys/bus/pci/devices/*/{,ata*/}host*/target*/*/block/*; do
      [[ ! -e $device ]] || choices+=" ${device##*/}"
    done
  fi
  COMPREPLY=($(compgen -W "$choices" -- "$cur"))
  if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
  fi
}
complete -F _passthru passthru
)";

constexpr const char* kZsh = R"(#compdef passthru
# completion of 'passthru' in zsh, generated when it was built; put it into a directory of $fpath
local reached='' choices='' devices='' prev='' word
local -a candidates
for word in "${(@)words[1,CURRENT-1]}"; do
  prev=$word
  case "$reached $word" in
%PATHS%  esac
done
if [[ $prev == --device ]]; then
  devices=yes
elif [[ $prev == (%FILES%) ]]; then
  _files
  return
else
  case $reached in
%CHOICES%  esac
fi
candidates=(${=choices})
if [[ -n $devices && ${words[CURRENT]} != -* ]]; then
  candidates+=(/sys/bus/pci/devices/*(N:t) /sys/bus/pci/devices/*/net/*(N:t) /sys/bus/pci/devices/*/virtio*/net/*(N:t))
  candidates+=(/sys/bus/pci/devices/*/nvme/*(N:t) /sys/bus/pci/devices/*/nvme/*/nvme*n*(N:t))
  candidates+=(/sys/bus/pci/devices/*/virtio*/block/*(N:t) /sys/bus/pci/devices/*/host*/target*/*/block/*(N:t))
  candidates+=(/sys/bus/pci/devices/*/ata*/host*/target*/*/block/*(N:t))
fi
compadd -a candidates
)";

struct Cases {
  std::string paths{};    // of subcommands
  std::string choices{};  // words that may follow each
  std::string files{};    // options whose value is a file
};

bool takes_file(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type == "FILE" || type == "PATH" || type == "[PATH]";
}

std::string all_verdicts() {
  std::string words;
  for (const Verdict verdict : kVerdicts) words += " " + hyphenated(verdict);
  return words;
}

void add(const CLI::App& app, const std::string& path, Cases& cases) {
  std::string words;
  bool devices = false;
  for (const CLI::Option* option : app.get_options()) {
    devices |= option->get_positional() && option->get_name() == "DEVICE";
    if (option->get_positional() && option->get_name() == "VERDICT") words += all_verdicts();
    for (const std::string& name : option->get_lnames()) {
      words += " --" + name;
      if (takes_file(*option)) cases.files += fmt::format("|--{}", name);
    }
    for (const std::string& name : option->get_snames()) {
      if (takes_file(*option)) cases.files += fmt::format("|-{}", name);
    }
  }
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_group().empty()) continue;  // hidden
    words += " " + command->get_name();
    const std::string below = path + " " + command->get_name();
    cases.paths += fmt::format("      '{}') reached='{}' ;;\n", below, below);
    add(*command, below, cases);
  }
  cases.choices += fmt::format("      '{}') choices='{}' devices={} ;;\n", path,
                               words.empty() ? words : words.substr(1), devices ? "yes" : "");
}

std::string filled(std::string script, const CLI::App& app) {
  Cases cases;
  add(app, "", cases);
  if (!cases.files.empty()) cases.files.erase(0, 1);
  for (const auto& [place, text] : {std::pair<std::string, std::string>{"%PATHS%", cases.paths},
                                    {"%FILES%", cases.files},
                                    {"%CHOICES%", cases.choices}}) {
    script.replace(script.find(place), place.size(), text);
  }
  return script;
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  return filled(kBash, app);
}

std::string zsh_completion(const CLI::App& app) {
  return filled(kZsh, app);
}

CLI::App* add_generate(CLI::App& app, int& /*status*/) {
  CLI::App* command = app.add_subcommand("generate", "Print the manual page, or a completion");
  command->group("");  // hidden: only the build calls it
  const auto what = std::make_shared<std::string>();
  command->add_option("WHAT", *what, "man, bash or zsh")
      ->type_name("")
      ->required()
      ->transform(one_of({"man", "bash", "zsh"}));
  command->callback([&app, what] {
    const std::string version = app.get_version_ptr() == nullptr ? "" : app.version();
    fmt::print("{}", *what == "man"    ? manual_page(app, version)
                     : *what == "bash" ? bash_completion(app)
                                       : zsh_completion(app));
  });
  return command;
}

}  // namespace passthru::tools
