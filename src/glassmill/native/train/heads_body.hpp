// Heads between the projection and the attention: norms of queries and keys, rotation, and their layout; see step.hpp.
#pragma once

#include "train/lanes.hpp"

namespace glassmill::train {
namespace {

// Where the queries of head `n` at position `t` of batch row `b` lie.
std::size_t place_of_query(const HeadShape& s, std::size_t b, std::size_t t, std::size_t n) {
    const std::size_t group = s.N / s.K, start = t / s.block * s.block;
    const std::size_t count = s.T - start < s.block ? s.T - start : s.block;
    const std::size_t r = b * s.K + n / group;
    return ((start * s.B * s.K + r * count) * group + n % group * count + (t - start)) * s.H;
}

std::size_t place_of_key(const HeadShape& s, std::size_t b, std::size_t t, std::size_t k) {
    return ((b * s.K + k) * s.T + t) * s.H;
}

template <class X>
void copy(const X* from, X* to, std::size_t n) {
    memcpy(static_cast<void*>(to), from, n * sizeof(X));
}

// Normalises, scales and rotates one head; the factor 1 / rms that it used.
template <class X>
float turn(const HeadShape& s, const X* from, X* to, std::size_t t, const float* gain, float scale) {
    const std::size_t half = s.H / 2;
    float inverse = 1.0f;
    if (gain) {
        Lanes squares{};
        for (std::size_t i = 0; i < s.H; i += kLanes) {
            const Lanes x = load(from + i, s.H - i);
            squares += x * x;
        }
        inverse = 1.0f / __builtin_sqrtf(sum(squares) / static_cast<float>(s.H) + s.eps);
    }
    const float *cos = s.cos + t * half, *sin = s.sin + t * half, factor = inverse * scale;
    for (std::size_t i = 0; i < half; i += kLanes) {
        const std::size_t n = half - i;
        Lanes a = load(from + i, n) * factor, b = load(from + half + i, n) * factor;
        if (gain) {
            a *= load(gain + i, n);
            b *= load(gain + half + i, n);
        }
        const Lanes c = load(cos + i, n), d = load(sin + i, n);
        store(to + i, a * c - b * d, n);
        store(to + half + i, b * c + a * d, n);
    }
    return inverse;
}

template <class X>
void turn_back(const HeadShape& s, const X* from, const X* grad, X* to, std::size_t t, const float* gain, float scale,
               float inverse, float* gains, float* scratch) {
    const std::size_t half = s.H / 2;
    const float *cos = s.cos + t * half, *sin = s.sin + t * half;
    for (std::size_t i = 0; i < half; i += kLanes) {
        const std::size_t n = half - i;
        const Lanes a = load(grad + i, n) * scale, b = load(grad + half + i, n) * scale;
        const Lanes c = load(cos + i, n), d = load(sin + i, n);
        store(scratch + i, a * c + b * d, n);
        store(scratch + half + i, b * c - a * d, n);
    }
    Lanes products{};
    for (std::size_t i = 0; gain && i < s.H; i += kLanes) {
        const std::size_t n = s.H - i;
        const Lanes normed = load(from + i, n) * inverse, g = load(scratch + i, n);
        store(gains + i, load(gains + i, n) + g * normed, n);
        products += g * load(gain + i, n) * normed;
    }
    const float along = sum(products) / static_cast<float>(s.H);
    for (std::size_t i = 0; i < s.H; i += kLanes) {
        const std::size_t n = s.H - i;
        Lanes g = load(scratch + i, n);
        if (gain) g = (g * load(gain + i, n) - load(from + i, n) * inverse * along) * inverse;
        store(to + i, g, n);
    }
}

template <class X>
void heads(const HeadShape& s, const X* qkv, X* q, X* k, X* v, float* inverse, std::size_t begin, std::size_t end) {
    const std::size_t J = s.N + s.K;
    for (std::size_t m = begin; m < end; ++m) {
        const std::size_t b = m / s.T, t = m % s.T;
        const X* from = qkv + m * (J + s.K) * s.H;
        for (std::size_t j = 0; j < J; ++j, from += s.H) {
            const bool query = j < s.N;
            X* to = query ? q + place_of_query(s, b, t, j) : k + place_of_key(s, b, t, j - s.N);
            inverse[m * J + j] = turn(s, from, to, t, query ? s.gain_q : s.gain_k, query ? s.scale : 1.0f);
        }
        for (std::size_t i = 0; i < s.K; ++i, from += s.H) copy(from, v + place_of_key(s, b, t, i), s.H);
    }
}

template <class X>
void heads_back(const HeadShape& s, const X* qkv, const float* inverse, const X* grad_q, const X* grad_k,
                const X* grad_v, X* grad_qkv, float* gains, std::size_t begin, std::size_t end) {
    const std::size_t J = s.N + s.K;
    float scratch[1024];
    for (std::size_t m = begin; m < end; ++m) {
        const std::size_t b = m / s.T, t = m % s.T, row = m * (J + s.K) * s.H;
        for (std::size_t j = 0; j < J; ++j) {
            const bool query = j < s.N;
            const X* grad = query ? grad_q + place_of_query(s, b, t, j) : grad_k + place_of_key(s, b, t, j - s.N);
            turn_back(s, qkv + row + j * s.H, grad, grad_qkv + row + j * s.H, t, query ? s.gain_q : s.gain_k,
                      query ? s.scale : 1.0f, inverse[m * J + j], gains + (query ? 0 : s.H), scratch);
        }
        for (std::size_t i = 0; i < s.K; ++i)
            copy(grad_v + place_of_key(s, b, t, i), grad_qkv + row + (J + i) * s.H, s.H);
    }
}

template <class X>
void mix(const HeadShape& s, X* blocks, X* mixed, bool back, std::size_t begin, std::size_t end) {
    for (std::size_t m = begin; m < end; ++m) {
        for (std::size_t n = 0; n < s.N; ++n) {
            X *one = blocks + place_of_query(s, m / s.T, m % s.T, n), *other = mixed + (m * s.N + n) * s.H;
            if (back) copy(other, one, s.H);
            else copy(one, other, s.H);
        }
    }
}

}  // namespace
}  // namespace glassmill::train
