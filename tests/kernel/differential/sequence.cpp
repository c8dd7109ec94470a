#include "sequence.h"

#include <algorithm>
#include <array>
#include <deque>

namespace differential {

namespace {

class Dice {
 public:
  explicit Dice(std::mt19937_64& random) : random_(random) {}
  uint8_t below(unsigned n) { return static_cast<uint8_t>(random_() % n); }
  bool percent(unsigned p) { return random_() % 100 < p; }

 private:
  std::mt19937_64& random_;
};

// How likely each kind of call is, out of a thousand.
constexpr std::array<std::pair<Kind, unsigned>, 17> weights = {{
    {Kind::open, 165},
    {Kind::option, 185},
    {Kind::device, 20},
    {Kind::own_range, 10},
    {Kind::attach, 8},
    {Kind::chown, 15},
    {Kind::bind, 270},
    {Kind::listen, 90},
    {Kind::connect, 80},
    {Kind::accept, 40},
    {Kind::disconnect, 10},
    {Kind::send, 15},
    {Kind::shut, 5},
    {Kind::close, 45},
    {Kind::reset, 22},
    {Kind::crowd, 5},
    {Kind::expire, 15},
}};

Kind random_kind(std::mt19937_64& random) {
  unsigned at = static_cast<unsigned>(random() % 1000);
  for (const auto& [kind, weight] : weights) {
    if (at < weight) return kind;
    at -= weight;
  }
  return Kind::bind;
}

// What a sequence is about.
struct Theme {
  unsigned udp_percent;
  unsigned v6_percent;
  unsigned reuse_percent; // options are set rather than cleared
  unsigned users;         // 1: all the same
  unsigned addresses;     // of the lab's list, from the front
  unsigned ports;
};

Theme random_theme(Dice& dice, unsigned addresses) {
  constexpr std::array<unsigned, 4> shares = {0, 0, 50, 100};
  Theme t{};
  t.udp_percent = shares[dice.below(4)];
  t.v6_percent = std::array<unsigned, 3>{10, 50, 80}[dice.below(3)];
  t.reuse_percent = std::array<unsigned, 3>{50, 75, 95}[dice.below(3)];
  t.users = 1u + dice.below(3);
  t.addresses = dice.percent(60) ? std::min(addresses, 8u) : addresses;
  t.ports = 1u + dice.below(ports);
  return t;
}

Transport random_transport(Dice& dice, const Theme& t) {
  if (dice.percent(t.udp_percent)) return dice.percent(10) ? Transport::udplite : Transport::udp;
  return dice.percent(3) ? Transport::mptcp : Transport::tcp;
}

Option random_option(Dice& dice) {
  const unsigned at = dice.below(100);
  if (at < 42) return Option::reuseaddr;
  if (at < 80) return Option::reuseport;
  if (at < 88) return Option::v6only;
  if (at < 91) return Option::freebind;
  if (at < 93) return Option::transparent;
  if (at < 98) return Option::bind_no_port;
  return Option::repair;
}

// What the generator remembers of a slot, as far as it can be known beforehand.
struct Guess {
  bool open = false;
  bool v6 = false;
  bool bound = false;
  bool listening = false;
};

class Generator {
 public:
  Generator(std::mt19937_64& random, const Choice& choice)
      : dice_(random), random_(random), choice_(choice),
        theme_(random_theme(dice_, static_cast<unsigned>(choice.address_is_v6.size()))) {}

  Setting setting() {
    Setting s;
    s.range_first = dice_.below(5);
    s.range_last = static_cast<uint8_t>(s.range_first + dice_.below(5));
    if (dice_.percent(30)) s.reserved = dice_.below(ports_in_use);
    if (dice_.percent(30)) {
      // The kernel keeps the local range out of the privileged ports.
      s.privileged = 1;
      s.range_first = std::max<uint8_t>(s.range_first, 1);
      s.range_last = std::max(s.range_last, s.range_first);
    }
    s.autobind_reuse = dice_.percent(30);
    s.nonlocal = dice_.percent(10);
    s.tw_reuse = dice_.below(3);
    return s;
  }

  Op next() {
    if (!planned_.empty()) {
      const Op op = planned_.front();
      planned_.pop_front();
      remember(op);
      return op;
    }
    Op op;
    op.kind = random_kind(random_);
    // Most calls go to sockets that are there, most binds to unbound ones.
    const bool picky = dice_.percent(95);
    for (int tries = 0; tries < 8; ++tries) {
      op.slot = dice_.below(slots);
      const Guess& g = guesses_[op.slot];
      if (!picky || op.kind == Kind::open) break;
      if (op.kind == Kind::bind     ? g.open && !g.bound
          : op.kind == Kind::expire ? g.listening
                                    : g.open)
        break;
    }
    fill(op);
    remember(op);
    if (op.kind == Kind::expire) plan_to_follow(op);
    return op;
  }

