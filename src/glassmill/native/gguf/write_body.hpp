// The body that gguf/<instruction set>/write.cpp compiles: weights into blocks. What is done and why stands in
// the twin, glassmill/model/plain_quantize.py; every sum here has the twin's order. Whatever it defines has internal
// linkage, and it calls nothing inline of the standard library (see dedup/least_body.hpp).
#pragma once

#include <string.h>

#include "gguf/blocks.hpp"

namespace glassmill::gguf {
namespace {

using Byte = std::uint8_t;
constexpr int kSteps = 9;
constexpr float kTiny = 1e-30f;

float magnitude(float value) {
    return __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, value) & 0x7fffffff);
}
float divided(float above, float below) { return magnitude(below) < kTiny ? 0.0f : above / below; }

// The nearest number of 16 bits, of two equally near ones the even one.
std::uint32_t half_bits(float value) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value), sign = bits >> 16 & 0x8000,
                        size = bits & 0x7fffffff;
    if (size >= 0x477ff000) return sign | 0x7c00;
    if (size < 0x38800000) {  // below 2^-14: the sum has a unit of 2^-24
        return sign | (__builtin_bit_cast(std::uint32_t, __builtin_bit_cast(float, size) + 0.5f) - 0x3f000000);
    }
    return sign | (((size + 0xfff + (size >> 13 & 1)) >> 13) - (112 << 10));
}
void put_half(float value, Byte* bytes) {
    const std::uint32_t bits = half_bits(value);
    bytes[0] = static_cast<Byte>(bits);
    bytes[1] = static_cast<Byte>(bits >> 8);
}
float rounded_to_half(float value) {
    const std::uint32_t bits = half_bits(value), size = bits & 0x7fff;
    const float whole = size < 0x400 ? static_cast<float>(static_cast<int>(size)) * 0x1p-24f
                                     : __builtin_bit_cast(float, (size << 13) + (112u << 23));
    return bits & 0x8000 ? -whole : whole;
}

float rounded(float scaled, float low, float high) {
    const float least = scaled < low ? low : scaled;
    const float within = least > high ? high : least;
    return static_cast<float>(static_cast<int>(within - low + 0.5f)) + low;
}

// Eight numbers side by side.
#ifdef __GNUC__
using Eight = float __attribute__((vector_size(32)));
using EightIntegers = int __attribute__((vector_size(32)));

inline void round_each(Eight& scaled, float low, float high) {
    scaled = scaled < low ? Eight{} + low : scaled;
    scaled = scaled > high ? Eight{} + high : scaled;
    scaled = __builtin_convertvector(__builtin_convertvector(scaled - low + 0.5f, EightIntegers), Eight) + low;
}
#else
struct Eight {
    float lane[8] = {};
    float& operator[](int k) { return lane[k]; }
    float operator[](int k) const { return lane[k]; }
};
#define GLASSMILL_EIGHT(sign)                              \
    inline Eight operator sign(Eight a, const Eight& b) {  \
        for (int k = 0; k < 8; ++k) a[k] = a[k] sign b[k]; \
        return a;                                          \
    }                                                      \
    inline Eight operator sign(Eight a, float b) {         \
        for (int k = 0; k < 8; ++k) a[k] = a[k] sign b;    \
        return a;                                          \
    }
GLASSMILL_EIGHT(+)
GLASSMILL_EIGHT(-)
GLASSMILL_EIGHT(*)
inline void round_each(Eight& scaled, float low, float high) {
    for (int k = 0; k < 8; ++k) scaled[k] = rounded(scaled[k], low, high);
}
#endif

// A group of weights, and how much each counts.
template <int size>
struct Group {
    Eight x[size / 8], w[size / 8];

    Group(const float* values, const float* importance) {
        memcpy(x, values, sizeof x);
        memcpy(w, importance, sizeof w);
    }
};

// The sum of the lanes of term(place) over all places below `count`, in the twin's order.
template <int count, class Term>
inline float sum(const Term& term) {
    Eight total;
    term(0, total);
    for (int place = 1; place < count; ++place) {
        Eight next;
        term(place, next);
        total = total + next;
    }
    const float a = total[0] + total[4], b = total[1] + total[5], c = total[2] + total[6], d = total[3] + total[7];
    return (a + c) + (b + d);
}

