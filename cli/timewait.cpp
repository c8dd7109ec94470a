#include "commands.h"
#include "fetch.h"
#include "screens.h"

#include <bindlens/util/clock.h>

namespace bindlens::cli {

int run_timewait(const Common& common, const Query& query) {
  const std::string target = protocol::make_target("/v1/timewait", query.parameters);
  if (common.json) {
    const auto copied = copy_answer(common, target);
    return copied ? finish(common, exit_done) : copied.error();
  }
  const auto now = static_cast<protocol::WallNs>(read_clock_ns(CLOCK_REALTIME));
  Result<void> readable;
  bool any = false;
  bool complete = true;
  const auto take = [&](std::string_view line) {
    const auto port = protocol::read_timewait(line);
    if (!port) {
      readable = std::unexpected(port.error());
      return false;
    }
    complete = complete && port->complete;
    const std::string text = timewait_screen(*port, common.style, now);
    const bool more = common.out->write(any ? "\n" + text : text);
    any = true;
    return more;
  };
  const auto fetched = for_each_line(common, target, take);
  if (!fetched) return fetched.error();
  if (!readable) return complain(exit_error, readable.error().text);
  if (!any) common.out->write("no port is held by TIME_WAIT, and no reuse of one was seen\n");
  if (!complete)
    common.out->write("\nIncomplete: tables changed faster than they could be read.\n");
  return finish(common, exit_done);
}

} // namespace bindlens::cli
