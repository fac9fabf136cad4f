// The body that model/<instruction set>/blocked.cpp compiles: products of 8- and 4-bit weights, see model/blocked.hpp.
//
// An activation row is rounded to 8 bits, 32 columns at a time: 32 integers, their scale, their sum. Products of
// integers are exact; a group's sum is scaled and added to the row's with one rounding each, in the same order on every
// processor. Offsets of weights, and the zero that unsigned integers have, cost the sum of the activations once a
// group.
#pragma once

#include "model/blocked.hpp"
#include "model/integers.hpp"
#include "model/products.hpp"

namespace glassmill::model {
namespace {

#if defined(__AVX512F__)
constexpr size_t kMostRows = 8;
#else
constexpr size_t kMostRows = 2;
#endif
constexpr size_t kMostBlocks = 4;  // of one row

// What a row has for 32 columns: a byte of each in `planes` planes, the upper first, then scale and sum.
template <size_t planes>
struct Rounded {
    static constexpr size_t bytes = planes * kGroup + 8;

    static float scale(const uint8_t* from) {
        float scale;
        memcpy(&scale, from + planes * kGroup, sizeof scale);
        return scale;
    }
    static int sum(const uint8_t* from) {
        int32_t sum;
        memcpy(&sum, from + planes * kGroup + 4, sizeof sum);
        return sum;
    }
};

struct Q8 {
    static constexpr size_t planes = 2;
    static constexpr Blocked sizes = kQ8_0;
    static constexpr int zero = 128;
    static constexpr bool has_offset = false, small = false;

    static void weights(const uint8_t* from, Quads* w) {
        for (size_t i = 0; i < 8; ++i) w[i] = load_quads(from + 64 * i);
    }
    static Floats scales(const uint8_t* block, size_t group) { return load_halves(block + 32 * group); }
    static Floats offsets(const uint8_t*, size_t) { return all(0.0f); }
};

struct Q4 {
    static constexpr size_t planes = 1;
    static constexpr bool small = true;

    static void weights(const uint8_t* from, Quads* w) {
        for (size_t i = 0; i < 4; ++i) {
            const Quads both = load_quads(from + 64 * i);
            w[i] = low_halves(both);
            w[i + 4] = high_halves(both);
        }
    }
};

struct Q4_0 : Q4 {
    static constexpr Blocked sizes = kQ4_0;
    static constexpr int zero = 8;
    static constexpr bool has_offset = false;

    static Floats scales(const uint8_t* block, size_t group) { return load_halves(block + 32 * group); }
    static Floats offsets(const uint8_t*, size_t) { return all(0.0f); }
};

struct Q4_1 : Q4 {
    static constexpr Blocked sizes = kQ4_1;
    static constexpr int zero = 0;
    static constexpr bool has_offset = true;

    static Floats scales(const uint8_t* block, size_t group) { return load_halves(block + 64 * group); }
    static Floats offsets(const uint8_t* block, size_t group) { return load_halves(block + 64 * group + 32); }
};

struct Q4_K : Q4 {
    static constexpr Blocked sizes = kQ4_K;
    static constexpr int zero = 0;
    static constexpr bool has_offset = true;
    static constexpr size_t unit = kGroupsOfUnit * 32 + 64;

