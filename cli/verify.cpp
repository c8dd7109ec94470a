#include "commands.h"
#include "fetch.h"
#include "phrases.h"
#include "screens.h"
#include "text.h"

namespace bindlens::cli {

std::string verify_screen(const protocol::VerifyView& v, const Style& style) {
  const std::string first = "differences: " + std::to_string(v.differences);
  std::string out = (v.differences == 0 ? first : style.critical(first)) + "\n";
  for (const auto& d : v.list) {
    std::string text = d.kind + "  " + socket_text(d.socket) + "  " + d.socket.state + "  netns " +
                       netns_text(d.socket);
    if (!d.detail.empty()) text += "  " + d.detail;
    out += plain(text) + "\n";
  }
  if (v.differences > v.list.size())
    out += "and " + thousands(v.differences - v.list.size()) + " more\n";
  out += count_of(v.sockets, "socket") + " compared in " +
         duration(static_cast<int64_t>(v.duration_ns));
  if (!v.source.empty()) out += " (" + plain(v.source) + ")";
  return out + "\n";
}

int run_verify(const Common& common) {
  const auto body = fetch_document(common, "/v1/verify");
  if (!body) return body.error();
  const auto report = protocol::read_verify(*body);
  if (!report) return complain(exit_error, report.error().text);
  common.out->write(common.json ? *body : verify_screen(*report, common.style));
  return finish(common, report->differences == 0 ? exit_done : exit_no);
}

} // namespace bindlens::cli
