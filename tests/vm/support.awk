# Makes docs/kernel-support.md of the output of support_report, one file per tier.
# "==> kernel 6.1 (6.1.192-2), tier kprobe: ..." begins what one kernel said.

function keep(list, key) { if (!((list, key) in known)) { known[list, key] = 1; order[list, ++count[list]] = key } }
function cells(prefix, fallback,   i, text, key) {
  for (i = 1; i <= count["kernel"]; i++) {
    key = prefix SUBSEP order["kernel", i]
    text = text " " (key in cell ? cell[key] : fallback) " |"
  }
  return text
}
function heading(columns,   i, text, rule) {
  for (i = 1; i <= count["kernel"]; i++) text = text " " order["kernel", i] " |"
  print "| " columns " |" text
  rule = "| " columns " |" text
  gsub(/[^|]+/, " --- ", rule)
  print rule
}

/^==> kernel [^ ]+ \(/ {
  split($0, word, " ")
  kernel = word[3]
  tier = word[6]
  sub(/:$/, "", tier)
  version = word[4]
  gsub(/[(),]/, "", version)
  keep("kernel", kernel)
  cell["package", kernel] = version
}
$1 == "variant" { cell["variant", kernel] = $2 }
$1 == "hook" { keep("hook", $2); cell[tier SUBSEP $2, kernel] = $3 == "-" ? "–" : $3 }
$1 == "without" { keep("without", $2); effect[$2] = $3 }
$1 == "program" { keep("program", $2); cell[$2, kernel] = $3 ? $3 : "?" }
$1 == "sockets" { keep("sockets", $2); cell[$2, kernel] = $3 }
$1 == "rule" { keep("rule", $2); cell[$2, kernel] = $3 }

END {
  print "# Kernel support\n"
  print "One unchanged build on Debian's kernels, in every tier. This page is written by `tests/vm/support`,"
  print "which boots each of them and asks; `tests/run` compares it with what the kernels say.\n"
  print "## Features\n"
  heading("tier | feature")
  print "| | package |" cells("package", "?")
  print "| | BPF object (`docs/architecture.md`) |" cells("variant", "?")
  split("trampoline kprobe tracepoint", tiers, " ")
  for (t = 1; t <= 3; t++)
    for (i = 1; i <= count["hook"]; i++)
      print "| " tiers[t] " | hook `" order["hook", i] "` |" cells(tiers[t] SUBSEP order["hook", i], "?")
  for (i = 1; i <= count["sockets"]; i++)
    print "| | kernel has " order["sockets", i] " |" cells(order["sockets", i], "?")
  for (i = 1; i <= count["rule"]; i++)
    print "| | rule `" order["rule", i] "` |" cells(order["rule", i], "?")
  print "\nA hook shows the route by which it is attached; – is missing. What that means for the answers,"
  print "which `bindlens status` says as well:\n"
  for (i = 1; i <= count["without"]; i++)
    print "- `" order["without", i] "`: " effect[order["without", i]] "."
  print "- SCTP sockets have a bind of their own and are not seen on any kernel."
  print "\n## What the verifier went through\n"
  print "Instructions per program, the limit being 1,000,000; ? where the kernel does not tell (before 5.16),"
  print "– where the program is not loaded in any tier.\n"
  heading("program")
  for (i = 1; i <= count["program"]; i++)
    print "| `" order["program", i] "` |" cells(order["program", i], "–")
}
