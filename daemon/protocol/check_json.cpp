#include "json_text.h"

#include <bindlens/protocol/check_request.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>

namespace bindlens::protocol {
namespace {

using nlohmann::json;
using Complaint = std::optional<std::string>;

constexpr std::string_view proto_expected = "is not one of tcp, udp, udplite";

std::string in_quotes(std::string_view text) {
  return "'" + std::string(text) + "'";
}

std::string shown(const json& value) {
  return value.is_string() ? in_quotes(value.get_ref<const std::string&>())
                           : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// MPTCP sockets bind through TCP: there is no request of that kind.
std::optional<model::Proto> checkable_proto(std::string_view text) {
  const auto proto = model::parse_proto(text);
  return proto == model::Proto::mptcp ? std::nullopt : proto;
}

bool is_profile(std::string_view os) {
  return std::ranges::find(os_profiles, os) != std::end(os_profiles);
}

std::string profiles_text() {
  std::string text = "is not one of ";
  std::string_view separator;
  for (const std::string_view p : os_profiles) {
    text += separator;
    text += p;
    separator = ", ";
  }
  return text;
}

Complaint read_flag(bool& to, const json& value) {
  if (!value.is_boolean()) return shown(value) + " is neither true nor false";
  to = value.get<bool>();
  return std::nullopt;
}

Complaint read_text(std::string& to, const json& value, std::string_view what) {
  if (!value.is_string() || value.get_ref<const std::string&>().empty())
    return shown(value) + " is no text; " + std::string(what) + " is expected";
  to = value.get<std::string>();
  return std::nullopt;
}

// One member of the body into the request.
struct Reader {
  CheckRequest request;
  const std::function<Result<uint32_t>(std::string_view)>& resolve_user;
  bool has_proto = false, has_addr = false, has_port = false;
  bool is_star = false;

  Complaint proto(const json& value) {
    const auto p =
        value.is_string() ? checkable_proto(value.get_ref<const std::string&>()) : std::nullopt;
    if (!p) return shown(value) + " " + std::string(proto_expected);
    request.proto = *p;
    has_proto = true;
    return std::nullopt;
  }
  Complaint addr(const json& value) {
    const auto a = value.is_string() ? model::parse_address(value.get_ref<const std::string&>())
                                     : std::nullopt;
    if (!a) return shown(value) + " is no address; 192.0.2.1, 2001:db8::1 or * is expected";
    request.at.addr = *a;
    is_star = value.get_ref<const std::string&>() == "*";
    has_addr = true;
    return std::nullopt;
  }
  Complaint port(const json& value) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > 65535)
      return shown(value) + " is no port; a number from 0 to 65535 is expected";
    request.at.port = value.get<uint16_t>();
    has_port = true;
    return std::nullopt;
  }
  Complaint uid(const json& value) {
    if (value.is_string()) {
      const auto uid = resolve_user(value.get_ref<const std::string&>());
      if (!uid) return uid.error().text;
      request.uid = *uid;
      return std::nullopt;
    }
    if (!value.is_number_unsigned() || value.get<uint64_t>() > std::numeric_limits<uint32_t>::max())
      return shown(value) + " is no user; a user id or name is expected";
    request.uid = value.get<uint32_t>();
    return std::nullopt;
  }
  Complaint v6only(const json& value) {
    bool on = false;
    auto complaint = read_flag(on, value);
    if (!complaint) request.v6only = on;
    return complaint;
  }
  Complaint netns(const json& value) {
    if (value.is_number_unsigned()) {
      request.netns = std::to_string(value.get<uint64_t>());
      return std::nullopt;
    }
    return read_text(request.netns, value, "an inode number, a name or a process id");
  }
  Complaint os(const json& value) {
    if (!value.is_string() || !is_profile(value.get_ref<const std::string&>()))
      return shown(value) + " " + profiles_text();
    request.os = value.get<std::string>();
    return std::nullopt;
  }

