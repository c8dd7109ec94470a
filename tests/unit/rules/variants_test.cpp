#include "world.h"

#include <algorithm>

namespace bindlens::rules::test {
namespace {

ScenarioAnswers current_kernel() {
  ScenarioAnswers a;
  a.udp_wildcard_bound = a.mapped_bound_under_wildcard = a.cleared_reuseaddr_shared = false;
  a.bound_over_timewait = false;
  a.port_back_to_connect = a.queued_child_keeps_uid = a.has_socket_port_range = true;
  a.loopback_alias_bound = a.has_udplite = true;
  return a;
}

TEST(Calibration, ACurrentKernelIsTheDefault) {
  EXPECT_EQ(variants_from(current_kernel()), Variants{});
}

TEST(Calibration, EachAnswerSetsItsVariant) {
  const auto with = [](auto member, bool value) {
    ScenarioAnswers a = current_kernel();
    a.*member = value;
    return variants_from(a);
  };
  EXPECT_TRUE(with(&ScenarioAnswers::udp_wildcard_bound, true).udp_wildcard_gap);
  EXPECT_TRUE(with(&ScenarioAnswers::mapped_bound_under_wildcard, true).mapped_wildcard_gap);
  EXPECT_TRUE(with(&ScenarioAnswers::cleared_reuseaddr_shared, true).first_binder_cache);
  EXPECT_FALSE(with(&ScenarioAnswers::port_back_to_connect, false).connect_reset);
  EXPECT_EQ(with(&ScenarioAnswers::queued_child_keeps_uid, false).reuseport_uid,
            Variants::Uid::inode);
  EXPECT_FALSE(with(&ScenarioAnswers::has_socket_port_range, false).socket_port_range);
  EXPECT_FALSE(with(&ScenarioAnswers::loopback_alias_bound, false).per_address_buckets);
  EXPECT_TRUE(with(&ScenarioAnswers::bound_over_timewait, true).timewait_gap);
  EXPECT_FALSE(with(&ScenarioAnswers::has_udplite, false).udplite);
}

TEST(Calibration, TheOldCacheGoesWithTheOldScanOfASocketsRange) {
  ScenarioAnswers a = current_kernel();
  EXPECT_TRUE(variants_from(a).socket_range_scans_all);
  a.cleared_reuseaddr_shared = true;
  EXPECT_FALSE(variants_from(a).socket_range_scans_all);
}

TEST(Calibration, WhatWasNotAnsweredKeepsTheBase) {
  Variants base;
  base.timewait_gap = true;
  ScenarioAnswers a = current_kernel();
  a.bound_over_timewait.reset();
  EXPECT_TRUE(variants_from(a, base).timewait_gap);
}

TEST(Calibration, StatusTellsWhatWasAssumed) {
  ScenarioAnswers a = current_kernel();
  a.queued_child_keeps_uid.reset();
  const auto lines = describe(variants_from(a));
  EXPECT_EQ(lines.size(), 9u);
  for (const VariantLine& l : lines) {
    EXPECT_EQ(l.assumed, l.name == "orphan-uid") << l.name;
    EXPECT_FALSE(l.value.empty());
    EXPECT_EQ(l.decided_by.substr(0, 1), "P");
  }
}

TEST(NearestKnown, FollowsTheTypes) {
  KernelTraits old;
  old.bind2_bucket = old.bind2_timewait = old.bind2_addr_type = old.bind2_fastreuse = false;
  old.socket_port_range = false;
  const Variants v5 = nearest_known(old, "may not make a namespace");
  EXPECT_EQ(v5.assumed, "may not make a namespace");
  EXPECT_FALSE(v5.per_address_buckets);
  EXPECT_TRUE(v5.first_binder_cache);
  EXPECT_EQ(v5.reuseport_uid, Variants::Uid::inode);
  EXPECT_FALSE(v5.mapped_wildcard_gap);

  KernelTraits middle; // two lists
  middle.bind2_bucket = middle.bind2_timewait = true;
  middle.bind2_addr_type = middle.bind2_fastreuse = false;
  const Variants v6 = nearest_known(middle, "x");
  EXPECT_TRUE(v6.per_address_buckets && v6.mapped_wildcard_gap && v6.first_binder_cache);
  EXPECT_FALSE(v6.timewait_gap || v6.connect_reset);
  middle.bind2_timewait = false;
  EXPECT_TRUE(nearest_known(middle, "x").timewait_gap);

  Variants current = nearest_known({}, "x");
  for (const VariantLine& l : describe(current))
    EXPECT_TRUE(l.assumed) << l.name;
  current.assumed.clear();
  current.unmeasured.clear();
  EXPECT_EQ(current, Variants{});
}

} // namespace
} // namespace bindlens::rules::test