 private:
  void fill(Op& op) {
    switch (op.kind) {
    case Kind::open:
      op.a = static_cast<uint8_t>(random_transport(dice_, theme_));
      op.b = dice_.percent(theme_.v6_percent);
      op.c = dice_.below(theme_.users);
      break;
    case Kind::option:
      op.a = static_cast<uint8_t>(random_option(dice_));
      op.b = dice_.percent(theme_.reuse_percent);
      break;
    case Kind::device:
      op.a = dice_.below(choice_.devices + 1);
      break;
    case Kind::own_range:
      op.a = dice_.percent(20) ? 255 : dice_.below(ports_in_use);
      op.b = dice_.percent(20) ? 255 : dice_.below(ports_in_use);
      break;
    case Kind::chown:
      op.a = dice_.below(3);
      break;
    case Kind::bind:
      op.a = address_for(guesses_[op.slot].v6);
      op.b = dice_.percent(12) ? 255 : dice_.below(theme_.ports);
      op.c = dice_.percent(30);
      break;
    case Kind::connect:
      op.a = dice_.percent(70) ? some_listener() : dice_.below(slots);
      break;
    case Kind::accept:
      op.a = dice_.below(slots);
      break;
    case Kind::crowd:
      op.a = dice_.below(theme_.ports);
      break;
    case Kind::expire:
      op.a = dice_.percent(50) ? 255 : dice_.below(ports_in_use);
      op.b = dice_.percent(50);
      op.c = static_cast<uint8_t>(1 + dice_.below(5));
      break;
    default:
      break;
    }
  }

  // New connections to the listener, which find what is in TIME_WAIT.
  void plan_to_follow(const Op& expire) {
    for (unsigned n = dice_.below(4); n > 0; --n) {
      const uint8_t slot = dice_.below(slots);
      if (slot == expire.slot) continue;
      planned_.push_back({Kind::open, slot, static_cast<uint8_t>(Transport::tcp),
                          guesses_[expire.slot].v6, dice_.below(theme_.users)});
      planned_.push_back({Kind::connect, slot, expire.slot, 0, 0});
    }
  }

  // Any slot when none listens.
  uint8_t some_listener() {
    uint8_t slot = dice_.below(slots);
    for (unsigned tries = 0; tries < slots && !guesses_[slot].listening; ++tries)
      slot = static_cast<uint8_t>((slot + 1) % slots);
    return slot;
  }

  uint8_t address_for(bool v6) {
    uint8_t a = dice_.below(theme_.addresses);
    while (dice_.percent(95) && choice_.address_is_v6[a] != v6)
      a = dice_.below(theme_.addresses);
    return a;
  }

  void remember(const Op& op) {
    Guess& g = guesses_[op.slot];
    if (op.kind == Kind::open) g = {true, op.b != 0, false, false};
    if (op.kind == Kind::bind || op.kind == Kind::listen || op.kind == Kind::connect)
      g.bound = true;
    if (op.kind == Kind::listen) g.listening = g.open;
    if (op.kind == Kind::accept && g.open) guesses_[op.a] = {true, g.v6, true, false};
    if (op.kind == Kind::close || op.kind == Kind::reset) g = {};
  }

  Dice dice_;
  std::mt19937_64& random_;
  const Choice& choice_;
  Theme theme_;
  std::array<Guess, slots> guesses_{};
  std::deque<Op> planned_;
};

} // namespace

Sequence random_sequence(std::mt19937_64& random, unsigned length, const Choice& choice) {
  Generator generator(random, choice);
  Sequence s;
  s.setting = generator.setting();
  for (unsigned i = 0; i < length; ++i)
    s.ops.push_back(generator.next());
  return s;
}

std::string describe(const Op& op) {
  constexpr std::array<const char*, 17> names = {
      "open", "option", "device",  "own_range", "attach",     "chown",
      "bind", "listen", "connect", "accept",    "disconnect", "send",
      "shut", "close",  "reset",   "crowd",     "expire"};
  return std::string(names[static_cast<size_t>(op.kind)]) + " slot " + std::to_string(op.slot) +
         " (" + std::to_string(op.a) + ", " + std::to_string(op.b) + ", " + std::to_string(op.c) +
         ")";
}

std::string describe(const Setting& s) {
  std::string out = "local ports " + std::to_string(s.range_first) + "-" +
                    std::to_string(s.range_last) + " behind the first";
  if (s.reserved != 255) out += ", reserved " + std::to_string(s.reserved);
  if (s.privileged != 0) out += ", privileged below " + std::to_string(s.privileged);
  if (s.autobind_reuse) out += ", ip_autobind_reuse";
  if (s.nonlocal) out += ", ip_nonlocal_bind";
  out += ", tcp_tw_reuse " + std::to_string(s.tw_reuse);
  return out;
}

} // namespace differential
