#include "html/trees.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/processor.hpp"

namespace glassmill::html {
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
            throw std::invalid_argument("a node of a tree refers to something that does not exist");
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
    static const auto add_leaves = GLASSMILL_KERNEL(add_leaves);
    const Forest forest{trees_.data(), trees_.size(), questions_.data(), leaves_.data()};
    std::vector<float> sums(rows, 0), columns(width * kRows, 0);
    for (std::size_t first = 0; first < rows; first += kRows) {
        const std::size_t count = std::min(kRows, rows - first);
        for (std::size_t row = 0; row < count; ++row) {
            const float* values = features.values.data() + (first + row) * width;
            for (std::size_t k = 0; k < width; ++k) columns[k * kRows + row] = values[k];
        }
        float found[kRows] = {};
        add_leaves(forest, columns.data(), found);
        std::copy(found, found + count, sums.begin() + static_cast<std::ptrdiff_t>(first));
    }
    return sums;
}

}  // namespace glassmill::html