float largest_of(const float* x, int size) {
    float largest = x[0];
    for (int i = 1; i < size; ++i) {
        if (magnitude(x[i]) > magnitude(largest)) largest = x[i];
    }
    return largest;
}

template <int size>
float symmetric(const float* values, const float* importance, int n) {
    constexpr int count = size / 8;
    const Group<size> group(values, importance);
    const Eight *x = group.x, *w = group.w;
    const float largest = largest_of(values, size), low = static_cast<float>(-n), high = static_cast<float>(n - 1);
    float best = -1, scale = largest / low;
    Eight q[count];
    for (int step = -kSteps; step <= kSteps; ++step) {
        const float inverse = divided(low + 0.1f * static_cast<float>(step), largest);
        for (int i = 0; i < count; ++i) round_each(q[i] = x[i] * inverse, low, high);
        const float xq = sum<count>([&](int i, Eight& term) { term = w[i] * x[i] * q[i]; });
        const float qq = sum<count>([&](int i, Eight& term) { term = w[i] * q[i] * q[i]; });
        const float fit = divided(xq, qq), gain = fit * xq;
        if (gain > best) best = gain, scale = fit;
    }
    return scale;
}

struct Grid {
    float scale, offset;
};

// Whether the grid is nearer to the group than `best`, which is then lowered; `q` are its integers.
template <int size>
bool nearer(const Group<size>& group, const Eight* q, float scale, float offset, float& best) {
    const float error = sum<size / 8>([&](int i, Eight& term) {
        const Eight away = q[i] * scale - offset - group.x[i];
        term = group.w[i] * away * away;
    });
    if (!(error < best)) return false;
    best = error;
    return true;
}

template <int size>
Grid asymmetric(const float* values, const float* importance, int top, bool below_zero) {
    constexpr int count = size / 8;
    const Group<size> group(values, importance);
    const Eight *x = group.x, *w = group.w;
    float low = values[0], high = values[0];
    for (int i = 1; i < size; ++i) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    if (below_zero && low > 0) low = 0;
    const float width = high - low, upper = static_cast<float>(top);
    const float all_w = sum<count>([&](int i, Eight& term) { term = w[i]; });
    const float all_x = sum<count>([&](int i, Eight& term) { term = w[i] * x[i]; });
    float best = __builtin_inff();
    Grid grid{0, -low};
    Eight q[count];
    for (int step = -kSteps; step <= kSteps; ++step) {
        const float inverse = divided(upper + 0.1f * static_cast<float>(step), width);
        for (int i = 0; i < count; ++i) round_each(q[i] = (x[i] - low) * inverse, 0, upper);
        const float all_q = sum<count>([&](int i, Eight& term) { term = w[i] * q[i]; });
        const float qq = sum<count>([&](int i, Eight& term) { term = w[i] * q[i] * q[i]; });
        const float xq = sum<count>([&](int i, Eight& term) { term = w[i] * x[i] * q[i]; });
        const float below = all_w * qq - all_q * all_q;
        float fit = divided(all_w * xq - all_x * all_q, below);
        float least = divided(qq * all_x - all_q * xq, below);
        if (below_zero && least > 0) fit = divided(xq, qq), least = 0;
        if (fit > 0 && nearer(group, q, fit, -least, best)) grid = {fit, -least};
    }
    return {grid.scale, grid.offset + 0.0f};
}

// --- one scale for a block -------------------------------------------------------------------------------------------

bool any(const float* w, int size) {
    for (int i = 0; i < size; ++i) {
        if (w[i] != 0) return true;
    }
    return false;
}

void put_nibbles(const Byte* q, Byte* bytes) {
    for (int i = 0; i < 16; ++i) bytes[i] = static_cast<Byte>((q[i] & 15) | (q[i + 16] & 15) << 4);
}

