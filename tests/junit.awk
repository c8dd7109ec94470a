# Reads a JUnit file of gtest or ctest; prints "STATUS<tab>NAME<tab>REASON" for every
# test case: passed, failed or skipped. Both writers put a tag on a line of its own.

function plain(text) {
  gsub(/&#x0A;|&#10;|\t/, " ", text)
  gsub(/&lt;/, "<", text); gsub(/&gt;/, ">", text)
  gsub(/&quot;/, "\"", text); gsub(/&apos;/, "'", text)
  gsub(/&amp;/, "\\&", text)
  return substr(text, 1, 300)
}

function attribute(name) {
  if (!match($0, " " name "=\"[^\"]*\"")) return ""
  return plain(substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4))
}

function finish() {
  # ctest knows only that the program said 77; why is the last line it printed.
  if (reason ~ /^SKIP_/ && said != "") reason = said
  print status "\t" name "\t" reason
  open = 0
}

/^[ \t]*<testcase name="/ {
  suite = attribute("classname"); name = attribute("name")
  if (suite != "" && suite != name) name = suite "." name
  status = "passed"; reason = said = ""; open = 1
  if (attribute("status") == "fail") status = "failed"
  if (attribute("status") == "disabled" || attribute("result") == "suppressed") {
    status = "skipped"; reason = "disabled"
  }
  if (/\/>[ ]*$/) finish()
  next
}

open && /^[ \t]*<(failure|error) / {
  if (reason == "") reason = attribute("message")
  status = "failed"
}

open && /^[ \t]*<skipped / && status == "passed" {
  reason = attribute("message")
  # ctest also says "skipped" of a program that it could not start.
  status = (by_gtest || reason ~ /^SKIP_/) ? "skipped" : "failed"
}

/<testsuites / { by_gtest = 1 } # ctest writes a single <testsuite>

/<system-out>/ { inside = 1; sub(/.*<system-out>/, "") }
inside {
  line = $0
  sub(/<\/system-out>.*/, "", line)
  if (line ~ /[^ ]/) said = plain(line)
}
/<\/system-out>/ { inside = 0 }
open && /<\/testcase>/ { finish() }
