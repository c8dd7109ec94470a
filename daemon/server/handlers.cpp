#include "handlers.h"

#include "follow.h"
#include "past.h"

#include <bindlens/protocol/check_request.h>
#include <bindlens/protocol/url.h>

#include <algorithm>
#include <limits>

namespace bindlens::server {
namespace {

using protocol::Listing;
using SharedContext = std::shared_ptr<Context>;

// One request on its way to an answer.
struct Exchange {
  const Request& request;
  const std::vector<protocol::Parameter>& parameters;
  const SharedContext& context;
  const Answer& answer;
};

class SocketSource final : public Source {
 public:
  SocketSource(std::unique_ptr<SocketCursor> cursor, uint64_t limit)
      : cursor_(std::move(cursor)), left_(limit) {}

  State fill(std::string& out, size_t slice) override {
    const size_t enough = out.size() + slice;
    while (out.size() < enough) {
      if (left_ == 0 || !cursor_->next(row_)) return State::done;
      --left_;
      writer_.append(out, row_);
    }
    return State::more;
  }

 private:
  std::unique_ptr<SocketCursor> cursor_;
  uint64_t left_;
  protocol::SocketRow row_;
  protocol::RowWriter writer_;
};

// A list that is in memory already, written item by item.
template <typename Item, typename Append>
class ListSource final : public Source {
 public:
  ListSource(std::vector<Item> items, Append append)
      : items_(std::move(items)), append_(std::move(append)) {}

  State fill(std::string& out, size_t slice) override {
    const size_t enough = out.size() + slice;
    while (next_ < items_.size() && out.size() < enough)
      append_(out, items_[next_++]);
    return next_ < items_.size() ? State::more : State::done;
  }

