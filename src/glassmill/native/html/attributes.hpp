// The attributes of a start tag, and how names in HTML compare.
#pragma once

#include <cstddef>
#include <string_view>

namespace glassmill::html {

inline bool is_space(char symbol) {
    return symbol == ' ' || symbol == '\n' || symbol == '\t' || symbol == '\r' || symbol == '\f';
}
inline bool is_letter(char symbol) { return (symbol | 0x20) >= 'a' && (symbol | 0x20) <= 'z'; }

// Whether `text`, its ASCII capitals made small, is `lower`; and whether it holds it.
bool equal_lower(std::string_view text, std::string_view lower);
bool contains_lower(std::string_view text, std::string_view lower);

// Those that say something about what the element holds; views into the page.
struct Attributes {
    std::string_view class_, id, role, itemprop, style, name, property, content;
    bool hidden = false;
};

// The attributes from `position`, behind the tag's name, up to '>'; `position` is then behind that.
Attributes read_attributes(std::string_view html, std::size_t& position);

}  // namespace glassmill::html
