// A boosted ensemble of small trees, laid out so that sixteen rows are tested by the same node at once.
//
// No tree is walked: every row answers all questions of a tree, each answer rules out some leaves, and the first leaf
// that remains is the one that a walk would have reached. Source: Lucchese et al. 2015, QuickScorer (SIGIR).
#pragma once

#include <cstdint>
#include <vector>

#include "html/features.hpp"
#include "html/leaves.hpp"

namespace glassmill::html {

constexpr std::size_t kMostLeaves = 32;  // of one tree: a bit each

// Goes to `yes` if `value[feature] <= threshold`, else to `no`. A negative number is leaf ~number.
struct Node {
    std::int32_t feature;
    float threshold;
    std::int32_t yes, no;
};

class Trees {
public:
    // `roots` are nodes, or ~leaves; `width` is the number of features.
    // Throws std::invalid_argument if a walk could leave the trees or never end, or if a tree has too many leaves.
    Trees(const std::vector<Node>& nodes, const std::vector<float>& leaves, const std::vector<std::int32_t>& roots,
          std::size_t width);

    // For every row, the leaves that it reaches, added up in the order of the trees.
    std::vector<float> sums(const Features& features) const;

private:
    void place(const std::vector<Node>& nodes, const std::vector<float>& leaves, std::int32_t target);

    std::vector<Tree> trees_;
    std::vector<Question> questions_;  // tree by tree
    std::vector<float> leaves_;        // tree by tree, in depth-first order, `yes` first
};

}  // namespace glassmill::html
