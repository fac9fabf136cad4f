// The inner loop of MinHash: for every hash function, the least value over the shingles of a text.
//
// Of each value only the upper half is computed, 32 bits a lane: the least value has the least upper half.
#pragma once

#include <cstddef>
#include <cstdint>

namespace glassmill::dedup {

struct Functions {  // x -> multiplier * x + summand, modulo 2^64
    const std::uint64_t *multipliers, *summands;
    std::size_t count;
};
struct Halves {  // of the shingles' hashes
    const std::uint32_t *low, *high;
    std::size_t count;
};

// Lowers least[k] to the upper half of the least value of function k, for every k.
using LowerLeast = void(const Functions& functions, const Halves& x, std::uint32_t* least);
namespace scalar {
LowerLeast lower_least;
}
namespace avx2 {
LowerLeast lower_least;
}
namespace avx512 {
LowerLeast lower_least;
}

}  // namespace glassmill::dedup
