// Sixteen floats at a time, by the vector types of GCC and Clang, which fit any instruction set. For bodies that are
// compiled once for each: everything has internal linkage.
#pragma once

#include <string.h>
#include <cstddef>
#include <cstdint>

#include "train/step.hpp"

#define GLASSMILL_INLINE inline __attribute__((always_inline))

namespace glassmill::train {
namespace {

constexpr std::size_t kLanes = 16;
typedef float Lanes __attribute__((vector_size(64)));
typedef std::uint32_t Words __attribute__((vector_size(64)));
typedef std::int32_t Integers __attribute__((vector_size(64)));
typedef std::uint16_t Halves __attribute__((vector_size(32)));

GLASSMILL_INLINE Lanes all(float x) { return x - Lanes{}; }

GLASSMILL_INLINE Lanes load(const float* p) {
    Lanes x;
    memcpy(&x, p, sizeof x);
    return x;
}
GLASSMILL_INLINE Lanes load(const Bf16* p) {
    Halves h;
    memcpy(&h, p, sizeof h);
    return reinterpret_cast<Lanes>(__builtin_convertvector(h, Words) << 16);
}
GLASSMILL_INLINE void store(float* p, Lanes x) { memcpy(p, &x, sizeof x); }
GLASSMILL_INLINE void store(Bf16* p, Lanes x) {  // to the nearest, ties to even; the largest NaNs become infinite
    Words u = reinterpret_cast<Words>(x);
    u += 0x7fffu + ((u >> 16) & 1u);
    const Halves h = __builtin_convertvector(u >> 16, Halves);
    memcpy(p, &h, sizeof h);
}

// The first `n` values, zeros after them; and back.
template <class X>
GLASSMILL_INLINE Lanes load(const X* p, std::size_t n) {
    if (n >= kLanes) return load(p);
    X part[kLanes] = {};
    memcpy(part, p, n * sizeof(X));
    return load(part);
}
template <class X>
GLASSMILL_INLINE void store(X* p, Lanes x, std::size_t n) {
    if (n >= kLanes) return store(p, x);
    X part[kLanes];
    store(part, x);
    memcpy(p, part, n * sizeof(X));
}

GLASSMILL_INLINE float sum(Lanes x) {
    float v[kLanes];
    store(v, x);
    for (std::size_t half = kLanes / 2; half; half /= 2)
        for (std::size_t i = 0; i < half; ++i) v[i] += v[i + half];
    return v[0];
}
GLASSMILL_INLINE Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }
GLASSMILL_INLINE float largest(Lanes x) {
    float v[kLanes], most;
    store(v, x);
    most = v[0];
    for (float value : v) most = value > most ? value : most;
    return most;
}

// e^x to about two units in the last place; 0 below -87.
GLASSMILL_INLINE Lanes exp(Lanes x) {
    const Lanes low = all(-87.0f), high = all(88.0f);
    const Integers tiny = x < low;
    x = x < low ? low : x;
    x = x > high ? high : x;
    const float shift = 12582912.0f;  // 1.5 * 2^23: rounds to whole numbers
    const Lanes n = (x * 1.44269504f + shift) - shift;
    const Lanes r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    Lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const Integers exponent = (__builtin_convertvector(n, Integers) + 127) << 23;
    const Lanes result = p * reinterpret_cast<Lanes>(exponent);
    return tiny ? Lanes{} : result;
}

}  // namespace
}  // namespace glassmill::train
