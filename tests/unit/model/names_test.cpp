#include <bindlens/model/event.h>
#include <bindlens/model/rule.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace bindlens::model {
namespace {

// Names from `first` to `last`; each value has one, and no two share it.
template <typename E>
std::vector<std::string_view> names(E first, E last) {
  std::vector<std::string_view> all;
  for (int v = static_cast<int>(first); v <= static_cast<int>(last); ++v) {
    const auto name = to_string(static_cast<E>(v));
    EXPECT_FALSE(name.empty()) << "value " << v;
    all.push_back(name);
  }
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), all.size());
  // What comes after the last has none: else a new value escaped this test.
  EXPECT_EQ(to_string(static_cast<E>(static_cast<int>(last) + 1)), "");
  return all;
}

std::string swapped_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    c = static_cast<char>(std::isupper(c) != 0 ? std::tolower(c) : std::toupper(c));
  return out;
}

template <typename E, typename Parse>
void expect_round_trip(E first, E last, Parse parse) {
  names(first, last);
  for (int v = static_cast<int>(first); v <= static_cast<int>(last); ++v) {
    const std::string name(to_string(static_cast<E>(v)));
    EXPECT_EQ(parse(name), static_cast<E>(v)) << name;
    EXPECT_EQ(parse(swapped_case(name)), static_cast<E>(v)) << name;
    EXPECT_FALSE(parse(name + " ")) << name;
    EXPECT_FALSE(parse(name.substr(0, name.size() - 1))) << name;
  }
  EXPECT_FALSE(parse(""));
  EXPECT_FALSE(parse("nonsense"));
}

TEST(Names, OfProtocolsComeBack) {
  expect_round_trip(Proto::tcp, Proto::mptcp, parse_proto);
}

TEST(Names, OfStatesComeBack) {
  expect_round_trip(State::established, State::closing, parse_state);
  EXPECT_EQ(to_string(State{}), "");
}

TEST(Names, OfStatesAreTheKernels) {
  EXPECT_EQ(to_string(State::listen), "LISTEN");
  EXPECT_EQ(to_string(State::bound), "BOUND");
  EXPECT_EQ(to_string(State::fin_wait2), "FIN_WAIT2");
  for (const std::string_view of_ss : {"listening", "closed", "close", "unconn", "all", "syn-sent"})
    EXPECT_FALSE(parse_state(of_ss)) << of_ss;
}

TEST(Names, OfRulesComeBack) {
  expect_round_trip(Rule::listener, Rule::invalid_argument, parse_rule);
  EXPECT_EQ(to_string(Rule::none), "");
}

TEST(Names, OfEventTypesComeBack) {
  expect_round_trip(EventType::bind, EventType::stop, parse_event_type);
}

using List = std::vector<std::string_view>;

TEST(Names, OfTheOtherEnumsAreComplete) {
  EXPECT_EQ(names(BoundBy::bind, BoundBy::accept), (List{"bind", "autobind", "connect", "accept"}));
  EXPECT_EQ(to_string(BoundBy::unknown), "");
  EXPECT_EQ(names(Call::bind, Call::send), (List{"bind", "listen", "connect", "send"}));
  EXPECT_EQ(names(Evidence::observed, Evidence::reconstructed),
            (List{"observed", "reconstructed"}));
  EXPECT_EQ(names(Relation::same, Relation::v4_mapped),
            (List{"same", "holder-is-wildcard", "requester-is-wildcard", "v6-wildcard-covers-v4",
                  "v4-mapped"}));
  EXPECT_EQ(to_string(Relation::none), "");
}

} // namespace
} // namespace bindlens::model
