// Sixteen sums of integers at once, and what turns them into floats: beside lanes.hpp, for packed 8- and 4-bit weights.
// Everything here has internal linkage. All instruction sets give the same integers.
#pragma once

#include "model/lanes.hpp"

namespace glassmill::model {
namespace {

#if defined(__AVX512F__)

struct Integers {
    __m512i v;
};
struct Quads {  // four bytes for each of 16 rows
    __m512i v;
};

inline Integers all_integers(int value) { return {_mm512_set1_epi32(value)}; }
inline Floats to_floats(Integers a) { return {_mm512_cvtepi32_ps(a.v)}; }
inline Integers with_upper(Integers upper, Integers lower) {  // 128 * upper + lower
    return {_mm512_add_epi32(_mm512_slli_epi32(upper.v, 7), lower.v)};
}
inline Quads load_quads(const uint8_t* from) { return {_mm512_loadu_si512(from)}; }
inline Quads all_quads(const uint8_t* from) { return {all_pairs(from).v}; }
inline Quads low_halves(Quads a) { return {_mm512_and_si512(a.v, _mm512_set1_epi8(15))}; }
inline Quads high_halves(Quads a) { return {_mm512_and_si512(_mm512_srli_epi16(a.v, 4), _mm512_set1_epi8(15))}; }
// sum + the four products of `w`, from 0 (to 15 if `small`), and `x`, with signs
template <bool small>
inline Integers add_products(Integers sum, Quads w, Quads x) {
#if defined(__AVX512VNNI__)
    return {_mm512_dpbusd_epi32(sum.v, w.v, x.v)};
#else
    const __m512i one = _mm512_set1_epi16(1);
    if constexpr (small) return {_mm512_add_epi32(sum.v, _mm512_madd_epi16(_mm512_maddubs_epi16(w.v, x.v), one))};
    const __m512i low = _mm512_madd_epi16(_mm512_maddubs_epi16(low_halves(w).v, x.v), one);
    const __m512i high = _mm512_madd_epi16(_mm512_maddubs_epi16(high_halves(w).v, x.v), _mm512_set1_epi16(16));
    return {_mm512_add_epi32(sum.v, _mm512_add_epi32(low, high))};
#endif
}
inline Floats load_small(const uint8_t* from) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))))};
}
inline Floats load_halves(const uint8_t* from) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
}
inline void store_bytes(int8_t* to, Floats a) {  // whole numbers from -127 to 127
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(a.v)));
}

#elif defined(__AVX2__)

struct Integers {
    __m256i low, high;
};
struct Quads {
    __m256i low, high;
};

