// Character references: &amp; &#38; &#x26;.
// Source: https://html.spec.whatwg.org/#character-reference-state; the names come from Python's html.entities.
#include <algorithm>

#include "html/page.hpp"

namespace glassmill::html {
namespace {

constexpr std::size_t kLongestName = 33, kLongestOldName = 6;

// What browsers show for &#128; to &#159;, which are windows-1252 by custom.
constexpr std::uint16_t kWindows1252[32] = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                            0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
                                            0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                            0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

void append_utf8(std::string& out, std::uint32_t code) {
    if (code >= 128 && code < 160) code = kWindows1252[code - 128];
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xC0 | (code >> 6));
        out += static_cast<char>(0x80 | (code & 63));
    } else if (code < 0x10000) {
        out += static_cast<char>(0xE0 | (code >> 12));
        out += static_cast<char>(0x80 | ((code >> 6) & 63));
        out += static_cast<char>(0x80 | (code & 63));
    } else {
        out += static_cast<char>(0xF0 | (code >> 18));
        out += static_cast<char>(0x80 | ((code >> 12) & 63));
        out += static_cast<char>(0x80 | ((code >> 6) & 63));
        out += static_cast<char>(0x80 | (code & 63));
    }
}

int digit_of(char symbol, int base) {
    int digit = symbol >= '0' && symbol <= '9' ? symbol - '0'
                : (symbol | 0x20) >= 'a'       ? (symbol | 0x20) - 'a' + 10
                                               : 99;
    return digit < base ? digit : -1;
}

// The length of the reference after '&', 0 if there is none; its characters are appended to `out`.
std::size_t decode_one(std::string& out, std::string_view rest, const Entities& entities) {
    if (!rest.empty() && rest[0] == '#') {
        int base = rest.size() > 1 && (rest[1] | 0x20) == 'x' ? 16 : 10;
        std::size_t start = base == 16 ? 2 : 1, i = start;
        std::uint32_t code = 0;
        for (int digit; i < rest.size() && (digit = digit_of(rest[i], base)) >= 0; ++i) {
            code = code > 0x110000 ? code : code * base + digit;
        }
        if (i == start) return 0;
        append_utf8(out, code);
        return i < rest.size() && rest[i] == ';' ? i + 1 : i;
    }
    std::size_t length = 0;
    while (length < rest.size() && length < kLongestName && (digit_of(rest[length], 36) >= 0)) ++length;
    if (length < 2) return 0;
    std::string name(rest.substr(0, length));
    if (length < rest.size() && rest[length] == ';') {
        auto found = entities.find(name + ";");
        if (found != entities.end()) {
            out += found->second;
            return length + 1;
        }
    }
    for (length = std::min(length, kLongestOldName); length > 1;
         --length) {  // "&copy2024": the old names need no semicolon
        name.resize(length);
        auto found = entities.find(name);
        if (found != entities.end()) {
            out += found->second;
            return length;
        }
    }
    return 0;
}

}  // namespace

void append_decoded(std::string& out, std::string_view raw, const Entities& entities) {
    for (std::size_t place; (place = raw.find('&')) != std::string_view::npos;) {
        out.append(raw.substr(0, place));
        raw.remove_prefix(place + 1);
        std::size_t used = decode_one(out, raw.substr(0, kLongestName + 2), entities);
        if (used == 0) out += '&';
        raw.remove_prefix(used);
    }
    out.append(raw);
}

}  // namespace glassmill::html
