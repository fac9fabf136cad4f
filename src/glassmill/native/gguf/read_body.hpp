// The body that gguf/<instruction set>/read.cpp compiles: blocks into integers, scales and offsets. Whatever
// it defines has internal linkage, and it calls nothing inline of the standard library (see dedup/least_body.hpp).
#pragma once

#include <string.h>

#include "gguf/blocks.hpp"

namespace glassmill::gguf {
namespace {

using Byte = std::uint8_t;

float half(const Byte* bytes) {
    const std::uint32_t bits = bytes[0] | std::uint32_t{bytes[1]} << 8;
    const std::uint32_t sign = (bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (exponent == 0) {  // zero, or without the leading one
        const float small = static_cast<float>(static_cast<std::int32_t>(fraction)) * 0x1p-24f;
        return sign ? -small : small;
    }
    const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
    return __builtin_bit_cast(float, sign | wide << 23 | fraction << 13);
}

float to_float(int integer) { return static_cast<float>(integer); }

// One block taken apart.
struct Parts {
    std::int8_t* q;
    float *scales, *offsets;
};

// Integers of 4 bits, or of 5 with `fifth`, the upper bits of 32: low halves of the bytes first.
void nibbles(const Byte* bytes, std::uint32_t fifth, int zero, std::int8_t* q) {
    for (int i = 0; i < 16; ++i) {
        const int low = (bytes[i] & 15) | (fifth >> i & 1) << 4;
        const int high = bytes[i] >> 4 | (fifth >> (i + 16) & 1) << 4;
        q[i] = static_cast<std::int8_t>(low - zero);
        q[i + 16] = static_cast<std::int8_t>(high - zero);
    }
}

std::uint32_t word(const Byte* bytes) {
    return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | std::uint32_t{bytes[3]} << 24;
}

void one_group(const Parts& out, float scale, float offset) {
    *out.scales = scale;
    *out.offsets = offset;
}

void q8_0(const Byte* b, const Parts& out) {
    one_group(out, half(b), 0);
    memcpy(out.q, b + 2, 32);
}
void q4_0(const Byte* b, const Parts& out) {
    one_group(out, half(b), 0);
    nibbles(b + 2, 0, 8, out.q);
}
void q4_1(const Byte* b, const Parts& out) {
    one_group(out, half(b), -half(b + 2));
    nibbles(b + 4, 0, 0, out.q);
}
void q5_0(const Byte* b, const Parts& out) {
    one_group(out, half(b), 0);
    nibbles(b + 6, word(b + 2), 16, out.q);
}
void q5_1(const Byte* b, const Parts& out) {
    one_group(out, half(b), -half(b + 2));
    nibbles(b + 8, word(b + 4), 0, out.q);
}

// Integers of 2 bits of the K formats: 4 times 32 in 32 bytes.
void quarters(const Byte* bytes, std::int8_t* q) {
    for (int i = 0; i < 256; ++i) q[i] = static_cast<std::int8_t>(bytes[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3);
}

void q2_k(const Byte* b, const Parts& out) {
    const float d = half(b + 80), least = half(b + 82);
    for (int g = 0; g < 16; ++g) {
        out.scales[g] = d * to_float(b[g] & 15);
        out.offsets[g] = least * to_float(b[g] >> 4);
    }
    quarters(b + 16, out.q);
}

void q3_k(const Byte* b, const Parts& out) {
    const float d = half(b + 108);
    const Byte* packed = b + 96;
    for (int g = 0; g < 16; ++g) {
        const int low = packed[g % 8] >> g / 8 * 4 & 15, upper = packed[8 + g % 4] >> g / 4 * 2 & 3;
        out.scales[g] = d * to_float((low | upper << 4) - 32);
        out.offsets[g] = 0;
    }
    quarters(b + 32, out.q);
    for (int i = 0; i < 256; ++i) out.q[i] = static_cast<std::int8_t>(out.q[i] - (b[i % 32] >> i / 32 & 1 ? 0 : 4));
}

// Eight scales and eight offsets of 6 bits in 12 bytes.
void six_bit_pairs(const Byte* b, const Parts& out) {
    const float d = half(b), least = half(b + 2);
    const Byte* packed = b + 4;
    for (int g = 0; g < 8; ++g) {
        const int scale = g < 4 ? packed[g] & 63 : (packed[g + 4] & 15) | (packed[g - 4] >> 2 & 48);
        const int offset = g < 4 ? packed[g + 4] & 63 : packed[g + 4] >> 4 | (packed[g] >> 2 & 48);
        out.scales[g] = d * to_float(scale);
        out.offsets[g] = least * to_float(offset);
    }
}

void k_nibbles(const Byte* bytes, std::int8_t* q) {
    for (int chunk = 0; chunk < 4; ++chunk, bytes += 32, q += 64) {
        for (int i = 0; i < 32; ++i) {
            q[i] = static_cast<std::int8_t>(bytes[i] & 15);
            q[i + 32] = static_cast<std::int8_t>(bytes[i] >> 4);
        }
    }
}

void q4_k(const Byte* b, const Parts& out) {
    six_bit_pairs(b, out);
    k_nibbles(b + 16, out.q);
}

void q5_k(const Byte* b, const Parts& out) {
    six_bit_pairs(b, out);
    k_nibbles(b + 48, out.q);
    for (int i = 0; i < 256; ++i) out.q[i] = static_cast<std::int8_t>(out.q[i] | (b[16 + i % 32] >> i / 32 & 1) << 4);
}

void q6_k(const Byte* b, const Parts& out) {
    const float d = half(b + 208);
    for (int g = 0; g < 16; ++g) {
        out.scales[g] = d * to_float(static_cast<std::int8_t>(b[192 + g]));
        out.offsets[g] = 0;
    }
    for (int i = 0; i < 256; ++i) {
        const int low = b[i / 128 * 64 + i % 64] >> i % 128 / 64 * 4 & 15;
        const int high = b[128 + i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
        out.q[i] = static_cast<std::int8_t>((low | high << 4) - 32);
    }
}

using TakeApart = void(const Byte* block, const Parts& out);
constexpr TakeApart* kTakeApart[kNumFormats] = {q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k};

void unpack_blocks(int place, const Blocks& blocks, std::int8_t* q, float* scales, float* offsets) {
    const Layout& at = kLayouts[place];
    const std::size_t groups = at.block / at.group;
    for (std::size_t i = 0; i < blocks.count; ++i) {
        kTakeApart[place](blocks.bytes + i * at.block_bytes,
                          {q + i * at.block, scales + i * groups, offsets + i * groups});
    }
}

void dequantize_blocks(int place, const Blocks& blocks, float* values) {
    const Layout& at = kLayouts[place];
    std::int8_t q[kLargestBlock];
    float scales[kMostGroups], offsets[kMostGroups];
    for (std::size_t i = 0; i < blocks.count; ++i, values += at.block) {
        kTakeApart[place](blocks.bytes + i * at.block_bytes, {q, scales, offsets});
        for (std::size_t g = 0; g < at.block / at.group; ++g) {
            const float scale = scales[g], offset = offsets[g];
            for (std::size_t k = g * at.group; k < (g + 1) * at.group; ++k) values[k] = scale * to_float(q[k]) - offset;
        }
    }
}

}  // namespace
}  // namespace glassmill::gguf
