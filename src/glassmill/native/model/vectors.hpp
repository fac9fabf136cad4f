// What a model does to single vectors between its products, one table for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace glassmill::model {

struct Best {  // the likeliest id; the lowest of equal ones
    float value;
    std::uint32_t id;
};

struct Vectors {
    // out = x / rms(x) * weight (arXiv 1910.07467, eq. 4)
    void (*normalise)(const float* x, const float* weight, std::size_t count, float eps, float* out);
    // Turns the pairs (i, i + half) of a head.
    void (*rotate)(float* head, const float* cosines, const float* sines, std::size_t half);
    // gate = silu(gate) * up
    void (*gate)(float* gate, const float* up, std::size_t count);
    // Scores become exp(scale * (score - largest)) for the first `visible`, and 0 from there to `count`, a multiple of
    // 16; returns their sum.
    float (*exponentials)(float* scores, std::size_t visible, std::size_t count, float scale);
    // out = x * factor
    void (*scale)(const float* x, float factor, std::size_t count, float* out);
    Best (*best)(const float* x, std::size_t count);
    void (*add)(float* x, const float* more, std::size_t count);
};

namespace scalar {
extern const Vectors vectors;
}
namespace avx2 {
extern const Vectors vectors;
}
namespace avx512 {
extern const Vectors vectors;
}

}  // namespace glassmill::model
