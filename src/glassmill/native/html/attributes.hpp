// The attributes of a start tag, and how names in HTML compare.
#pragma once

#include <cstddef>
#include <string_view>

namespace glassmill::html {

inline bool is_space(char symbol) {
    return symbol == ' ' || symbol == '\n' || symbol == '\t' || symbol == '\r' || symbol == '\f';
}
inline bool is_letter(char symbol) { return (symbol | 0x20) >= 'a' && (symbol | 0x20) <= 'z'; }

// Whether `text`, with ASCII letters lower-cased, equals `lower`; whether it contains `lower`.
bool equal_lower(std::string_view text, std::string_view lower);
bool contains_lower(std::string_view text, std::string_view lower);

enum class Display : unsigned char { usual, none, block, inline_ };

// The attributes that tell something about the element's content; views into the page.
struct Attributes {
    std::string_view class_, id, role, itemprop, name, property, content, type;
    std::string_view shadow;           // `shadowrootmode`
    Display display = Display::usual;  // by its style, or of a formula
    bool hidden = false;
    bool aria_hidden = false;  // from readers aloud; visible
    bool open = false;
    bool closes_itself = false;  // ends in "/>"
};

// Reads the attributes from `position`, after the tag's name, and moves `position` past the '>'.
Attributes read_attributes(std::string_view html, std::size_t& position);

}  // namespace glassmill::html
