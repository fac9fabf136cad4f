// Matrices of 8- and 4-bit weights: 16 rows of GGUF's blocks, interleaved. The numbers are exactly those of the blocks.
//
// A block of 16 rows holds first all its scales, then all its integers. Every 32 columns have
//
//     q8_0  16 scales of 16 bits             512 bytes: for every 4 columns the 16 rows' four integers, plus 128
//     q4_0  16 scales of 16 bits             256 bytes: for every 4 columns the 16 rows' four integers (0 to 15) in the
//     q4_1  16 scales, 16 offsets            low halves, and those 16 columns further in the high halves
//     q4_k  16 scales, 16 offsets of 8 bits; before each eight of them, the units of both, twice 16 of 16 bits
#pragma once

#include "model/matrix.hpp"

namespace glassmill::model {

constexpr std::size_t kGroup = 32, kGroupsOfUnit = 8;

// Bytes of what the four formats have for 32 columns; `unit_bytes` come once in `kGroupsOfUnit`.
struct Blocked {
    std::size_t group_bytes, unit_bytes, integer_bytes;
};
constexpr Blocked kQ8_0{32, 0, 512}, kQ4_0{32, 0, 256}, kQ4_1{64, 0, 256}, kQ4_K{32, 64, 256};

static inline std::size_t scale_bytes(const Blocked& kind, std::size_t columns) {
    const std::size_t groups = columns / kGroup;
    const std::size_t bytes = groups * kind.group_bytes + groups / kGroupsOfUnit * kind.unit_bytes;
    return (bytes + 63) / 64 * 64;
}

// The format's place in gguf::kLayouts; -1 if it has no blocks.
int gguf_place(Format format);

// `rows` are 16 rows of GGUF blocks, one after the other.
void interleave(Format format, const std::uint8_t* rows, std::size_t columns, std::uint8_t* block);

}  // namespace glassmill::model
