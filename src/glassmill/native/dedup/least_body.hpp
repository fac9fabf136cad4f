// The body that dedup/<instruction set>/least.cpp compiles. Whatever it defines has internal linkage, and it calls
// nothing inline of the standard library: the linker would keep one copy, made for one processor, for all callers.
#pragma once

#include "dedup/least.hpp"

namespace glassmill::dedup {
namespace {

std::uint32_t least_of(std::uint64_t multiplier, std::uint64_t summand, const Halves& x, std::uint32_t least) {
    const auto low = static_cast<std::uint32_t>(multiplier), high = static_cast<std::uint32_t>(multiplier >> 32);
    for (std::size_t i = 0; i < x.count; ++i) {
        const std::uint64_t product = std::uint64_t{low} * x.low[i] + summand;
        const std::uint32_t upper = static_cast<std::uint32_t>(product >> 32) + high * x.low[i] + low * x.high[i];
        least = upper < least ? upper : least;
    }
    return least;
}

void lower_each(const Functions& functions, const Halves& x, std::uint32_t* least) {
    for (std::size_t k = 0; k < functions.count; ++k) {
        least[k] = least_of(functions.multipliers[k], functions.summands[k], x, least[k]);
    }
}

}  // namespace
}  // namespace glassmill::dedup