 private:
  std::vector<Item> items_;
  Append append_;
  size_t next_ = 0;
};

template <typename Item, typename Append>
std::unique_ptr<Source> list_source(std::vector<Item> items, Append append) {
  return std::make_unique<ListSource<Item, Append>>(std::move(items), std::move(append));
}

struct Wanted {
  protocol::FilterSpec spec;
  model::Filter filter;
};

std::expected<Wanted, protocol::FieldError> wanted(const Exchange& x, Listing listing) {
  const auto now = static_cast<protocol::WallNs>(read_clock_ns(CLOCK_REALTIME));
  auto spec = protocol::parse_filter(listing, x.parameters, now);
  if (!spec) return std::unexpected(std::move(spec.error()));
  Backend& backend = x.context->backend;
  auto filter = protocol::resolve(
      *spec, {.user = [&](std::string_view text) { return backend.resolve_user(text); },
              .netns = [&](std::string_view text) { return backend.resolve_netns(text); }});
  if (!filter) return std::unexpected(std::move(filter.error()));
  return Wanted{std::move(*spec), std::move(*filter)};
}

// The filter again, with its times as the history has them.
Backend::PastQuery past_query(Backend::PastQuery::Of of, const Wanted& want) {
  Backend::PastQuery query;
  query.of = of;
  query.filter = want.filter;
  query.filter.since = want.spec.since;
  query.filter.until = want.spec.until;
  query.limit = want.spec.limit;
  query.at = want.spec.at.value_or(0);
  return query;
}

using GotPast = std::function<void(std::unique_ptr<Source>)>;

// The first piece is read before the answer begins: what fails can still be said so.
void with_past(const Exchange& x, Backend::PastQuery query, GotPast got) {
  const uint64_t limit =
      query.of == Backend::PastQuery::Of::sockets ? query.limit.value_or(UINT64_MAX) : UINT64_MAX;
  x.context->backend.past(
      std::move(query), [answer = x.answer, context = x.context, limit,
                         got = std::move(got)](Result<std::unique_ptr<PastCursor>> opened) {
        if (!opened) return answer(error_reply(opened.error()));
        const auto cursor = std::make_shared<std::unique_ptr<PastCursor>>(*std::move(opened));
        (*cursor)->next([answer, context, limit, got, cursor](Result<model::PastPiece> first) {
          if (!first) return answer(error_reply(first.error()));
          got(std::make_unique<PastSource>(context, std::move(*cursor), *std::move(first), limit));
        });
      });
}

void answer_past(const Exchange& x, Backend::PastQuery query) {
  with_past(x, std::move(query), [answer = x.answer](std::unique_ptr<Source> source) {
    answer(list_reply(std::move(source)));
  });
}

void get_sockets(const Exchange& x) {
  auto want = wanted(x, Listing::sockets);
  if (!want) return x.answer(error_reply(want.error()));
  if (want->spec.at) return answer_past(x, past_query(Backend::PastQuery::Of::sockets, *want));
  const uint64_t limit = want->spec.limit.value_or(std::numeric_limits<uint64_t>::max());
  x.context->backend.list_sockets(
      {std::move(want->filter), want->spec.all, want->spec.wide},
      [answer = x.answer, limit](Result<std::unique_ptr<SocketCursor>> cursor) {
        if (!cursor) return answer(error_reply(cursor.error()));
        answer(list_reply(std::make_unique<SocketSource>(std::move(*cursor), limit)));
      });
}

void get_failures(const Exchange& x) {
  const auto want = wanted(x, Listing::failures);
  if (!want) return x.answer(error_reply(want.error()));
  answer_past(x, past_query(Backend::PastQuery::Of::failures, *want));
}

std::unique_ptr<Source> in_memory(const Exchange& x, const Wanted& want) {
  return list_source(x.context->backend.events(want.filter),
                     [context = x.context](std::string& out, const model::Event& e) {
                       protocol::append_event(out, e, context->names);
                     });
}

// With a time or a number the answer reaches back into the history; without, it is
// what is in memory.
bool reaches_back(const protocol::FilterSpec& spec) {
  return spec.since || spec.until || spec.limit;
}

void follow_events(const Exchange& x, Wanted want) {
  if (x.context->followers >= x.context->options.limits.followers)
    return x.answer(error_reply(503, "too many clients follow the events already; try again when "
                                     "one of them has ended"));
  // First of all: what happens from here on is not among what was before.
  const auto follow =
      std::make_shared<std::unique_ptr<FollowSource>>(new FollowSource(x.context, want.filter));
  if (!reaches_back(want.spec)) {
    (*follow)->set_before(in_memory(x, want));
    return x.answer(list_reply(std::move(*follow)));
  }
  with_past(x, past_query(Backend::PastQuery::Of::events, want),
            [answer = x.answer, follow](std::unique_ptr<Source> before) {
              (*follow)->set_before(std::move(before));
              answer(list_reply(std::move(*follow)));
            });
}

void get_events(const Exchange& x) {
  auto want = wanted(x, Listing::events);
  if (!want) return x.answer(error_reply(want.error()));
  if (want->spec.follow) return follow_events(x, *std::move(want));
  if (reaches_back(want->spec))
    return answer_past(x, past_query(Backend::PastQuery::Of::events, *want));
  x.answer(list_reply(in_memory(x, *want)));
}

void get_audit(const Exchange& x) {
  auto want = wanted(x, Listing::findings);
  if (!want) return x.answer(error_reply(want.error()));
  x.context->backend.audit(
      {std::move(want->filter), want->spec.idle_s},
      [answer = x.answer, context = x.context,
       limit = want->spec.limit](Result<std::vector<model::Finding>> findings) {
        if (!findings) return answer(error_reply(findings.error()));
        if (limit && findings->size() > *limit) findings->resize(*limit);
        answer(list_reply(
            list_source(*std::move(findings), [context](std::string& out, const auto& finding) {
              protocol::append_finding(out, finding, context->names);
            })));
      });
}

// Most sockets first, and of those without any most reuses.
void sort_by_count(std::vector<model::TimeWaitPort>& ports) {
  std::ranges::stable_sort(ports, [](const auto& a, const auto& b) {
    return std::pair(b.count, b.reuses.sum()) < std::pair(a.count, a.reuses.sum());
  });
}

Reply timewait_reply(const model::TimeWaitTable& table, std::optional<uint64_t> limit,
                     const SharedContext& context) {
  auto ports = table.ports;
  sort_by_count(ports);
  if (limit && ports.size() > *limit) ports.resize(*limit);
  return list_reply(list_source(
      std::move(ports), [context, complete = table.complete](std::string& out, const auto& p) {
        protocol::append_timewait(out, p, complete, context->names);
      }));
}

void get_timewait(const Exchange& x) {
  auto want = wanted(x, Listing::timewait);
  if (!want) return x.answer(error_reply(want.error()));
  x.context->backend.timewait(std::move(want->filter),
                              [answer = x.answer, context = x.context, limit = want->spec.limit](
                                  const Result<model::TimeWaitTable>& table) {
                                if (!table) return answer(error_reply(table.error()));
                                answer(timewait_reply(*table, limit, context));
                              });
}

void get_ports(const Exchange& x) {
  const auto want = wanted(x, Listing::ports);
  if (!want) return x.answer(error_reply(want.error()));
  Backend::PortsQuery query;
  query.netns = want->filter.netns;
  query.from = want->filter.addr;
  query.to = want->spec.to.addr;
  query.to_port = want->spec.to.port;
  if (want->spec.limit) query.destinations = *want->spec.limit;
  x.context->backend.ports(
      query, [answer = x.answer, context = x.context](Result<model::PortReport> report) {
        if (!report) return answer(error_reply(report.error()));
        answer(json_reply(protocol::to_json(*report, context->names)));
      });
}

void get_reuseport(const Exchange& x) {
  auto want = wanted(x, Listing::groups);
  if (!want) return x.answer(error_reply(want.error()));
  x.context->backend.reuseport(
      std::move(want->filter), [answer = x.answer, context = x.context, limit = want->spec.limit](
                                   Result<std::vector<model::JudgedGroup>> groups) {
        if (!groups) return answer(error_reply(groups.error()));
        if (limit && groups->size() > *limit) groups->resize(*limit);
        answer(
            list_reply(list_source(*std::move(groups), [context](std::string& out, const auto& g) {
              protocol::append_group(out, g, context->names);
            })));
      });
}

// For requests without parameters. True if there were none.
bool took_none(const Exchange& x) {
  if (x.parameters.empty()) return true;
  x.answer(error_reply({x.parameters.front().first, "is not known here; there are no parameters"}));
  return false;
}

void get_status(const Exchange& x) {
  if (took_none(x)) x.answer(json_reply(protocol::to_json(x.context->backend.status())));
}

void get_verify(const Exchange& x) {
  if (!took_none(x)) return;
  x.context->backend.verify(
      [answer = x.answer, context = x.context](Result<protocol::VerifyReport> report) {
        if (!report) return answer(error_reply(report.error()));
        answer(json_reply(protocol::to_json(*report, context->names)));
      });
}

void post_check(const Exchange& x) {
  if (!took_none(x)) return;
  Backend& backend = x.context->backend;
  const auto request = protocol::parse_check_request(
      x.request.body, [&](std::string_view user) { return backend.resolve_user(user); });
  if (!request) return x.answer(error_reply(request.error()));
  backend.check(*request, x.request.peer,
                [answer = x.answer, context = x.context](Result<protocol::CheckReply> reply) {
                  if (!reply) return answer(error_reply(reply.error()));
                  answer(json_reply(protocol::to_json(*reply, context->names)));
                });
}

struct Route {
  std::string_view path;
  std::string_view method;
  std::string_view allow; // for a 405
  void (*handle)(const Exchange&);
};

constexpr Route routes[] = {
    {"/v1/sockets", "GET", "GET, HEAD", get_sockets},
    {"/v1/failures", "GET", "GET, HEAD", get_failures},
    {"/v1/events", "GET", "GET, HEAD", get_events},
    {"/v1/audit", "GET", "GET, HEAD", get_audit},
    {"/v1/ports", "GET", "GET, HEAD", get_ports},
    {"/v1/timewait", "GET", "GET, HEAD", get_timewait},
    {"/v1/reuseport", "GET", "GET, HEAD", get_reuseport},
    {"/v1/status", "GET", "GET, HEAD", get_status},
    {"/v1/verify", "GET", "GET, HEAD", get_verify},
    {"/v1/check", "POST", "POST", post_check},
};

// Paths that other versions of the API have.
constexpr std::string_view elsewhere[] = {"/metrics"};

Reply not_found(std::string_view path) {
  const std::string name(path);
  if (std::ranges::find(elsewhere, path) != std::end(elsewhere))
    return error_reply(404, name + " is not in this version of bindlensd (" BINDLENS_VERSION ")");
  std::string text = "there is no " + name + "; there are";
  std::string_view separator = " ";
  for (const Route& r : routes) {
    text += separator;
    text += r.path;
    separator = ", ";
  }
  return error_reply(404, text);
}

} // namespace

void dispatch(const Request& request, const SharedContext& context, Answer answer) {
  const auto target = protocol::parse_target(request.target);
  if (!target) return answer(error_reply(400, target.error().text));
  const auto* route = std::ranges::find(routes, std::string_view(target->path), &Route::path);
  if (route == std::end(routes)) return answer(not_found(target->path));
  // HEAD is GET; the session leaves the body out.
  const std::string_view method = request.method == "HEAD" ? "GET" : request.method;
  if (method != route->method) {
    Reply reply = error_reply(405, std::string(request.method) + " does not exist for " +
                                       target->path + ", only " + std::string(route->allow));
    reply.allow = route->allow;
    return answer(std::move(reply));
  }
  route->handle({request, target->parameters, context, answer});
}

} // namespace bindlens::server
