// Sixteen floats at once, in the instructions that the file is compiled for. Everything here has internal linkage.
//
// Without AVX they are an array, and the loops over it are left to the compiler (SSE2, NEON).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace glassmill::model {
namespace {

#if defined(__AVX512F__)

struct Floats {
    __m512 v;
};
struct Pairs {  // sixteen pairs of bf16
    __m512i v;
};

inline Floats load(const float* from) { return {_mm512_loadu_ps(from)}; }
inline void store(float* to, Floats a) { _mm512_storeu_ps(to, a.v); }
inline Floats all(float value) { return {_mm512_set1_ps(value)}; }
inline Floats operator+(Floats a, Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Floats operator-(Floats a, Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Floats operator*(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Floats operator/(Floats a, Floats b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Floats larger(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Floats smaller(Floats a, Floats b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Floats nearest(Floats a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
// a * 2^n, where n is a whole number from -126 to 127
inline Floats times_power(Floats a, Floats n) { return {_mm512_scalef_ps(a.v, n.v)}; }

inline Pairs load_pairs(const uint8_t* from) { return {_mm512_loadu_si512(from)}; }
inline Pairs all_pairs(const uint8_t* from) {
    int pair;
    memcpy(&pair, from, sizeof pair);
    return {_mm512_set1_epi32(pair)};
}
inline Floats first_of(Pairs a) { return {_mm512_castsi512_ps(_mm512_slli_epi32(a.v, 16))}; }
inline Floats second_of(Pairs a) {
    return {_mm512_castsi512_ps(_mm512_and_si512(a.v, _mm512_set1_epi32(static_cast<int>(0xFFFF0000))))};
}
#if defined(__AVX512BF16__)
inline Floats add_products(Floats sum, Pairs a, Pairs b) {
    return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
}
#else
inline Floats add_products(Floats sum, Pairs a, Pairs b) {
    return multiply_add(first_of(a), first_of(b), multiply_add(second_of(a), second_of(b), sum));
}
#endif
// 16 floats as bf16, to the nearest, ties to even
inline void store_bf16(uint8_t* to, Floats a) {
    const __m512i bits = _mm512_castps_si512(a.v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
}

#elif defined(__AVX2__)

struct Floats {
    __m256 low, high;
};
struct Pairs {
    __m256i low, high;
};

inline Floats load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
inline void store(float* to, Floats a) { _mm256_storeu_ps(to, a.low), _mm256_storeu_ps(to + 8, a.high); }
inline Floats all(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
inline Floats operator+(Floats a, Floats b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
inline Floats operator-(Floats a, Floats b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
inline Floats operator*(Floats a, Floats b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
inline Floats operator/(Floats a, Floats b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
inline Floats larger(Floats a, Floats b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
inline Floats smaller(Floats a, Floats b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
inline Floats multiply_add(Floats a, Floats b, Floats c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Floats nearest(Floats a) {
    constexpr int how = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(a.low, how), _mm256_round_ps(a.high, how)};
}
inline __m256 times_power(__m256 a, __m256 n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}
inline Floats times_power(Floats a, Floats n) { return {times_power(a.low, n.low), times_power(a.high, n.high)}; }

inline Pairs load_pairs(const uint8_t* from) {
    const auto* at = reinterpret_cast<const __m256i*>(from);
    return {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
}
inline Pairs all_pairs(const uint8_t* from) {
    int pair;
    memcpy(&pair, from, sizeof pair);
    return {_mm256_set1_epi32(pair), _mm256_set1_epi32(pair)};
}
inline Floats first_of(Pairs a) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(a.low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(a.high, 16))};
}
inline Floats second_of(Pairs a) {
    const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xFFFF0000));
    return {_mm256_castsi256_ps(_mm256_and_si256(a.low, upper)), _mm256_castsi256_ps(_mm256_and_si256(a.high, upper))};
}
inline Floats add_products(Floats sum, Pairs a, Pairs b) {
    return multiply_add(first_of(a), first_of(b), multiply_add(second_of(a), second_of(b), sum));
}
inline __m256i rounded(__m256 a) {
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd), 16);
}
inline void store_bf16(uint8_t* to, Floats a) {
    const __m256i packed = _mm256_packus_epi32(rounded(a.low), rounded(a.high));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(packed, 0xD8));
}

#else

struct Floats {
    float v[16];
};
struct Pairs {
    uint32_t v[16];
};

inline float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

#define LANES(expression)                               \
    Floats out;                                         \
    for (int i = 0; i < 16; ++i) out.v[i] = expression; \
    return out
inline Floats load(const float* from) { LANES(from[i]); }
inline void store(float* to, Floats a) { memcpy(to, a.v, sizeof a.v); }
inline Floats all(float value) { LANES(value); }
inline Floats operator+(Floats a, Floats b) { LANES(a.v[i] + b.v[i]); }
inline Floats operator-(Floats a, Floats b) { LANES(a.v[i] - b.v[i]); }
inline Floats operator*(Floats a, Floats b) { LANES(a.v[i] * b.v[i]); }
inline Floats operator/(Floats a, Floats b) { LANES(a.v[i] / b.v[i]); }
inline Floats larger(Floats a, Floats b) { LANES(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
inline Floats smaller(Floats a, Floats b) { LANES(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { LANES(a.v[i] * b.v[i] + c.v[i]); }
// For |a| < 2^22; adding 1.5 * 2^23 leaves no place for a fraction.
inline Floats nearest(Floats a) { LANES((a.v[i] + 12582912.0f) - 12582912.0f); }
inline Floats times_power(Floats a, Floats n) {
    LANES(a.v[i] * float_of(static_cast<uint32_t>(static_cast<int32_t>(n.v[i]) + 127) << 23));
}
inline Floats first_of(Pairs a) { LANES(float_of(a.v[i] << 16)); }
inline Floats second_of(Pairs a) { LANES(float_of(a.v[i] & 0xFFFF0000)); }
#undef LANES
inline Pairs load_pairs(const uint8_t* from) {
    Pairs out;
    memcpy(out.v, from, sizeof out.v);
    return out;
}
inline Pairs all_pairs(const uint8_t* from) {
    uint32_t pair;
    memcpy(&pair, from, sizeof pair);
    Pairs out;
    for (int i = 0; i < 16; ++i) out.v[i] = pair;
    return out;
}
inline Floats add_products(Floats sum, Pairs a, Pairs b) {  // exact products: as with fused multiply-add
    return multiply_add(first_of(a), first_of(b), multiply_add(second_of(a), second_of(b), sum));
}
inline void store_bf16(uint8_t* to, Floats a) {
    uint16_t out[16];
    for (int i = 0; i < 16; ++i) {
        const uint32_t bits = bits_of(a.v[i]);
        out[i] = static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    }
    memcpy(to, out, sizeof out);
}

#endif

// The first `count` <= 16 of them.
inline Floats load_some(const float* from, size_t count) {
    float part[16] = {};
    memcpy(part, from, count * sizeof(float));
    return load(part);
}
inline void store_some(float* to, Floats a, size_t count) {
    float part[16];
    store(part, a);
    memcpy(to, part, count * sizeof(float));
}

// Their sum: halves are added until one is left, the same way everywhere.
inline float sum_of(Floats a) {
    float part[16];
    store(part, a);
    for (int half = 8; half; half /= 2) {
        for (int i = 0; i < half; ++i) part[i] += part[i + half];
    }
    return part[0];
}
// exact_sum_of: of whole numbers so small that no order of adding them rounds
#if defined(__AVX512F__)
inline float largest_of(Floats a) { return _mm512_reduce_max_ps(a.v); }
inline float exact_sum_of(Floats a) { return _mm512_reduce_add_ps(a.v); }
#else
inline float largest_of(Floats a) {
    float part[16];
    store(part, a);
    for (int half = 8; half; half /= 2) {
        for (int i = 0; i < half; ++i) part[i] = part[i] > part[i + half] ? part[i] : part[i + half];
    }
    return part[0];
}
inline float exact_sum_of(Floats a) {
    float part[16], sum = 0;
    store(part, a);
    for (int i = 0; i < 16; ++i) sum += part[i];
    return sum;
}
#endif

}  // namespace
}  // namespace glassmill::model