  Complaint member(const std::string& name, const json& value) {
    if (name == "proto") return proto(value);
    if (name == "addr") return addr(value);
    if (name == "port") return port(value);
    if (name == "reuseaddr") return read_flag(request.reuseaddr, value);
    if (name == "reuseport") return read_flag(request.reuseport, value);
    if (name == "v6only") return v6only(value);
    if (name == "listen") return read_flag(request.listen, value);
    if (name == "uid") return uid(value);
    if (name == "dev") return read_text(request.dev, value, "an interface name");
    if (name == "freebind") return read_flag(request.freebind, value);
    if (name == "transparent") return read_flag(request.transparent, value);
    if (name == "netns") return netns(value);
    if (name == "os") return os(value);
    return "is not known; accepted are proto, addr, port, reuseaddr, reuseport, v6only, listen, "
           "uid, dev, freebind, transparent, netns, os";
  }
};

// "*" is 0.0.0.0, and [::] for who speaks about IPV6_V6ONLY.
model::Address wildcard_for(const std::optional<bool>& v6only) {
  return model::Address::any(v6only ? model::Family::inet6 : model::Family::inet);
}

// v6only and the protocol against the address, listen against the protocol.
std::optional<FieldError> contradiction(const model::Endpoint& at, model::Proto proto,
                                        bool has_v6only, bool listen) {
  if (has_v6only && at.addr.family == model::Family::inet)
    return FieldError{"v6only", "goes with an IPv6 address only"};
  if (listen && proto != model::Proto::tcp)
    return FieldError{"listen", "goes with tcp only: " + std::string(to_string(proto)) +
                                    " sockets do not listen"};
  return std::nullopt;
}

} // namespace

std::expected<CheckRequest, FieldError>
parse_check_request(std::string_view text,
                    const std::function<Result<uint32_t>(std::string_view)>& resolve_user) {
  const json body = json::parse(text, nullptr, false);
  if (!body.is_object())
    return std::unexpected(FieldError{"", "the body is no JSON object, such as "
                                          R"({"proto":"tcp","addr":"*","port":8080})"});
  Reader reader{{}, resolve_user};
  for (const auto& [name, value] : body.items())
    if (auto complaint = reader.member(name, value))
      return std::unexpected(FieldError{name, std::move(*complaint)});
  if (!reader.has_proto) return std::unexpected(FieldError{"proto", "is missing"});
  if (!reader.has_addr) return std::unexpected(FieldError{"addr", "is missing"});
  if (!reader.has_port) return std::unexpected(FieldError{"port", "is missing"});
  CheckRequest& r = reader.request;
  if (reader.is_star) r.at.addr = wildcard_for(r.v6only);
  if (auto error = contradiction(r.at, r.proto, r.v6only.has_value(), r.listen))
    return std::unexpected(std::move(*error));
  return r;
}

std::expected<std::string, FieldError> check_body(const CheckArguments& a) {
  const auto proto = checkable_proto(a.proto);
  if (!proto)
    return std::unexpected(
        FieldError{"PROTO", in_quotes(a.proto) + " " + std::string(proto_expected)});
  auto at = model::parse_endpoint(a.addr_port);
  if (!at)
    return std::unexpected(FieldError{
        "ADDR:PORT", in_quotes(a.addr_port) + " is no address and port; accepted are 192.0.2.1:80, "
                                              "[2001:db8::1]:80 and *:80, with a port from 0 to "
                                              "65535"});
  if (a.addr_port.starts_with('*')) at->addr = wildcard_for(a.v6only);
  if (auto error = contradiction(*at, *proto, a.v6only.has_value(), a.listen))
    return std::unexpected(std::move(*error));
  if (!a.os.empty() && !is_profile(a.os))
    return std::unexpected(FieldError{"os", in_quotes(a.os) + " " + profiles_text()});
  std::string out;
  ObjectWriter body(out);
  body.word("proto", to_string(*proto));
  body.word("addr", to_string(at->addr));
  body.number("port", at->port);
  body.remark("reuseaddr", a.reuseaddr);
  body.remark("reuseport", a.reuseport);
  if (a.v6only) body.flag("v6only", *a.v6only);
  body.remark("listen", a.listen);
  body.known_text("uid", a.uid);
  body.known_text("dev", a.dev);
  body.remark("freebind", a.freebind);
  body.remark("transparent", a.transparent);
  body.known_text("netns", a.netns);
  body.known_text("os", a.os);
  body.end();
  return out;
}

} // namespace bindlens::protocol
