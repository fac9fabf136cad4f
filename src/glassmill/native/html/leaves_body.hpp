// The body that html/<instruction set>/leaves.cpp compiles. Whatever it defines has internal linkage, and it calls
// nothing inline of the standard library: the linker would keep one copy, made for one processor, for all callers.
#pragma once

#include <string.h>

#include "html/leaves.hpp"

#ifndef __GNUC__
#include <bit>
#endif

namespace glassmill::html {
namespace {

#ifdef __GNUC__
// The answers of all rows to one question, as the compiler's vectors: it does not vectorise the plain loop by itself.
template <std::size_t bytes>
struct Answers {
    static constexpr std::size_t kLanes = bytes / sizeof(float), kCount = kRows / kLanes;
    typedef float Floats __attribute__((vector_size(bytes)));
    typedef std::int32_t Bits __attribute__((vector_size(bytes)));

    void add(const float* values, const Question& question) {
        for (std::size_t i = 0; i < kCount; ++i) {
            Floats some;
            memcpy(&some, values + i * kLanes, bytes);
            left[i] &= (some <= Floats{} + question.threshold) | (Bits{} + static_cast<std::int32_t>(question.if_no));
        }
    }

    Bits left[kCount];
};
inline unsigned first_of(std::uint32_t leaves) { return static_cast<unsigned>(__builtin_ctz(leaves)); }
#else
template <std::size_t>
struct Answers {
    void add(const float* values, const Question& question) {
        for (std::size_t row = 0; row < kRows; ++row) {
            left[row] &= values[row] <= question.threshold ? ~0u : question.if_no;
        }
    }

    std::uint32_t left[kRows];
};
inline unsigned first_of(std::uint32_t leaves) { return static_cast<unsigned>(std::countr_zero(leaves)); }
#endif

// `bytes`: of a vector.
template <std::size_t bytes>
void add_leaves_of(const Forest& forest, const float* columns, float* sums) {
    const Question* question = forest.questions;
    const float* leaves = forest.leaves;
    for (const Tree* tree = forest.trees; tree < forest.trees + forest.count; ++tree) {
        Answers<bytes> answers;
        memset(answers.left, 0xFF, sizeof answers.left);
        for (const Question* last = question + tree->questions; question < last; ++question) {
            answers.add(columns + question->feature * kRows, *question);
        }
        std::uint32_t left[kRows];
        memcpy(left, answers.left, sizeof left);
        for (std::size_t row = 0; row < kRows; ++row) sums[row] += leaves[first_of(left[row])];
        leaves += tree->leaves;
    }
}

}  // namespace
}  // namespace glassmill::html
