#pragma once

// Reading JSON: what the readers of the daemon's answers have in common.

#include <bindlens/protocol/view.h>

#include <nlohmann/json.hpp>

#include <limits>
#include <type_traits>

namespace bindlens::protocol {

using nlohmann::json;

// Thrown by the readers and caught by read_document(): they nest, and each
// member would else need its own check.
struct WrongType {
  std::string key;
};

template <typename T>
T converted(const json& value, const std::string& key) {
  if constexpr (std::is_same_v<T, bool>) {
    if (value.is_boolean()) return value.get<bool>();
  } else if constexpr (std::is_floating_point_v<T>) {
    if (value.is_number()) return value.get<T>();
  } else if constexpr (std::is_integral_v<T>) {
    if (value.is_number_unsigned() &&
        value.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<T>::max()))
      return value.get<T>();
    if constexpr (std::is_signed_v<T>)
      if (value.is_number_integer() && value.get<int64_t>() >= std::numeric_limits<T>::min())
        return value.get<T>();
  } else {
    if (value.is_string()) return value.get<std::string>();
  }
  throw WrongType{key};
}

// Takes the members of one object; those that are missing leave the default.
class Members {
 public:
  explicit Members(const json& object) : object_(object) {
    if (!object.is_object()) throw WrongType{"the answer"};
  }
  template <typename T>
  void take(const char* key, T& to) const {
    if (const json* v = find(key)) to = converted<T>(*v, key);
  }
  template <typename T>
  void take(const char* key, std::optional<T>& to) const {
    if (const json* v = find(key)) to = converted<T>(*v, key);
  }
  template <typename Read, typename T>
  void take_object(const char* key, T& to, Read read) const {
    if (const json* v = find(key)) to = read(*v);
  }
  template <typename T, typename Read>
  void take_list(const char* key, std::vector<T>& to, Read read) const {
    const json* v = find(key);
    if (v == nullptr) return;
    if (!v->is_array()) throw WrongType{key};
    for (const json& item : *v)
      to.push_back(read(item));
  }
  void take_texts(const char* key, std::vector<std::string>& to) const {
    take_list(key, to, [&](const json& item) { return converted<std::string>(item, key); });
  }
  [[nodiscard]] const json* find(const char* key) const {
    const auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }

 private:
  const json& object_;
};

[[nodiscard]] WallNs time_of(const json& value, const char* key);
void take_time(const Members& m, const char* key, WallNs& to);
[[nodiscard]] ProcessView process_of(const json& object);
[[nodiscard]] SocketView socket_of(const json& object);

template <typename Read>
auto read_document(std::string_view text, Read read) -> Result<decltype(read(json()))> {
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) return fail("the daemon's answer is no JSON");
  try {
    return read(document);
  } catch (const WrongType& wrong) {
    return fail("the daemon's answer cannot be read: '" + wrong.key + "' is not as expected");
  }
}

} // namespace bindlens::protocol
