// The class of every code point, frozen (see scripts/unicode_classes.py), and UTF-8 decoding that never fails.
//
// UTF-8 in, classes out. A byte outside any well-formed character counts as one character of class `other`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace glassmill {

using Byte = std::uint8_t;

// The classes that the split patterns distinguish. `fine` classes are runs of the generated table.
enum Fine : Byte { kOther, kSpace, kNumber, kUpper, kLower, kCaseless, kMark };
enum Class : Byte { O = 0, S = 1, N = 2, L = 3 };

const char* unicode_version();

// One byte a code point below 0x110000: fine class. Two stages; equal blocks are stored once.
class ClassTable {
public:
    ClassTable();

    Fine fine(std::uint32_t point) const {
        return static_cast<Fine>(blocks_[stage_[point >> 7] * 128u + (point & 127)]);
    }
    Class coarse(std::uint32_t point) const { return kCoarse[fine(point)]; }

private:
    static constexpr Class kCoarse[] = {O, S, N, L, L, L, O};
    std::vector<std::uint16_t> stage_;
    std::vector<Byte> blocks_;
};

extern const ClassTable kClasses;
extern const Class kAscii[128];

struct Char {
    std::uint32_t point;  // 0xFFFFFFFF if the byte belongs to no character
    unsigned length;
};

// The character at `text`, which has `left` >= 1 bytes.
inline Char decode(const Byte* text, std::size_t left) {
    constexpr Char bad{0xFFFFFFFFu, 1};
    const auto follows = [&](unsigned place) { return (text[place] & 0xC0) == 0x80; };
    const std::uint32_t lead = text[0];
    if (lead < 0x80) return {lead, 1};
    if (lead < 0xE0) {
        if (lead < 0xC2 || left < 2 || !follows(1)) return bad;
        return {(lead & 0x1F) << 6 | (text[1] & 0x3Fu), 2};
    }
    if (lead < 0xF0) {
        if (left < 3 || !follows(1) || !follows(2)) return bad;
        const std::uint32_t point = (lead & 0xF) << 12 | (text[1] & 0x3Fu) << 6 | (text[2] & 0x3Fu);
        if (point < 0x800 || (point >> 11) == 0x1B) return bad;  // overlong, or a surrogate
        return {point, 3};
    }
    if (lead > 0xF4 || left < 4 || !follows(1) || !follows(2) || !follows(3)) return bad;
    const std::uint32_t point = (lead & 7) << 18 | (text[1] & 0x3Fu) << 12 | (text[2] & 0x3Fu) << 6 | (text[3] & 0x3Fu);
    if (point < 0x10000 || point > 0x10FFFF) return bad;
    return {point, 4};
}

struct Kind {
    Class kind;
    unsigned length;
};

// Class and length of the character at `text`.
inline Kind kind_at(const Byte* text, std::size_t left) {
    if (text[0] < 0x80) return {kAscii[text[0]], 1};
    const Char found = decode(text, left);
    if (found.point == 0xFFFFFFFFu) return {O, 1};
    return {kClasses.coarse(found.point), found.length};
}

inline bool is_blank(std::uint32_t point) {  // as Python's str.isspace
    if (point < 0x80) return point == ' ' || (point >= 9 && point <= 13) || (point >= 0x1C && point <= 0x1F);
    return point == 0x85 || point == 0xA0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200A) ||
           point == 0x2028 || point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

// Whether all of `text` is well-formed UTF-8.
inline bool is_utf8(const Byte* text, std::size_t size) {
    for (std::size_t at = 0; at < size;) {
        std::uint64_t eight;
        while (size - at >= 8 && (std::memcpy(&eight, text + at, 8), (eight & 0x8080808080808080ull) == 0)) at += 8;
        for (const std::size_t end = size - at < 8 ? size : at + 8; at < end;) {
            const Char found = decode(text + at, size - at);
            if (found.point == 0xFFFFFFFFu) return false;
            at += found.length;
        }
    }
    return true;
}

}  // namespace glassmill
