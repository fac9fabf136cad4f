#include "html/trees.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "base/processor.hpp"

namespace glassmill::html {
namespace {

constexpr std::size_t kRows = 16;

struct Ensemble {
    const std::vector<Trees::Tree>& trees;
    const Trees::Question* questions;
    const float* leaves;
};

#if defined(__GNUC__)
// The answers of all rows to one question, as vectors of the compiler's: the loop below is not made into them by
// itself.
template <std::size_t bytes>
struct Vectors {
    static constexpr std::size_t kLanes = bytes / sizeof(float), kCount = kRows / kLanes;
    typedef float Floats __attribute__((vector_size(bytes)));
    typedef std::int32_t Bits __attribute__((vector_size(bytes)));

    GLASSMILL_INLINE void answer(const float* values, const Trees::Question& question) {
        for (std::size_t i = 0; i < kCount; ++i) {
            Floats some;
            std::memcpy(&some, values + i * kLanes, bytes);
            left[i] &= (some <= Floats{} + question.threshold) | (Bits{} + static_cast<std::int32_t>(question.if_no));
        }
    }
    GLASSMILL_INLINE void leaves_of(std::uint32_t* rows) const { std::memcpy(rows, left, sizeof left); }

    Bits left[kCount];
};
#else
template <std::size_t>
struct Vectors {
    void answer(const float* values, const Trees::Question& question) {
        for (std::size_t row = 0; row < kRows; ++row)
            left[row] &= values[row] <= question.threshold ? ~0u : question.if_no;
    }
    void leaves_of(std::uint32_t* rows) const { std::memcpy(rows, left, sizeof left); }

    std::uint32_t left[kRows];
};
#endif

// `columns`: kRows values of the first feature, then of the next.
template <std::size_t bytes>
GLASSMILL_INLINE void add_leaves_of(const Ensemble& all, const float* columns, float* sums) {
    const Trees::Question* question = all.questions;
    const float* leaves = all.leaves;
    for (const Trees::Tree& tree : all.trees) {
        Vectors<bytes> answers;
        std::memset(answers.left, 0xFF, sizeof answers.left);
        for (const Trees::Question* last = question + tree.questions; question < last; ++question) {
            answers.answer(columns + question->feature * kRows, *question);
        }
        std::uint32_t left[kRows];
        answers.leaves_of(left);
        for (std::size_t row = 0; row < kRows; ++row) sums[row] += leaves[std::countr_zero(left[row])];
        leaves += tree.leaves;
    }
}

GLASSMILL_FOR_EACH_PROCESSOR(add_leaves, add_leaves_of, (const Ensemble& all, const float* columns, float* sums),
                             (all, columns, sums))

}  // namespace

Trees::Trees(const std::vector<Node>& nodes, const std::vector<float>& leaves, const std::vector<std::int32_t>& roots,
             std::size_t width) {
    const auto good = [&](std::int32_t target, std::ptrdiff_t from) {
        return target < 0 ? static_cast<std::size_t>(~target) < leaves.size()
                          : target > from && static_cast<std::size_t>(target) < nodes.size();
    };
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const auto from = static_cast<std::ptrdiff_t>(i);
        const bool known = nodes[i].feature >= 0 && static_cast<std::size_t>(nodes[i].feature) < width;
        if (!known || !good(nodes[i].yes, from) || !good(nodes[i].no, from)) {
            throw std::invalid_argument("a tree's node leads nowhere");
        }
    }
    for (const std::int32_t root : roots) {
        if (!good(root, -1)) throw std::invalid_argument("a tree's root is not among its nodes");
        trees_.push_back({0, 0});
        place(nodes, leaves, root);
    }
}

void Trees::place(const std::vector<Node>& nodes, const std::vector<float>& leaves, std::int32_t target) {
    Tree& tree = trees_.back();
    if (target < 0) {
        if (++tree.leaves > kMostLeaves) throw std::invalid_argument("a tree has more than 32 leaves");
        leaves_.push_back(leaves[static_cast<std::size_t>(~target)]);
        return;
    }
    const Node& node = nodes[static_cast<std::size_t>(target)];
    const std::size_t number = questions_.size();
    questions_.push_back({static_cast<std::uint32_t>(node.feature), node.threshold, 0});
    ++tree.questions;
    const std::uint64_t before = std::uint64_t{1} << tree.leaves;
    place(nodes, leaves, node.yes);
    const std::uint64_t behind = std::uint64_t{1} << tree.leaves;
    questions_[number].if_no = ~static_cast<std::uint32_t>(behind - before);
    place(nodes, leaves, node.no);
}

std::vector<float> Trees::sums(const Features& features) const {
    const std::size_t rows = features.words.size(), width = features.width;
    std::vector<float> sums(rows, 0), columns(width * kRows, 0);
    for (std::size_t first = 0; first < rows; first += kRows) {
        const std::size_t count = std::min(kRows, rows - first);
        for (std::size_t row = 0; row < count; ++row) {
            const float* values = features.values.data() + (first + row) * width;
            for (std::size_t k = 0; k < width; ++k) columns[k * kRows + row] = values[k];
        }
        float found[kRows] = {};
        add_leaves({trees_, questions_.data(), leaves_.data()}, columns.data(), found);
        std::copy(found, found + count, sums.begin() + static_cast<std::ptrdiff_t>(first));
    }
    return sums;
}

}  // namespace glassmill::html
