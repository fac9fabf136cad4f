// What a training step does between its matrix products, each in one pass over memory.
//
// Values are float or bfloat16; sums and everything between load and store are float. Sums are made in the same order
// whatever the number of threads and the instructions, so all of them give the same bits.
//
//     M rows (tokens), D width, F width of the feed-forward layer, V vocabulary, B batch, T positions, N heads of
//     queries, K of keys and values, J = N + K, H channels of a head
#pragma once

#include <cstddef>
#include <cstdint>

namespace glassmill::train {

struct Bf16 {
    std::uint16_t bits;
};

// Heads of one layer. Queries lie block by block of `block` positions: (positions / block, B K, N / K, block, H), the
// last block shorter; keys and values (B K, T, H).
struct HeadShape {
    std::size_t B, T, N, K, H, block;
    float eps, scale;              // scale: of the queries, after the rotation
    const float *cos, *sin;        // (T, H / 2)
    const float *gain_q, *gain_k;  // (H); null: not normalised
};

// The kernels of one instruction set for one type. Each works on the rows [begin, end) of what its comment names.
template <class X>
struct Kernels {
    // Rows of M: x += add (if there is one); inverse = 1 / rms(x); normed = x inverse.
    void (*norm)(float* x, const X* add, X* normed, float* inverse, std::size_t D, float eps, std::size_t begin,
                 std::size_t end);
    // Rows of M: grad += (g - normed mean(g normed)) inverse; low = grad (if there is one).
    void (*norm_back)(float* grad, const X* g, const X* normed, const float* inverse, X* low, std::size_t D,
                      std::size_t begin, std::size_t end);
    // Rows of M: from qkv (M, (J + K) H) to normalised, rotated queries and keys, and values; inverse (M, J).
    void (*heads)(const HeadShape& shape, const X* qkv, X* q, X* k, X* v, float* inverse, std::size_t begin,
                  std::size_t end);
    // The same backwards; the gradients of both gains are added to gains (2, H).
    void (*heads_back)(const HeadShape& shape, const X* qkv, const float* inverse, const X* grad_q, const X* grad_k,
                       const X* grad_v, X* grad_qkv, float* gains, std::size_t begin, std::size_t end);
    // Rows of M: mixed (M, N H) from the layout of queries, or (back) the other way round.
    void (*mix)(const HeadShape& shape, X* blocks, X* mixed, bool back, std::size_t begin, std::size_t end);
    // Rows of a block of attention: softmax of the first `start + row % count + 1` of `width` values; the rest is 0.
    void (*softmax)(X* weights, std::size_t count, std::size_t start, std::size_t width, float* scratch,
                    std::size_t begin, std::size_t end);
    // The same backwards, in place of `grad`.
    void (*softmax_back)(X* grad, const X* weights, std::size_t count, std::size_t start, std::size_t width,
                         std::size_t begin, std::size_t end);
    // Rows of M: inner = silu(gate) up, from gate_up (M, 2 F).
    void (*swiglu)(const X* gate_up, X* inner, std::size_t F, std::size_t begin, std::size_t end);
    void (*swiglu_back)(const X* gate_up, const X* grad_inner, X* grad_gate_up, std::size_t F, std::size_t begin,
                        std::size_t end);
    // Rows of logits (rows, V): the gradient of weight * nats in their place; nats = weight * nats.
    void (*cross_entropy)(X* logits, const std::int64_t* targets, const float* weights, float* nats, std::size_t V,
                          float* scratch, std::size_t begin, std::size_t end);
    // Rows of a weight (rows, D): out = weight gain (if there is one).
    void (*fold)(const float* weight, const float* gain, X* out, std::size_t D, std::size_t begin, std::size_t end);
    // Rows of a weight: grad += folded gain, gains (D) += folded weight; without a gain grad += folded.
    void (*unfold)(const X* folded, const float* weight, const float* gain, float* grad, float* gains, std::size_t D,
                   std::size_t begin, std::size_t end);
};

namespace scalar {
extern const Kernels<float> floats;
extern const Kernels<Bf16> bf16s;
}  // namespace scalar
namespace avx2 {
extern const Kernels<float> floats;
extern const Kernels<Bf16> bf16s;
}  // namespace avx2
namespace avx512 {
extern const Kernels<float> floats;
extern const Kernels<Bf16> bf16s;
}  // namespace avx512

}  // namespace glassmill::train