    static const uint8_t* units(const uint8_t* block, size_t group) { return block + group / kGroupsOfUnit * unit; }
    static const uint8_t* own(const uint8_t* block, size_t group) {
        return units(block, group) + 64 + group % kGroupsOfUnit * 32;
    }
    static Floats scales(const uint8_t* block, size_t group) {
        return load_halves(units(block, group)) * load_small(own(block, group));
    }
    static Floats offsets(const uint8_t* block, size_t group) {
        return load_halves(units(block, group) + 32) * load_small(own(block, group) + 16);
    }
};

size_t rows_of(const Matrix& matrix, size_t block) {
    const size_t left = matrix.rows - block * kBlockRows;
    return left < kBlockRows ? left : kBlockRows;
}

template <class Kind, size_t blocks, size_t rows>
void multiply_tile(const Matrix& matrix, size_t block, const uint8_t* x, size_t x_stride, const Out& out) {
    Floats sums[rows][blocks];
    for (size_t b = 0; b < blocks; ++b) {
        const size_t present = rows_of(matrix, block + b);
        for (size_t r = 0; r < rows; ++r) {
            const float* from = out.values + r * out.stride + b * kBlockRows;
            sums[r][b] = !out.add ? all(0.0f) : present == kBlockRows ? load(from) : load_some(from, present);
        }
    }
    const uint8_t* first = block_at(matrix, block);
    const uint8_t* integers = first + scale_bytes(Kind::sizes, matrix.columns);
    const size_t groups = matrix.columns / kGroup;
    constexpr size_t size = Kind::sizes.integer_bytes;
    using Row = Rounded<Kind::planes>;
    for (size_t group = 0; group < groups; ++group, x += Row::bytes, integers += size) {
        // beyond a block's end lies the next one, which is at work too: from the last follow the next tile's
        const size_t ahead = kAhead + (group + kAhead / size < groups ? 0 : (blocks - 1) * matrix.block_bytes);
        for (size_t b = 0; b < blocks; ++b) {
            const uint8_t* own = first + b * matrix.block_bytes;
            if constexpr (rows == 1) fetch(integers + b * matrix.block_bytes + ahead, size);
            Quads w[8];
            Kind::weights(integers + b * matrix.block_bytes, w);
            const Floats scales = Kind::scales(own, group), offsets = Kind::offsets(own, group);
            for (size_t r = 0; r < rows; ++r) {
                const uint8_t* activations = x + r * x_stride;
                const int sum = Row::sum(activations);
                const float scale = Row::scale(activations);
                Integers products = all_integers(-Kind::zero * sum), upper = all_integers(0);
                for (size_t i = 0; i < 8; ++i) {
                    const uint8_t* four = activations + 4 * i;
                    if constexpr (Kind::planes == 2) upper = add_products<Kind::small>(upper, w[i], all_quads(four));
                    four += (Kind::planes - 1) * kGroup;
                    products = add_products<Kind::small>(products, w[i], all_quads(four));
                }
                if constexpr (Kind::planes == 2) products = with_upper(upper, products);
                Floats group_sum = to_floats(products) * scales;
                if constexpr (Kind::has_offset) group_sum = group_sum - offsets * all(static_cast<float>(sum));
                sums[r][b] = sums[r][b] + group_sum * all(scale);
            }
        }
    }
    for (size_t b = 0; b < blocks; ++b) {
        const size_t present = rows_of(matrix, block + b);
        for (size_t r = 0; r < rows; ++r) {
            float* to = out.values + r * out.stride + b * kBlockRows;
            present == kBlockRows ? store(to, sums[r][b]) : store_some(to, sums[r][b], present);
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
    const size_t tiles = (rows.count + kMostRows - 1) / kMostRows, width = rows.count == 1 ? kMostBlocks : 1;
    for (size_t block = blocks.first; block < blocks.last; block += width) {
        float* to = out.values + (block - blocks.first) * kBlockRows;
        if (rows.count == 1) {
            const auto tile = tile_of<Kind, kMostBlocks, 1>(blocks.last - block, 1);
            tile(matrix, block, rows.bytes, rows.stride, {to, out.stride, out.add});
            continue;
        }
        for (size_t tile = 0, row = 0; tile < tiles; ++tile) {  // of nearly equal height
            const size_t height = (rows.count - row + tiles - tile - 1) / (tiles - tile);
            tile_of<Kind, 1, kMostRows>(1, height)(matrix, block, rows.bytes + row * rows.stride, rows.stride,
                                                   {to + row * out.stride, out.stride, out.add});
            row += height;
        }
    }
}

template <size_t planes>
size_t rounded_row_bytes(size_t columns) {
    return (columns / kGroup * Rounded<planes>::bytes + 63) / 64 * 64;
}

template <size_t planes>
void round_row(const float* row, size_t columns, uint8_t* prepared) {
    constexpr float most = planes == 2 ? 127.0f * 128.0f : 127.0f;
    for (size_t column = 0; column + kGroup <= columns; column += kGroup, prepared += Rounded<planes>::bytes) {
        const Floats x[2] = {load(row + column), load(row + column + 16)}, none = all(0.0f);
        const float largest = largest_of(larger(larger(x[0], none - x[0]), larger(x[1], none - x[1])));
        const float scale = largest / most, inverse = largest > 0 ? most / largest : 0.0f;
        int8_t integers[planes][kGroup];
        Floats total = none;
        for (size_t i = 0; i < 2; ++i) {
            Floats whole = nearest(x[i] * all(inverse));
            total = total + whole;
            if constexpr (planes == 2) {
                const Floats upper = nearest(whole * all(1.0f / 128.0f));
                store_bytes(integers[0] + 16 * i, upper);
                whole = whole - upper * all(128.0f);
            }
            store_bytes(integers[planes - 1] + 16 * i, whole);
        }
        const int32_t sum = static_cast<int32_t>(exact_sum_of(total));
        memcpy(prepared, integers, sizeof integers);
        memcpy(prepared + sizeof integers, &scale, sizeof scale);
        memcpy(prepared + sizeof integers + 4, &sum, sizeof sum);
    }
}

}  // namespace
}  // namespace glassmill::model

#define BLOCKED(Kind) \
    { rounded_row_bytes<Kind::planes>, round_row<Kind::planes>, multiply_blocks<Kind> }
#define DEFINE_BLOCKED(set)                              \
    namespace glassmill::model::set {                    \
    extern const Products q8_0_products = BLOCKED(Q8);   \
    extern const Products q4_0_products = BLOCKED(Q4_0); \
    extern const Products q4_1_products = BLOCKED(Q4_1); \
    extern const Products q4_k_products = BLOCKED(Q4_K); \
    }