void q8_0(const float* x, const float* w, Byte* out) {
    const float largest = magnitude(largest_of(x, 32)), plain = largest / 127.0f, inverse = divided(1, plain);
    put_half(plain, out);
    for (int i = 0; i < 32; ++i) {
        const float size = magnitude(x[i] * inverse), whole = static_cast<float>(static_cast<int>(size));
        const int q = static_cast<int>(whole) + (size - whole >= 0.5f);
        out[2 + i] = static_cast<Byte>(x[i] < 0 ? -q : q);
    }
    if (!any(w, 32)) return;
    const Group<32> group(x, w);
    float best = __builtin_inff();
    Eight near[4];
    for (int steps = 128; steps > 110; --steps) {
        const float scale = rounded_to_half(largest / static_cast<float>(steps)), wide = divided(1, scale);
        for (int i = 0; i < 4; ++i) round_each(near[i] = group.x[i] * wide, -127, 127);
        if (!nearer(group, near, scale, 0, best)) continue;
        put_half(scale, out);
        for (int i = 0; i < 32; ++i) out[2 + i] = static_cast<Byte>(static_cast<int>(near[i / 8][i % 8]));
    }
}

// Integers from 0 to 2n - 1; the scale is returned.
float searched(const float* x, const float* w, int n, Byte* q) {
    const float low = static_cast<float>(-n), high = static_cast<float>(n - 1);
    if (!any(w, 32)) {
        const float scale = largest_of(x, 32) / low, inverse = divided(1, scale);
        for (int i = 0; i < 32; ++i) {
            const int raw = static_cast<int>(x[i] * inverse + (static_cast<float>(n) + 0.5f));
            q[i] = static_cast<Byte>(raw > 2 * n - 1 ? 2 * n - 1 : raw);
        }
        return scale;
    }
    const float scale = symmetric<32>(x, w, n), inverse = divided(1, rounded_to_half(scale));
    for (int i = 0; i < 32; ++i) q[i] = static_cast<Byte>(static_cast<int>(rounded(x[i] * inverse, low, high)) + n);
    return scale;
}

void q4_0(const float* x, const float* w, Byte* out) {
    Byte q[32];
    put_half(searched(x, w, 8, q), out);
    put_nibbles(q, out + 2);
}

void q5_0(const float* x, const float* w, Byte* out) {
    Byte q[32];
    put_half(searched(x, w, 16, q), out);
    memset(out + 2, 0, 4);
    for (int i = 0; i < 32; ++i) out[2 + i / 8] = static_cast<Byte>(out[2 + i / 8] | (q[i] >> 4) << i % 8);
    put_nibbles(q, out + 6);
}

void q4_1(const float* x, const float* w, Byte* out) {
    Byte q[32];
    float low = x[0], high = x[0];
    for (int i = 1; i < 32; ++i) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    low += 0.0f, high += 0.0f;  // no zero with a sign
    float scale = (high - low) / 15.0f;
    if (any(w, 32)) {
        const Grid grid = asymmetric<32>(x, w, 15, false);
        const float inverse = divided(1, rounded_to_half(grid.scale)), offset = rounded_to_half(grid.offset);
        for (int i = 0; i < 32; ++i) q[i] = static_cast<Byte>(rounded((x[i] + offset) * inverse, 0, 15));
        scale = grid.scale, low = -grid.offset;
    } else {
        const float inverse = divided(1, scale);
        for (int i = 0; i < 32; ++i) {
            const int raw = static_cast<int>((x[i] - low) * inverse + 0.5f);
            q[i] = static_cast<Byte>(raw > 15 ? 15 : raw);
        }
    }
    put_half(scale, out);
    put_half(low, out + 2);
    put_nibbles(q, out + 4);
}

// --- small integers as scales ----------------------------------------------------------------------------------------

float clipped(float value, float low, float high) {
    const float least = value < low ? low : value;
    return least > high ? high : least;
}

