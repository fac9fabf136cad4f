// What an element passes on to all text inside it.
#pragma once

#include <cstdint>
#include <string_view>

#include "html/page.hpp"

namespace glassmill::html {

std::uint32_t flags_of(Tag tag);
std::uint32_t flags_of_role(std::string_view role);  // ARIA's

}  // namespace glassmill::html
