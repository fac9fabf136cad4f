#include "base/unicode.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

namespace glassmill {

#include "base/unicode_table.inc"

const char* unicode_version() { return kUnicodeVersion; }

namespace {

constexpr std::uint32_t kPoints = 0x110000;

constexpr Class ascii_class(int byte) {
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')) return L;
    if (byte >= '0' && byte <= '9') return N;
    if (byte == ' ' || (byte >= 9 && byte <= 13)) return S;
    return O;
}

}  // namespace

ClassTable::ClassTable() : stage_(kPoints / 128) {
    std::array<Byte, 128> block{};
    std::size_t run = 0;
    for (std::uint32_t first = 0; first < kPoints; first += 128) {
        for (std::uint32_t point = first; point < first + 128; ++point) {
            while (run + 1 < std::size(kRuns) && (kRuns[run + 1] >> 3) <= point) ++run;
            block[point - first] = kRuns[run] & 7;
        }
        std::size_t same = 0;
        while (same < blocks_.size() && std::memcmp(&blocks_[same], block.data(), 128) != 0) same += 128;
        if (same == blocks_.size()) blocks_.insert(blocks_.end(), block.begin(), block.end());
        stage_[first >> 7] = static_cast<std::uint16_t>(same / 128);
    }
}

const ClassTable kClasses;

#define ROW(n)                                                                                      \
    ascii_class(n), ascii_class(n + 1), ascii_class(n + 2), ascii_class(n + 3), ascii_class(n + 4), \
        ascii_class(n + 5), ascii_class(n + 6), ascii_class(n + 7)
extern const Class kAscii[128] = {ROW(0),  ROW(8),  ROW(16), ROW(24), ROW(32), ROW(40),  ROW(48),  ROW(56),
                                  ROW(64), ROW(72), ROW(80), ROW(88), ROW(96), ROW(104), ROW(112), ROW(120)};
#undef ROW

}  // namespace glassmill
