#include "html/clean.hpp"

#include <algorithm>

#include "base/unicode.hpp"

namespace glassmill::html {

std::string clean(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    std::size_t line = 0, solid = 0;  // where the line begins, and where its last non-blank character ends
    const auto* bytes = reinterpret_cast<const Byte*>(text.data());
    for (std::size_t at = 0; at < text.size();) {
        const Byte byte = bytes[at];
        if (byte > ' ' && byte < 0x7F) {
            out.push_back(static_cast<char>(byte));
            solid = out.size();
            ++at;
        } else if (byte == '\n' || byte == '\r') {
            at += byte == '\r' && at + 1 < text.size() && bytes[at + 1] == '\n' ? 2 : 1;
            out.resize(std::max(solid, line));
            const bool empty = out.empty() || out.ends_with("\n\n");
            if (!empty) out.push_back('\n');
            line = out.size();
        } else if (byte == ' ' || byte == '\t') {
            out.push_back(static_cast<char>(byte));
            ++at;
        } else if (byte < 0x80) {
            ++at;  // a control character
        } else {
            const Char found = decode(bytes + at, text.size() - at);
            out.append(text.substr(at, found.length));
            at += found.length;
            if (!is_blank(found.point)) solid = out.size();
        }
    }
    out.resize(solid);
    std::size_t begin = 0;  // blanks before the first line's text
    while (begin < out.size()) {
        const Char found = decode(reinterpret_cast<const Byte*>(out.data()) + begin, out.size() - begin);
        if (!is_blank(found.point)) break;
        begin += found.length;
    }
    return out.substr(begin);
}

}  // namespace glassmill::html
