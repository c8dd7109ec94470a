#pragma once

#include <bindlens/audit/audit.h>
#include <bindlens/rules/explain.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

namespace bindlens::audit {

// One socket or several on one port of one protocol in one namespace.
using Sockets = std::vector<const model::Socket*>;

// What the checks have found so far, and what they ask the host.
class Report {
 public:
  explicit Report(const Input& in);

  [[nodiscard]] const Input& input() const { return in_; }
  [[nodiscard]] const rules::HostFacts& facts(uint32_t netns) const { return in_.facts(netns); }
  // With its processes; looked up once. The reference lives as long as this.
  const model::Blocker& owner(const model::Socket& s);
  // "nginx[812] (nginx.service)"
  [[nodiscard]] std::string who(const model::Socket& s);
  // "nginx[812] (nginx.service) and node[3340]", each once
  [[nodiscard]] std::string who(const Sockets& sockets);
  // "user app", "uid 1000"
  [[nodiscard]] std::string user(uint32_t uid) const;
  [[nodiscard]] std::string device(uint32_t netns, uint32_t index) const;

  struct Words {
    model::FindingId id;
    model::Severity severity;
    std::string summary, detail;
    std::vector<std::string> advice;
    std::vector<model::Delivery> deliveries = {};
    std::string about = {}; // instead of protocol and port, as part of the subject
    // Part of the subject as well, instead of the programs of the sockets.
    std::optional<std::vector<std::string>> programs = {};
  };
  // `sockets`: at least one.
  void add(Words words, const Sockets& sockets);

  // How a member of a reuseport group fares; both null when that is not counted.
  struct Fate {
    const model::JudgedGroup* group = nullptr;
    const model::MemberShare* member = nullptr;
  };
  [[nodiscard]] Fate fate(const model::Socket& s) const;

  // Something will be a finding at that time, unless it changes.
  void expect_at(MonoNs time) { by_age_ = by_age_ ? std::min(*by_age_, time) : time; }
  [[nodiscard]] std::optional<MonoNs> by_age() const { return by_age_; }

  [[nodiscard]] std::vector<model::Finding> take() { return std::move(findings_); }

 private:
  [[nodiscard]] rules::Names names(uint32_t netns) const;

  const Input& in_;
  std::unordered_map<const model::Socket*, model::Blocker> owners_;
  std::unordered_map<model::SocketId, Fate> fates_;
  std::vector<model::Finding> findings_;
  std::optional<MonoNs> by_age_;
};

// "tcp 0.0.0.0:80"
[[nodiscard]] std::string place(const model::Socket& s);
// "0.0.0.0:80 and 127.0.0.1:80", each once
[[nodiscard]] std::string places(const Sockets& sockets);
// "a", "a and b", "a, b and 3 more"
[[nodiscard]] std::string some_of(const std::vector<std::string>& parts);

// Those of a bucket that new connections, or datagrams of anybody, can reach:
// listeners, and UDP sockets without a peer.
[[nodiscard]] Sockets reachable(const model::Bucket& bucket);
[[nodiscard]] bool is_tcp(const model::Bucket& bucket);

// The checks, each for one bucket or one reuseport group, but for the last two.
void find_sharing(Report& report, const model::Bucket& bucket);
void find_groups(Report& report, const model::Bucket& bucket);
void find_stalled(Report& report, const Sockets& group);
void find_skew(Report& report, const Sockets& group);
void find_ephemeral_overlap(Report& report, const model::Bucket& bucket);
void find_holding(Report& report, const model::Bucket& bucket);
void find_closing(Report& report, const model::Bucket& bucket);
void find_exhaustion(Report& report);
void find_reuses(Report& report);

} // namespace bindlens::audit
