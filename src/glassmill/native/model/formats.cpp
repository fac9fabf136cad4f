#include "model/formats.hpp"

#include <bit>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "base/pool.hpp"
#include "gguf/blocks.hpp"
#include "model/blocked.hpp"

namespace glassmill::model {
namespace {

float of_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

float of_f16(std::uint16_t bits) {
    const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16, rest = bits & 0x7FFFu;
    if (rest >= 0x7C00) return std::bit_cast<float>(sign | 0x7F800000 | (rest & 0x3FF) << 13);
    if (rest >= 0x400) return std::bit_cast<float>(sign | ((rest << 13) + (112u << 23)));
    const float small = static_cast<float>(rest) * 0x1p-24f;
    return sign ? -small : small;
}

std::size_t round_up(std::size_t count, std::size_t step) { return (count + step - 1) / step * step; }

// --- f32 -------------------------------------------------------------------------------------------------------------

std::size_t f32_bytes(std::size_t columns) { return columns * kBlockRows * sizeof(float); }

void f32_pack(const float* rows, std::size_t columns, std::uint8_t* block) {
    auto* out = reinterpret_cast<float*>(block);
    for (std::size_t column = 0; column < columns; ++column) {
        for (std::size_t row = 0; row < kBlockRows; ++row) *out++ = rows[row * columns + column];
    }
}

void f32_unpack(const std::uint8_t* block, std::size_t row, std::size_t columns, float* out) {
    const auto* in = reinterpret_cast<const float*>(block) + row;
    for (std::size_t column = 0; column < columns; ++column) out[column] = in[column * kBlockRows];
}

// --- bf16 ------------------------------------------------------------------------------------------------------------

std::size_t bf16_bytes(std::size_t columns) { return round_up(columns, 2) * kBlockRows * sizeof(std::uint16_t); }

void bf16_pack(const float* rows, std::size_t columns, std::uint8_t* block) {
    auto* out = reinterpret_cast<std::uint32_t*>(block);
    for (std::size_t column = 0; column < columns; column += 2) {
        for (std::size_t row = 0; row < kBlockRows; ++row) {
            const float* pair = rows + row * columns + column;
            const std::uint32_t second = column + 1 < columns ? to_bf16(pair[1]) : 0u;
            *out++ = to_bf16(pair[0]) | second << 16;
        }
    }
}

void bf16_unpack(const std::uint8_t* block, std::size_t row, std::size_t columns, float* out) {
    const auto* in = reinterpret_cast<const std::uint16_t*>(block) + 2 * row;
    for (std::size_t column = 0; column < columns; ++column) {
        out[column] = of_bf16(in[column / 2 * 2 * kBlockRows + column % 2]);
    }
}

constexpr Layout kLayouts[2] = {
    {"f32", 1, f32_bytes, f32_pack, f32_unpack},
    {"bf16", 1, bf16_bytes, bf16_pack, bf16_unpack},
};

bool all_finite(const float* values, std::size_t count) {
    std::uint32_t bad = 0;
    for (std::size_t i = 0; i < count; ++i) {
        bad |= (std::bit_cast<std::uint32_t>(values[i]) & 0x7F800000) == 0x7F800000;
    }
    return !bad;
}

}  // namespace

const Layout& layout(Format format) {
    const auto place = static_cast<std::size_t>(format);
    return place < 2 ? kLayouts[place] : kBlockedLayouts[place - 2];
}

Format format_of(const std::string& name) {
    for (std::size_t i = 0; i < kNumFormats; ++i) {
        if (name == layout(static_cast<Format>(i)).name) return static_cast<Format>(i);
    }
    throw std::invalid_argument("no weight format '" + name + "'");
}

std::size_t packed_bytes(Format format, std::size_t rows, std::size_t columns) {
    return round_up(rows, kBlockRows) / kBlockRows * layout(format).block_bytes(columns);
}

void widen(const Source& source, std::size_t first, std::size_t count, float* out) {
    if (source.type == Stored::blocks) {
        const gguf::Layout& at = gguf::kLayouts[source.place];
        const auto* bytes = static_cast<const std::uint8_t*>(source.data) + first / at.block * at.block_bytes;
        gguf::dequantize(source.place, {bytes, count / at.block}, out);
        return;
    }
    if (source.type == Stored::f32) {
        std::memcpy(out, static_cast<const float*>(source.data) + first, count * sizeof(float));
        return;
    }
    const auto* in = static_cast<const std::uint16_t*>(source.data) + first;
    if (source.type == Stored::bf16) {
        for (std::size_t i = 0; i < count; ++i) out[i] = of_bf16(in[i]);
    } else {
        for (std::size_t i = 0; i < count; ++i) out[i] = of_f16(in[i]);
    }
}

Matrix pack(Format format, const Source& source, std::uint8_t* memory, unsigned threads) {
    const Layout& to = layout(format);
    if (source.columns % to.columns_step) {
        throw std::invalid_argument(std::string(to.name) + " needs a multiple of " + std::to_string(to.columns_step) +
                                    " columns, not " + std::to_string(source.columns));
    }
    const Matrix matrix{format, source.rows, source.columns, to.block_bytes(source.columns), memory};
    threads = num_threads(threads);
    std::vector<std::vector<float>> scratch(threads);
    parallel(num_blocks(matrix), threads, [&](unsigned thread, std::size_t block) {
        std::vector<float>& rows = scratch[thread];
        const std::size_t first = block * kBlockRows, present = std::min(kBlockRows, source.rows - first);
        rows.assign(kBlockRows * source.columns, 0.0f);
        widen(source, first * source.columns, present * source.columns, rows.data());
        if (!all_finite(rows.data(), present * source.columns)) {
            throw std::invalid_argument("numbers that are NaN or infinite");
        }
        std::uint8_t* packed = memory + block * matrix.block_bytes;
        if (source.type == Stored::blocks && source.place == gguf_place(format)) {  // their own integers and scales
            const gguf::Layout& at = gguf::kLayouts[source.place];
            const std::size_t row_bytes = source.columns / at.block * at.block_bytes;
            std::vector<std::uint8_t> blocks(kBlockRows * row_bytes);
            std::memcpy(blocks.data(), static_cast<const std::uint8_t*>(source.data) + first * row_bytes,
                        present * row_bytes);
            interleave(format, blocks.data(), source.columns, packed);
        } else {
            to.pack(rows.data(), source.columns, packed);
        }
    });
    return matrix;
}

}  // namespace glassmill::model
