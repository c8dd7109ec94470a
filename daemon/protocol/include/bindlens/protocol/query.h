#pragma once

// FILTER: what a request asks for. The CLI checks it before it connects, the
// server checks it again; both use this parser, so that they agree.

#include <bindlens/model/filter.h>
#include <bindlens/protocol/time_text.h>
#include <bindlens/protocol/url.h>
#include <bindlens/util/result.h>

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bindlens::protocol {

// What is wrong with one parameter. `text` names the bad part and what is
// accepted, without naming the parameter: that is a flag for one reader and a
// query parameter for the other.
struct FieldError {
  std::string field;
  std::string text;
};

// Which request the parameters belong to; it decides which ones exist.
enum class Listing : uint8_t { sockets, failures, events, findings, ports, timewait, groups };

// A filter whose syntax is right. Names that only the host knows are still text.
struct FilterSpec {
  std::vector<model::Proto> protos;
  std::vector<model::PortRange> ports;
  std::optional<model::Address> addr;
  std::vector<model::State> states;
  std::optional<uint32_t> pid;
  std::string comm;
  std::string uid;   // number or user name
  std::string netns; // inode number, name or pid
  std::string unit;
  std::string container;
  std::optional<WallNs> since;
  std::optional<WallNs> until;
  std::optional<WallNs> at;            // sockets: as they were then
  std::vector<model::EventType> types; // events
  std::vector<model::Rule> rules;      // failures
  std::optional<uint64_t> limit;       // sockets, findings: the first, else the newest so many
  bool all = false;                    // sockets: accepted children and TIME_WAIT too
  bool wide = false;                   // sockets: with bucket state
  bool follow = false;                 // events: carry on with what happens
  std::optional<uint32_t> idle_s;      // findings: bound and not listening for so long
  struct Destination {
    std::optional<model::Address> addr;
    uint16_t port = 0; // 0 = any
  };
  Destination to; // ports: only connections to there
};

// List parameters may be given several times and take commas; the others once.
[[nodiscard]] std::expected<FilterSpec, FieldError>
parse_filter(Listing listing, const std::vector<Parameter>& parameters, WallNs now);

// The names that `listing` takes, in the order of the documentation.
[[nodiscard]] std::vector<std::string_view> filter_names(Listing listing);

// Turns names into numbers and wall time into the daemon's clock.
struct Resolvers {
  std::function<Result<uint32_t>(std::string_view)> user;
  std::function<Result<uint32_t>(std::string_view)> netns;
};
[[nodiscard]] std::expected<model::Filter, FieldError> resolve(const FilterSpec& spec,
                                                               const Resolvers& resolvers);

} // namespace bindlens::protocol