void q4_k(const float* x, const float* w, Byte* out) {
    float scales[8], offsets[8], top_scale = 0, top_offset = 0;
    for (int g = 0; g < 8; ++g) {
        const Grid grid = asymmetric<32>(x + 32 * g, w + 32 * g, 15, true);
        scales[g] = grid.scale, offsets[g] = grid.offset;
        top_scale = grid.scale > top_scale ? grid.scale : top_scale;
        top_offset = grid.offset > top_offset ? grid.offset : top_offset;
    }
    const float d = rounded_to_half(top_scale / 63.0f), least = rounded_to_half(top_offset / 63.0f);
    Byte kept[8][2] = {}, q[256] = {};
    for (int g = 0; g < 8; ++g) {
        const Group<32> group(x + 32 * g, w + 32 * g);
        const float middle[2] = {rounded(divided(scales[g], d), 0, 63), rounded(divided(offsets[g], least), 0, 63)};
        float best = __builtin_inff();
        Eight near[4];
        for (int step = 0; step < 9; ++step) {
            const float tried[2] = {clipped(middle[0] + static_cast<float>(step / 3 - 1), 0, 63),
                                    clipped(middle[1] + static_cast<float>(step % 3 - 1), 0, 63)};
            const float scale = d * tried[0], offset = least * tried[1], inverse = divided(1, scale);
            for (int i = 0; i < 4; ++i) round_each(near[i] = (group.x[i] + offset) * inverse, 0, 15);
            if (!nearer(group, near, scale, offset, best)) continue;
            for (int i = 0; i < 32; ++i) q[32 * g + i] = static_cast<Byte>(near[i / 8][i % 8]);
            for (int k = 0; k < 2; ++k) kept[g][k] = static_cast<Byte>(tried[k]);
        }
    }
    put_half(d, out);
    put_half(least, out + 2);
    for (int g = 0; g < 4; ++g) {
        for (int k = 0; k < 2; ++k) out[4 + 4 * k + g] = static_cast<Byte>(kept[g][k] | (kept[g + 4][k] >> 4) << 6);
        out[12 + g] = static_cast<Byte>((kept[g + 4][0] & 15) | (kept[g + 4][1] & 15) << 4);
    }
    for (int i = 0; i < 128; ++i) {
        const int at = i / 32 * 64 + i % 32;
        out[16 + i] = static_cast<Byte>(q[at] | q[at + 32] << 4);
    }
}

void q6_k(const float* x, const float* w, Byte* out) {
    float scales[16];
    for (int g = 0; g < 16; ++g) scales[g] = symmetric<16>(x + 16 * g, w + 16 * g, 32);
    const float d = rounded_to_half(largest_of(scales, 16) / -128.0f);
    Byte q[256];
    memset(q, 32, sizeof q);
    for (int g = 0; g < 16; ++g) {
        const Group<16> group(x + 16 * g, w + 16 * g);
        const float middle = rounded(divided(scales[g], d), -128, 127);
        float best = __builtin_inff();
        Eight near[2];
        out[192 + g] = 0;
        for (int step = -1; step <= 1; ++step) {
            const float tried = clipped(middle + static_cast<float>(step), -128, 127);
            const float scale = d * tried, inverse = divided(1, scale);
            for (int i = 0; i < 2; ++i) round_each(near[i] = group.x[i] * inverse, -32, 31);
            if (!nearer(group, near, scale, 0, best)) continue;
            for (int i = 0; i < 16; ++i) q[16 * g + i] = static_cast<Byte>(near[i / 8][i % 8] + 32.0f);
            out[192 + g] = static_cast<Byte>(static_cast<int>(tried));
        }
    }
    for (int i = 0; i < 128; ++i) {
        const int at = i / 64 * 128 + i % 64;
        out[i] = static_cast<Byte>((q[at] & 15) | (q[at + 64] & 15) << 4);
    }
    for (int i = 0; i < 64; ++i) {
        const Byte* at = q + i / 32 * 128 + i % 32;
        out[128 + i] = static_cast<Byte>(at[0] >> 4 | at[32] >> 4 << 2 | at[64] >> 4 << 4 | at[96] >> 4 << 6);
    }
    put_half(d, out + 208);
}

using PutTogether = void(const float* values, const float* importance, Byte* block);
constexpr PutTogether* kPutTogether[kNumFormats] = {q4_0,    q4_1,    q5_0, nullptr, q8_0,
                                                    nullptr, nullptr, q4_k, nullptr, q6_k};

void quantize_blocks(int place, const Weights& weights, Byte* blocks) {
    const Layout& at = kLayouts[place];
    for (std::size_t i = 0; i < weights.num_blocks; ++i) {
        kPutTogether[place](weights.values + i * at.block, weights.importance + i * at.block,
                            blocks + i * at.block_bytes);
    }
}

}  // namespace
}  // namespace glassmill::gguf
