# scripts/bench.d/plot.awk - the plot of docs/performance.md, as SVG: CPU time of an event over the number of sources,
# with a line for each way. Its input is the output of `points` in forward.jq.
# SPDX-License-Identifier: MIT
BEGIN {
  FS = "\t"
  width = 900; height = 480; left = 60; right = 640; top = 50; bottom = 430
  color["bare_write"] = "#9a9a9a"; color["epoll_level"] = "#c44e52"; color["epoll_edge"] = "#dd8452"
  color["ring_coop"] = "#8172b3"; color["ring_defer"] = "#4c9bb0"; color["forwarder"] = "#1a5fb4"
  color["forwarder_epoll"] = "#55a868"
}
function log2(n) { return log(n) / log(2) }
function x_of(sources) { return left + (right - left) * log2(sources) / log2(most_sources) }
function y_of(ns) { return bottom - (bottom - top) * ns / most_ns }
function comma(n) { return n < 1000 ? n : sprintf("%d,%03d", n / 1000, n % 1000) }
function text(x, y, anchor, words, style) {
  printf "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\"%s>%s</text>\n", x, y, anchor, style, words
}

{
  if (!($1 in name)) { way[++ways] = $1; name[$1] = $2 }
  point[$1, ++points[$1]] = $3 "\t" $4
  if ($3 > most_sources) most_sources = $3
  if ($4 > most_ns) most_ns = $4
}

END {
  most_ns = (int(most_ns / 200) + 1) * 200
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\"", width, height, width, height
  print " font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">"
  printf "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height
  text(left, 26, "start", "CPU time of an event in ns, signals and sinks included, less the bare signals", " font-size=\"15\"")
  for (ns = 0; ns <= most_ns; ns += 200) {
    printf "<path d=\"M%d %.1fH%d\" stroke=\"#e4e4e4\"/>\n", left, y_of(ns), right
    text(left - 8, y_of(ns) + 4, "end", comma(ns), "")
  }
  for (n = 1; n <= most_sources; n *= 4) text(x_of(n), bottom + 20, "middle", comma(n), "")
  text((left + right) / 2, bottom + 42, "middle", "sources, all signalled at once", "")

  for (i = 1; i <= ways; ++i) {
    d = ""
    for (k = 1; k <= points[way[i]]; ++k) {
      split(point[way[i], k], pair, "\t")
      d = d sprintf("%s%.1f %.1f", k == 1 ? "M" : "L", x_of(pair[1]), y_of(pair[2]))
      end[i] = y_of(pair[2])
    }
    printf "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%s\" stroke-linejoin=\"round\"/>\n", d, \
      color[way[i]], way[i] == "forwarder" ? 3.5 : 1.8
  }

  # Puts each name at the end of its line, from the bottom up, at least 17 above the name below.
  for (i = 1; i <= ways; ++i) order[i] = i
  for (i = 1; i <= ways; ++i)
    for (k = i + 1; k <= ways; ++k)
      if (end[order[k]] > end[order[i]]) { t = order[i]; order[i] = order[k]; order[k] = t }
  last = bottom + 17
  for (i = 1; i <= ways; ++i) {
    id = order[i]
    y = end[id] < last - 17 ? end[id] : last - 17
    last = y
    printf "<path d=\"M%d %.1fL%d %.1f\" stroke=\"%s\"/>\n", right + 3, end[id], right + 22, y, color[way[id]]
    text(right + 27, y + 4, "start", name[way[id]], \
      " fill=\"" color[way[id]] "\"" (way[id] == "forwarder" ? " font-weight=\"bold\"" : ""))
  }
  print "</svg>"
}
