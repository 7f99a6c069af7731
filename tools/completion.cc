// SPDX-License-Identifier: MIT
// Owns the completion of words: one function for bash, with a case for each subcommand.
#include <fmt/format.h>

#include <string>

#include "tools/command_words.h"

namespace passthru::tools {
namespace {

constexpr const char* kStart = R"(# completion of 'passthru', generated when it was built
_passthru() {
  # Not COMP_WORDS: bash divides a PCI address at its colons.
  local line=${COMP_LINE:0:COMP_POINT}
  local cur=${line##* } path='' words='' devices='' prev='' word
  for word in ${line% *}; do
    prev=$word
    case "$path $word" in
)";

constexpr const char* kMiddle = R"(    esac
  done
  if [[ $prev == --device ]]; then
    words='' devices=yes
  elif [[ $prev == @(%FILES%) ]]; then
    compopt -o default 2>/dev/null
    COMPREPLY=()
    return
  else
    case $path in
)";

constexpr const char* kEnd = R"(    esac
  fi
  if [[ -n $devices && $cur != -* ]]; then
    local device
    for device in /sys/bus/pci/devices/*; do words+=" ${device##*/}"; done
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
  fi
}
complete -F _passthru passthru
)";

struct Cases {
  std::string paths{};  // of subcommands
  std::string words{};  // what may follow each
  std::string files{};  // options whose value is a file
};

bool takes_file(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type == "FILE" || type == "PATH" || type == "[PATH]" || type == "BZIMAGE";
}

void add(const CLI::App& app, const std::string& path, Cases& cases) {
  std::string words;
  bool devices = false;
  for (const CLI::Option* option : app.get_options()) {
    devices |= option->get_positional() && option->get_name() == "DEVICE";
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
    cases.paths += fmt::format("      '{}') path='{}' ;;\n", below, below);
    add(*command, below, cases);
  }
  cases.words += fmt::format("      '{}') words='{}' devices={} ;;\n", path,
                             words.empty() ? words : words.substr(1), devices ? "yes" : "");
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  Cases cases;
  add(app, "", cases);
  std::string middle = kMiddle;
  const std::string place = "%FILES%";
  middle.replace(middle.find(place), place.size(),
                 cases.files.empty() ? "" : cases.files.substr(1));
  return kStart + cases.paths + middle + cases.words + kEnd;
}

std::string zsh_completion(const CLI::App& app) {
  return "#compdef passthru\nautoload -U +X bashcompinit && bashcompinit\n" + bash_completion(app);
}

CLI::App* add_generate(CLI::App& app, int& /*status*/) {
  CLI::App* command = app.add_subcommand("generate", "Print the manual page, or a completion");
  command->group("");  // not for people
  const auto what = std::make_shared<std::string>();
  command->add_option("WHAT", *what, "man, bash or zsh")
      ->required()
      ->check(CLI::IsMember({"man", "bash", "zsh"}));
  command->callback([&app, what] {
    const std::string version = app.get_version_ptr() == nullptr ? "" : app.version();
    fmt::print("{}", *what == "man"    ? manual_page(app, version)
                     : *what == "bash" ? bash_completion(app)
                                       : zsh_completion(app));
  });
  return command;
}

}  // namespace passthru::tools
