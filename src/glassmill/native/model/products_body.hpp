// The body that model/<instruction set>/products.cpp compiles: tiles of a few blocks by a few rows, all of whose sums
// stay in registers while the columns go by. Whatever it defines has internal linkage, see dedup/least_body.hpp.
#pragma once

#include "model/lanes.hpp"
#include "model/products.hpp"

namespace glassmill::model {
namespace {

// Sums that fit into the registers beside one block's weights and an activation.
#if defined(__AVX512F__)
constexpr size_t kTileBlocks = 4, kTileRows = 6;
#else
constexpr size_t kTileBlocks = 2, kTileRows = 2;
#endif
constexpr size_t kBlocksOfOneRow = 4;

struct F32 {
    using Weights = Floats;
    using Activations = Floats;
    static constexpr size_t step = 1, weight_bytes = 64, activation_bytes = 4;  // columns at a time, and their bytes

    static Weights weights(const uint8_t* from) { return load(reinterpret_cast<const float*>(from)); }
    static Activations activations(const uint8_t* from) { return all(*reinterpret_cast<const float*>(from)); }
    static Floats add(Floats sum, Weights w, Activations x) { return multiply_add(w, x, sum); }
};

struct Bf16 {
    using Weights = Pairs;
    using Activations = Pairs;
    static constexpr size_t step = 2, weight_bytes = 64, activation_bytes = 4;

    static Weights weights(const uint8_t* from) { return load_pairs(from); }
    static Activations activations(const uint8_t* from) { return all_pairs(from); }
    static Floats add(Floats sum, Weights w, Activations x) { return add_products(sum, w, x); }
};

size_t present_rows(const Matrix& matrix, size_t block) {
    const size_t first = block * kBlockRows;
    return first + kBlockRows <= matrix.rows ? kBlockRows : matrix.rows - first;
}

template <class Kind, size_t blocks, size_t rows>
void multiply_tile(const Matrix& matrix, size_t block, const uint8_t* x, size_t x_stride, const Out& out) {
    Floats sums[rows][blocks];
    for (size_t b = 0; b < blocks; ++b) {
        const size_t present = present_rows(matrix, block + b);
        for (size_t r = 0; r < rows; ++r) {
            const float* from = out.values + r * out.stride + b * kBlockRows;
            sums[r][b] = !out.add ? all(0.0f) : present == kBlockRows ? load(from) : load_some(from, present);
        }
    }
    const uint8_t* w = block_at(matrix, block);
    const size_t steps = (matrix.columns + Kind::step - 1) / Kind::step, block_bytes = matrix.block_bytes;
    for (size_t i = 0; i < steps; ++i, w += Kind::weight_bytes, x += Kind::activation_bytes) {
        typename Kind::Weights weights[blocks];
        for (size_t b = 0; b < blocks; ++b) weights[b] = Kind::weights(w + b * block_bytes);
        if constexpr (rows == 1) {  // beyond a block's end lies the next one, which is at work too
            const size_t ahead = kAhead + (i + kAhead / kLine < steps ? 0 : (blocks - 1) * block_bytes);
            for (size_t b = 0; b < blocks; ++b) fetch(w + b * block_bytes + ahead, kLine);
        }
        for (size_t r = 0; r < rows; ++r) {
            const typename Kind::Activations activations = Kind::activations(x + r * x_stride);
            for (size_t b = 0; b < blocks; ++b) sums[r][b] = Kind::add(sums[r][b], weights[b], activations);
        }
    }
    for (size_t b = 0; b < blocks; ++b) {
        const size_t present = present_rows(matrix, block + b);
        for (size_t r = 0; r < rows; ++r) {
            float* to = out.values + r * out.stride + b * kBlockRows;
            if (present == kBlockRows) {
                store(to, sums[r][b]);
            } else {
                store_some(to, sums[r][b], present);
            }
        }
    }
}

using Tile = void(const Matrix& matrix, size_t block, const uint8_t* x, size_t x_stride, const Out& out);

// The tile of so many blocks and rows, found by counting down.
template <class Kind, size_t blocks, size_t rows>
Tile* tile_of(size_t wanted_blocks, size_t wanted_rows) {
    if constexpr (blocks > 1) {
        if (wanted_blocks < blocks) return tile_of<Kind, blocks - 1, rows>(wanted_blocks, wanted_rows);
    }
    if constexpr (rows > 1) {
        if (wanted_rows < rows) return tile_of<Kind, blocks, rows - 1>(wanted_blocks, wanted_rows);
    }
    return multiply_tile<Kind, blocks, rows>;
}

template <class Kind>
void multiply_blocks(const Matrix& matrix, const Rows& rows, const Blocks& blocks, const Out& out) {
    const size_t tiles = (rows.count + kTileRows - 1) / kTileRows;
    const size_t width = rows.count == 1 ? kBlocksOfOneRow : kTileBlocks;
    for (size_t block = blocks.first; block < blocks.last; block += width) {
        const size_t present = blocks.last - block < width ? blocks.last - block : width;
        const Out here{out.values + (block - blocks.first) * kBlockRows, out.stride, out.add};
        if (rows.count == 1) {
            tile_of<Kind, kBlocksOfOneRow, 1>(present, 1)(matrix, block, rows.bytes, rows.stride, here);
            continue;
        }
        for (size_t tile = 0, row = 0; tile < tiles; ++tile) {  // of nearly equal height
            const size_t height = (rows.count - row + tiles - tile - 1) / (tiles - tile);
            tile_of<Kind, kTileBlocks, kTileRows>(present, height)(
                matrix, block, rows.bytes + row * rows.stride, rows.stride,
                {here.values + row * out.stride, out.stride, out.add});
            row += height;
        }
    }
}

size_t f32_row_bytes(size_t columns) { return (columns * 4 + 63) / 64 * 64; }
size_t bf16_row_bytes(size_t columns) { return (columns * 2 + 63) / 64 * 64; }

void f32_prepare(const float* row, size_t columns, uint8_t* prepared) {
    memcpy(prepared, row, columns * sizeof(float));
}

void bf16_prepare(const float* row, size_t columns, uint8_t* prepared) {
    size_t column = 0;
    for (; column + 16 <= columns; column += 16) store_bf16(prepared + 2 * column, load(row + column));
    if (column < columns) store_bf16(prepared + 2 * column, load_some(row + column, columns - column));
}

}  // namespace
}  // namespace glassmill::model

#define DEFINE_PRODUCTS(set)                                                                     \
    namespace glassmill::model::set {                                                            \
    extern const Products f32_products = {f32_row_bytes, f32_prepare, multiply_blocks<F32>};     \
    extern const Products bf16_products = {bf16_row_bytes, bf16_prepare, multiply_blocks<Bf16>}; \
    }
