// The inner loop of the trees: for sixteen rows at once, the leaves that each reaches, added up.
#pragma once

#include <cstddef>
#include <cstdint>

namespace glassmill::html {

constexpr std::size_t kRows = 16;

struct Question {
    std::uint32_t feature;
    float threshold;
    std::uint32_t if_no;  // the leaves that stay when the answer is no; a yes strikes out none
};
struct Tree {
    std::uint32_t questions, leaves;  // how many
};
struct Forest {
    const Tree* trees;
    std::size_t count;
    const Question* questions;  // tree by tree
    const float* leaves;        // tree by tree
};

// `columns`: kRows values of the first feature, then of the next. `sums`: kRows.
using AddLeaves = void(const Forest& forest, const float* columns, float* sums);
namespace scalar {
AddLeaves add_leaves;
}
namespace avx2 {
AddLeaves add_leaves;
}
namespace avx512 {
AddLeaves add_leaves;
}

}  // namespace glassmill::html
