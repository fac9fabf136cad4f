// The formats of packed weights: how 16 rows of numbers become a block, and a row comes out of it again.
//
//     f32   for every column the 16 rows' numbers
//     bf16  for every pair of columns the 16 rows' pairs: what one vdpbf16ps multiplies. An odd last column gets a zero
//
//     q8_0, q4_0, q4_1, q4_k: see blocked.hpp
//
// Rows beyond the last are zeros.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "model/matrix.hpp"

namespace glassmill::model {

// To the nearest, ties to even; `value` is finite.
inline std::uint16_t to_bf16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

struct Layout {
    const char* name;
    std::size_t columns_step;                         // `columns` must be a multiple of it
    std::size_t (*block_bytes)(std::size_t columns);  // a multiple of 64
    // `rows` are 16 rows of `columns` numbers, one after the other.
    void (*pack)(const float* rows, std::size_t columns, std::uint8_t* block);
    void (*unpack)(const std::uint8_t* block, std::size_t row, std::size_t columns, float* out);
};

extern const Layout kBlockedLayouts[4];  // in blocked.cpp

const Layout& layout(Format format);
// Throws std::invalid_argument if there is none of that name.
Format format_of(const std::string& name);

std::size_t packed_bytes(Format format, std::size_t rows, std::size_t columns);

// Packs into `memory`, which has packed_bytes() and is aligned to 64. On up to `threads` threads.
// Throws std::invalid_argument if a number is not finite, or the format cannot have so many columns.
Matrix pack(Format format, const Source& source, std::uint8_t* memory, unsigned threads);

// One row of the matrix as floats: the embedding of a token.
inline void unpack_row(const Matrix& matrix, std::size_t row, float* out) {
    layout(matrix.format).unpack(block_at(matrix, row / kBlockRows), row % kBlockRows, matrix.columns, out);
}

// `count` stored numbers from number `first` on.
void widen(const Source& source, std::size_t first, std::size_t count, float* out);

}  // namespace glassmill::model
