# scripts/test.d/times.awk - prints from ctest's log how long the tests of each kind took. With times=yes it prints each
# test too, the longest first. For a lab run it adds the boot, the boots of its guests up to their first process, and
# the wait for a core.
# SPDX-License-Identifier: MIT
function kind_of(name) {
  return name ~ /^lab\./ ? "lab" : name ~ /^check\./ ? "checks" : "unit tests"
}
/^[0-9]+\/[0-9]+ Test: / { name = $3; boot = guests = guest_s = waited = ""; next }
/^lab: times: / { boot = $3; waited = $(NF - 5) }
/^ +[^ ]+: the first process after / {
  guests++
  for (i = 1; i < NF; ++i) if ($i == "after") guest_s += $(i + 1)
}
/^Test time = / {
  kind = kind_of(name)
  seconds[kind] += $4
  count[kind]++
  line = sprintf("%8.1f s  %s", $4, name)
  if (boot != "") line = line sprintf("  (boot %s s, waited %s s; %d guests, %.1f s to their first processes)", boot, waited, guests, guest_s)
  lines[++n] = line
}
END {
  if (times == "yes") {
    command = "sort -rn | head -n 80"
    for (i = 1; i <= n; ++i) if (lines[i] + 0 >= 0.5) print lines[i] | command
    close(command)
  }
  line = ""
  split("unit tests,lab,checks", kinds, ",")
  for (i = 1; i <= 3; ++i) {
    if (count[kinds[i]]) line = line sprintf("%s%s %.0f s (%d)", line == "" ? "" : ", ", kinds[i], seconds[kinds[i]], count[kinds[i]])
  }
  print "tests, in parallel: " line
}