inline Integers all_integers(int value) { return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)}; }
inline Floats to_floats(Integers a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
inline Integers with_upper(Integers upper, Integers lower) {
    return {_mm256_add_epi32(_mm256_slli_epi32(upper.low, 7), lower.low),
            _mm256_add_epi32(_mm256_slli_epi32(upper.high, 7), lower.high)};
}
inline Quads load_quads(const uint8_t* from) {
    const Pairs pairs = load_pairs(from);
    return {pairs.low, pairs.high};
}
inline Quads all_quads(const uint8_t* from) {
    const Pairs pairs = all_pairs(from);
    return {pairs.low, pairs.high};
}
inline __m256i low_halves(__m256i a) { return _mm256_and_si256(a, _mm256_set1_epi8(15)); }
inline __m256i high_halves(__m256i a) { return low_halves(_mm256_srli_epi16(a, 4)); }
inline Quads low_halves(Quads a) { return {low_halves(a.low), low_halves(a.high)}; }
inline Quads high_halves(Quads a) { return {high_halves(a.low), high_halves(a.high)}; }
template <bool small>
inline __m256i add_products(__m256i sum, __m256i w, __m256i x) {
    const __m256i one = _mm256_set1_epi16(1);
    if constexpr (small) return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), one));
    const __m256i low =
        _mm256_madd_epi16(_mm256_maddubs_epi16(low_halves(w), x), one);  // as wholes they would overflow
    const __m256i high = _mm256_madd_epi16(_mm256_maddubs_epi16(high_halves(w), x), _mm256_set1_epi16(16));
    return _mm256_add_epi32(sum, _mm256_add_epi32(low, high));
}
template <bool small>
inline Integers add_products(Integers sum, Quads w, Quads x) {
    return {add_products<small>(sum.low, w.low, x.low), add_products<small>(sum.high, w.high, x.high)};
}
inline Floats load_small(const uint8_t* from) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}
inline __m256 to_floats(__m128i halves) {  // finite ones
    const __m256i bits = _mm256_cvtepu16_epi32(halves);
    const __m256i size = _mm256_slli_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x7FFF)), 13);
    const __m256i sign = _mm256_slli_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x8000)), 16);
    return _mm256_or_ps(_mm256_mul_ps(_mm256_castsi256_ps(size), _mm256_set1_ps(0x1p112f)), _mm256_castsi256_ps(sign));
}
inline Floats load_halves(const uint8_t* from) {
    const auto* at = reinterpret_cast<const __m128i*>(from);
    return {to_floats(_mm_loadu_si128(at)), to_floats(_mm_loadu_si128(at + 1))};
}
inline void store_bytes(int8_t* to, Floats a) {
    const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high));
    const __m256i order = _mm256_permute4x64_epi64(words, 0xD8);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(order), _mm256_extracti128_si256(order, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
}

#else

struct Integers {
    int32_t v[16];
};
struct Quads {
    uint8_t v[64];
};

inline Integers all_integers(int value) {
    Integers out;
    for (int i = 0; i < 16; ++i) out.v[i] = value;
    return out;
}
inline Floats to_floats(Integers a) {
    Floats out;
    for (int i = 0; i < 16; ++i) out.v[i] = static_cast<float>(a.v[i]);
    return out;
}
inline Integers with_upper(Integers upper, Integers lower) {
    for (int i = 0; i < 16; ++i) lower.v[i] += 128 * upper.v[i];
    return lower;
}
inline Quads load_quads(const uint8_t* from) {
    Quads out;
    memcpy(out.v, from, sizeof out.v);
    return out;
}
inline Quads all_quads(const uint8_t* from) {
    Quads out;
    for (int i = 0; i < 64; ++i) out.v[i] = from[i % 4];
    return out;
}
inline Quads low_halves(Quads a) {
    for (int i = 0; i < 64; ++i) a.v[i] &= 15;
    return a;
}
inline Quads high_halves(Quads a) {
    for (int i = 0; i < 64; ++i) a.v[i] >>= 4;
    return a;
}
template <bool>
inline Integers add_products(Integers sum, Quads w, Quads x) {
    for (int i = 0; i < 16; ++i) {
        for (int k = 4 * i; k < 4 * i + 4; ++k) sum.v[i] += w.v[k] * static_cast<int8_t>(x.v[k]);
    }
    return sum;
}
inline Floats load_small(const uint8_t* from) {
    Floats out;
    for (int i = 0; i < 16; ++i) out.v[i] = static_cast<float>(from[i]);
    return out;
}
inline Floats load_halves(const uint8_t* from) {
    Floats out;
    for (int i = 0; i < 16; ++i) {
        const uint32_t bits = static_cast<uint32_t>(from[2 * i] | from[2 * i + 1] << 8);
        out.v[i] = float_of(bits_of(float_of((bits & 0x7FFF) << 13) * 0x1p112f) | (bits & 0x8000) << 16);
    }
    return out;
}
inline void store_bytes(int8_t* to, Floats a) {
    for (int i = 0; i < 16; ++i) to[i] = static_cast<int8_t>(a.v[i]);
}

#endif

}  // namespace
}  // namespace glassmill::model
