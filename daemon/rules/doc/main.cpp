// Prints docs/bind-rules.md:  bind-rules-doc > docs/bind-rules.md

#include "folklore.h"

#include <iostream>

int main() {
  std::cout << bindlens::rules::bind_rules_document();
  return 0;
}
