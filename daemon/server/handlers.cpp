#include "handlers.h"

#include "follow.h"

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

void get_sockets(const Exchange& x) {
  auto want = wanted(x, Listing::sockets);
  if (!want) return x.answer(error_reply(want.error()));
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
  x.context->backend.failures(
      want->filter, [answer = x.answer, context = x.context,
                     limit = want->spec.limit](Result<Backend::Failures> failures) {
        if (!failures) return answer(error_reply(failures.error()));
        if (limit && failures->size() > *limit) failures->resize(*limit);
        answer(list_reply(
            list_source(*std::move(failures), [context](std::string& out, const auto& failure) {
              protocol::append_failure(out, *failure, context->names);
            })));
      });
}

void get_events(const Exchange& x) {
  auto want = wanted(x, Listing::events);
  if (!want) return x.answer(error_reply(want.error()));
  const auto& spec = want->spec;
  if (spec.follow && x.context->followers >= x.context->options.limits.followers)
    return x.answer(error_reply(503, "too many clients follow the events already; try again when "
                                     "one of them has ended"));
  auto events = x.context->backend.events(want->filter);
  if (spec.limit && events.size() > *spec.limit)
    events.erase(events.begin(), events.end() - static_cast<std::ptrdiff_t>(*spec.limit));
  if (spec.follow)
    return x.answer(list_reply(
        std::make_unique<FollowSource>(x.context, std::move(want->filter), std::move(events))));
  x.answer(list_reply(list_source(std::move(events),
                                  [context = x.context](std::string& out, const model::Event& e) {
                                    protocol::append_event(out, e, context->names);
                                  })));
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
    {"/v1/status", "GET", "GET, HEAD", get_status},
    {"/v1/verify", "GET", "GET, HEAD", get_verify},
    {"/v1/check", "POST", "POST", post_check},
};

// Paths that other versions of the API have.
constexpr std::string_view elsewhere[] = {"/v1/reuseport", "/v1/timewait", "/metrics"};

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
