// The surroundings of a block: sums over elements and ranges, groups of similar siblings, where the page's prose is.
#pragma once

#include <vector>

#include "html/page.hpp"
#include "html/shape.hpp"

namespace glassmill::html {

constexpr int kRoots = 3;

struct Sums {
    double characters = 0, links = 0, words = 0, small_words = 0, paragraph = 0, blocks = 0;

    void add(const Sums& other, double sign = 1) {
        characters += sign * other.characters;
        links += sign * other.links;
        words += sign * other.words;
        small_words += sign * other.small_words;
        paragraph += sign * other.paragraph;
        blocks += sign * other.blocks;
    }
};

struct Group {  // siblings with one name and class
    double members = 0, characters = 0, links = 0;
};

class Surroundings {
public:
    explicit Surroundings(const Page& page);

    const Group* group_of(std::int32_t element) const {
        return group_numbers_[element] < 0 ? nullptr : &groups_[group_numbers_[element]];
    }

    // How far up from `element` the first element is that holds `other`.
    float levels_up(std::int32_t element, std::int32_t other) const {
        float levels = 0;
        while (other < element || other >= page_.elements[element].end)
            element = page_.elements[element].parent, ++levels;
        return levels;
    }

    Sums between(int first, int last) const;  // blocks

    std::vector<Shape> shapes;                   // per block
    std::vector<float> copies, seen_before;      // per block: blocks with the same text
    std::vector<Sums> sums;                      // per element
    std::vector<std::uint64_t> inherited_names;  // per element
    std::int32_t roots[kRoots] = {};             // smallest elements with 50, 75 and 90 % of the paragraphs

private:
    void count_copies();
    void find_groups();
    void find_roots();

    const Page& page_;
    std::vector<Sums> running_;
    std::vector<std::int32_t> group_numbers_;
    std::vector<Group> groups_;
};

}  // namespace glassmill::html
