// SPDX-License-Identifier: MIT
// No file is opened: the link in /proc names it, and stat(2) of the link gives its device number.
#include "prepare/open_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <sstream>

#include "base/printable.h"
#include "base/small_file.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

std::optional<int> pid_in(const std::string& name) {
  int pid = 0;
  const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  const bool whole = error == std::errc{} && stop == name.data() + name.size() && pid > 0;
  return whole ? std::optional(pid) : std::nullopt;
}

// Returns the command line, or the name of a process that has hidden its command line.
std::string command_in(const fs::path& process) {
  constexpr size_t kShown = 60;
  std::string words = read_file(process / "cmdline", kShown + 1).value_or(std::string());
  std::replace(words.begin(), words.end(), '\0', ' ');
  words.erase(words.find_last_not_of(' ') + 1);
  if (words.empty()) words = first_line(process / "comm");
  const bool cut = words.size() > kShown;
  return printable(words.substr(0, kShown)) + (cut ? "..." : "");
}

// "812 (agetty) S 1 ...": the name may contain blanks and parentheses.
bool is_stopped(const fs::path& process) {
  const std::string line = first_line(process / "stat");
  const size_t state = line.rfind(") ");
  return state != line.npos && (line[state + 2] == 'T' || line[state + 2] == 't');
}

// Returns whether the text is the name of a unit. A user can give a control group any other name,
// which would be dangerous in a command for root's shell.
bool is_unit_name(std::string_view text) {
  constexpr const char* kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.@\\";
  return !text.starts_with('-') && text.find_first_not_of(kLetters) == text.npos;
}

// A shell takes the next character as it is after a backslash, which systemd uses in names:
// "a\x2db.service" is the unit of "a-b".
std::string for_shell(const std::string& unit) {
  std::string word;
  for (const char c : unit) word += c == '\\' ? std::string("\\\\") : std::string(1, c);
  return word;
}

bool is_user_id(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

// Finds the service in "0::/system.slice/system-getty.slice/getty@tty1.service" or in
// "0::/user.slice/user-1000.slice/user@1000.service/session.slice/pipewire.service".
std::string unit_in(const fs::path& process) {
  std::istringstream lines(read_file(process / "cgroup").value_or(std::string()));
  for (std::string line; std::getline(lines, line);) {
    const size_t start = line.find(":/");
    const std::string path = start == line.npos ? "" : line.substr(start + 1);
    std::string last = path.substr(path.rfind('/') + 1);
    if (!last.ends_with(".service") || !is_unit_name(last)) continue;
    if (path.starts_with("/system.slice/")) return last;
    constexpr std::string_view kUser = "/user@";
    const size_t user = path.find(kUser);
    if (user == path.npos || last.starts_with("user@")) continue;
    const size_t begin = user + kUser.size();
    const std::string id = path.substr(begin, path.find('.', begin) - begin);
    if (is_user_id(id)) return fmt::format("--user -M {}@ {}", id, last);
  }
  return {};
}

// The kind and the number of a device node: "c4:65", "b8:0".
std::string key_of(bool block, const std::string& number) {
  return (block ? "b" : "c") + number;
}

// Returns the key of the open file; empty if it is not a device node.
std::string key_of(const OpenFile& file) {
  struct statx status = {};
  // Without a question to a server: a file of a dead NFS server would block.
  if (::statx(AT_FDCWD, file.link.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE, &status) != 0) return {};
  const unsigned kind = status.stx_mode & S_IFMT;
  if (kind != S_IFBLK && kind != S_IFCHR) return {};
  return key_of(kind == S_IFBLK,
                fmt::format("{}:{}", status.stx_rdev_major, status.stx_rdev_minor));
}

// Device nodes by what an open file shows of them.
class NodeIndex {
 public:
  explicit NodeIndex(const std::vector<DeviceNode>& nodes) {
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (!nodes[i].number.empty()) by_key_.emplace(key_of(nodes[i].block, nodes[i].number), i);
      by_file_.emplace("/dev/" + nodes[i].file, i);
    }
  }
  // Prefers the number: the same name may be another device in a container.
  [[nodiscard]] std::optional<size_t> find(const OpenFile& file) const {
    if (file.target.find("/dev/") == file.target.npos) return std::nullopt;
    const std::string key = key_of(file);
    const auto& map = key.empty() ? by_file_ : by_key_;
    const auto found = map.find(key.empty() ? file.target : key);
    return found == map.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::map<std::string, size_t> by_key_;
  std::map<std::string, size_t> by_file_;
};

}  // namespace

std::string Process::str() const {
  return fmt::format("process {} ({}{})", pid, command, stopped ? ", stopped" : "");
}

std::string Process::remedy() const {
  if (pid == 1 || unit == "systemd-logind.service") return {};
  if (!unit.empty()) return "systemctl stop " + for_shell(unit);
  // A stopped process acts on SIGTERM only after SIGCONT.
  return stopped ? fmt::format("kill {0} && kill -CONT {0}", pid) : fmt::format("kill {}", pid);
}

Process describe_process(const fs::path& proc, int pid) {
  const fs::path process = proc / std::to_string(pid);
  return {.pid = pid,
          .command = command_in(process),
          .unit = unit_in(process),
          .stopped = is_stopped(process)};
}

Result<void> for_each_open_file(const fs::path& proc,
                                const std::function<void(const OpenFile&)>& look,
                                size_t max_files) {
  const auto names = names_in(proc);
  if (!names) return fail(ENOENT, "list the processes", "cannot read " + proc.string());
  const std::string self = link_name(proc / "self");
  std::vector<int> pids;
  for (const std::string& name : *names) {
    if (const auto pid = pid_in(name); pid && name != self) pids.push_back(*pid);
  }
  std::sort(pids.begin(), pids.end());
  size_t files = 0;
  for (const int pid : pids) {
    const fs::path process = proc / std::to_string(pid);
    std::error_code error;
    for (fs::directory_iterator at(process / "fd", error), end; !error && at != end;
         at.increment(error)) {
      if (++files > max_files) {
        return fail(E2BIG, "find the processes that have it open",
                    fmt::format("the processes have more than {} open files", max_files));
      }
      std::error_code closed;
      const fs::path target = fs::read_symlink(at->path(), closed);
      if (closed) continue;
      look({.pid = pid,
            .link = at->path(),
            .fdinfo = process / "fdinfo" / at->path().filename(),
            .target = target.string()});
    }
  }
  return {};
}

Result<std::vector<OpenNode>> find_open_nodes(const fs::path& proc,
                                              const std::vector<DeviceNode>& nodes) {
  std::vector<OpenNode> open;
  if (nodes.empty()) return open;
  const NodeIndex index(nodes);
  std::map<size_t, std::vector<int>> pids;  // by index of the node
  PASSTHRU_TRY(for_each_open_file(proc, [&](const OpenFile& file) {
    const auto i = index.find(file);
    if (!i) return;
    std::vector<int>& of_node = pids[*i];
    if (of_node.empty() || of_node.back() != file.pid) of_node.push_back(file.pid);
  }));
  for (const auto& [i, of_node] : pids) {
    OpenNode found{.node = nodes[i], .processes = {}};
    for (const int pid : of_node) found.processes.push_back(describe_process(proc, pid));
    open.push_back(std::move(found));
  }
  return open;
}

}  // namespace passthru
