// The body that model/<instruction set>/vectors.cpp compiles, sixteen numbers at a time and the rest as one part.
#pragma once

#include "model/lanes.hpp"
#include "model/vectors.hpp"

namespace glassmill::model {
namespace {

// e^x for x <= 88, to 2 units in the last place; 1.6e-38 below -87. Cephes' polynomial.
inline Floats exponential(Floats x) {
    x = larger(smaller(x, all(88.0f)), all(-87.0f));
    const Floats n = nearest(x * all(1.44269504f));
    const Floats r = multiply_add(n, all(2.12194440e-4f), multiply_add(n, all(-0.693359375f), x));
    Floats p = all(1.9875691500e-4f);
    constexpr float factors[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                                 5.0000001201e-1f};
    for (const float factor : factors) p = multiply_add(p, r, all(factor));
    return times_power(multiply_add(p, r * r, r + all(1.0f)), n);
}

// does(place, how many) for every part of 16 and what is left.
template <class Does>
inline void in_parts(size_t count, Does&& does) {
    size_t at = 0;
    for (; at + 16 <= count; at += 16) does(at, size_t{16});
    if (at < count) does(at, count - at);
}

inline Floats part_of(const float* from, size_t count) { return count == 16 ? load(from) : load_some(from, count); }
inline void put(float* to, Floats a, size_t count) {
    if (count == 16) {
        store(to, a);
    } else {
        store_some(to, a, count);
    }
}

void normalise(const float* x, const float* weight, size_t count, float eps, float* out) {
    Floats squares = all(0.0f);
    in_parts(count, [&](size_t at, size_t some) {
        const Floats part = part_of(x + at, some);
        squares = multiply_add(part, part, squares);
    });
    const float mean = sum_of(squares) / static_cast<float>(count);
    const Floats factor = all(1.0f / __builtin_sqrtf(mean + eps));
    in_parts(count, [&](size_t at, size_t some) {
        put(out + at, part_of(x + at, some) * factor * part_of(weight + at, some), some);
    });
}

void rotate(float* head, const float* cosines, const float* sines, size_t half) {
    in_parts(half, [&](size_t at, size_t some) {
        const Floats a = part_of(head + at, some), b = part_of(head + half + at, some);
        const Floats cosine = part_of(cosines + at, some), sine = part_of(sines + at, some);
        put(head + at, a * cosine - b * sine, some);
        put(head + half + at, b * cosine + a * sine, some);
    });
}

void gate_by(float* gate, const float* up, size_t count) {
    in_parts(count, [&](size_t at, size_t some) {
        const Floats x = part_of(gate + at, some);
        put(gate + at, x / (all(1.0f) + exponential(all(0.0f) - x)) * part_of(up + at, some), some);
    });
}

float exponentials(float* scores, size_t visible, size_t count, float scale) {
    constexpr float lowest = -3.0e38f;
    Floats most = all(lowest);
    size_t at = 0;
    for (; at + 16 <= visible; at += 16) most = larger(most, load(scores + at));
    float largest = largest_of(most);
    for (; at < visible; ++at) largest = scores[at] > largest ? scores[at] : largest;
    for (at = visible; at < count; ++at) scores[at] = lowest;
    Floats sum = all(0.0f);
    for (at = 0; at + 16 <= visible; at += 16) {
        const Floats part = exponential((load(scores + at) - all(largest)) * all(scale));
        store(scores + at, part);
        sum = sum + part;
    }
    if (at < visible) {
        store(scores + at, exponential((load(scores + at) - all(largest)) * all(scale)));
        for (size_t hidden = visible; hidden < at + 16; ++hidden) scores[hidden] = 0.0f;
        sum = sum + load(scores + at);
        at += 16;
    }
    for (; at < count; at += 16) store(scores + at, all(0.0f));
    return sum_of(sum);
}

void scale_by(const float* x, float factor, size_t count, float* out) {
    in_parts(count, [&](size_t at, size_t some) { put(out + at, part_of(x + at, some) * all(factor), some); });
}

void add_to(float* x, const float* more, size_t count) {
    in_parts(count,
             [&](size_t at, size_t some) { put(x + at, part_of(x + at, some) + part_of(more + at, some), some); });
}

Best best_of(const float* x, size_t count) {
    size_t at = 0;
    Best best{x[0], 0};
    if (count >= 16) {
        Floats most = load(x);
        for (at = 16; at + 16 <= count; at += 16) most = larger(most, load(x + at));
        best.value = largest_of(most);
    }
    for (; at < count; ++at) best.value = x[at] > best.value ? x[at] : best.value;
    while (best.id + 1 < count && x[best.id] != best.value) ++best.id;
    return best;
}

}  // namespace
}  // namespace glassmill::model

#define DEFINE_VECTORS(set)                                                   \
    extern const glassmill::model::Vectors glassmill::model::set::vectors = { \
        normalise, rotate, gate_by, exponentials, scale_by, best_of, add_to}
