#include "base/text.hpp"

#include <cstring>

namespace glassmill {
namespace {

bool is_high(std::uint32_t point) { return point >= 0xD800 && point < 0xDC00; }
bool is_low(std::uint32_t point) { return point >= 0xDC00 && point < 0xE000; }

template <std::size_t many, class Unit>
bool ascii_only(const Unit* text) {
    std::uint32_t any = 0;
    for (std::size_t i = 0; i < many; ++i) any |= text[i];
    return any < 0x80;
}

template <class Unit>
Utf8 transcode(const Unit* text, std::size_t length, Buffer<Byte>& scratch) {
    scratch.clear();
    Byte* out = scratch.room(length * (sizeof(Unit) == 1 ? 2 : sizeof(Unit) == 2 ? 3 : 4));
    for (std::size_t at = 0; at < length; ++at) {
        std::uint32_t point = text[at];
        if (point < 0x80) {
            constexpr std::size_t many = 8;
            while (at + many <= length && ascii_only<many>(text + at)) {
                for (std::size_t i = 0; i < many; ++i) out[i] = static_cast<Byte>(text[at + i]);
                out += many, at += many;
            }
            if (at == length) break;
            point = text[at];
        }
        if (point < 0x80) {
            *out++ = static_cast<Byte>(point);
            continue;
        }
        if (point < 0x800) {
            *out++ = static_cast<Byte>(0xC0 | point >> 6);
            *out++ = static_cast<Byte>(0x80 | (point & 0x3F));
            continue;
        }
        if (is_high(point) && at + 1 < length && is_low(text[at + 1])) {
            point = 0x10000 + ((point & 0x3FF) << 10 | (text[++at] & 0x3FF));
        } else if (is_high(point) || is_low(point)) {
            point = 0xFFFD;
        }
        if (point >= 0x10000) {
            *out++ = static_cast<Byte>(0xF0 | point >> 18);
            *out++ = static_cast<Byte>(0x80 | (point >> 12 & 0x3F));
        } else {
            *out++ = static_cast<Byte>(0xE0 | point >> 12);
        }
        *out++ = static_cast<Byte>(0x80 | (point >> 6 & 0x3F));
        *out++ = static_cast<Byte>(0x80 | (point & 0x3F));
    }
    scratch.set_end(out);
    return {scratch.data(), scratch.size()};
}

template <class Unit>
void cut(const Unit* text, std::size_t length, unsigned width, std::size_t size, std::vector<Text>& parts) {
    const auto visible = [](std::uint32_t point) { return point > ' ' && point < 0x7F; };
    std::size_t start = 0;
    for (std::size_t at = size; at < length; ++at) {
        if (text[at - 1] != '\n' || !visible(text[at]) || !visible(text[at - 2])) continue;
        parts.push_back({text + start, at - start, width});
        start = at;
        if (length - at <= size) break;
        at += size - 1;
    }
    if (start < length || length == 0) parts.push_back({text + start, length - start, width});
}

}  // namespace

Utf8 to_utf8(const Text& text, Buffer<Byte>& scratch) {
    switch (text.width) {
        case 1: return transcode(static_cast<const std::uint8_t*>(text.data), text.length, scratch);
        case 2: return transcode(static_cast<const std::uint16_t*>(text.data), text.length, scratch);
        case 4: return transcode(static_cast<const std::uint32_t*>(text.data), text.length, scratch);
        default: return {static_cast<const Byte*>(text.data), text.length};
    }
}

void append_parts(const Text& text, std::size_t size, std::vector<Text>& parts) {
    switch (text.width) {
        case 2: return cut(static_cast<const std::uint16_t*>(text.data), text.length, 2, size, parts);
        case 4: return cut(static_cast<const std::uint32_t*>(text.data), text.length, 4, size, parts);
        default: return cut(static_cast<const std::uint8_t*>(text.data), text.length, text.width, size, parts);
    }
}

}  // namespace glassmill
