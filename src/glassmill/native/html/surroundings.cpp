#include "html/surroundings.hpp"

#include <unordered_map>

namespace glassmill::html {
namespace {

constexpr float kRootShares[kRoots] = {0.5f, 0.75f, 0.9f};

Sums sums_of(const Shape& shape) {
    return {shape.characters, shape.links * shape.characters, shape.words, shape.small_words, shape.paragraph, 1};
}

}  // namespace

Surroundings::Surroundings(const Page& page) : page_(page) {
    shapes.reserve(page.blocks.size());
    running_.resize(page.blocks.size() + 1);
    sums.resize(page.elements.size());
    for (std::size_t i = 0; i < page.blocks.size(); ++i) {
        const Block& block = page.blocks[i];
        shapes.push_back(shape_of(page.text_of(block), block.link_bytes));
        Sums own = sums_of(shapes.back());
        sums[block.element].add(own);
        running_[i + 1] = running_[i];
        running_[i + 1].add(own);
    }
    inherited_names.resize(page.elements.size());
    for (std::size_t i = 1; i < page.elements.size(); ++i) {
        inherited_names[i] = inherited_names[page.elements[i].parent] | page.elements[i].names;
    }
    for (std::size_t i = page.elements.size(); i-- > 1;) sums[page.elements[i].parent].add(sums[i]);
    count_copies();
    find_groups();
    find_roots();
}

Sums Surroundings::between(int first, int last) const {
    Sums found = running_[last];
    found.add(running_[first], -1);
    return found;
}

void Surroundings::count_copies() {
    std::unordered_map<std::uint64_t, float> counts;
    counts.reserve(shapes.size());
    for (const Shape& shape : shapes) seen_before.push_back(counts[shape.hash]++ > 0);
    for (const Shape& shape : shapes) copies.push_back(counts[shape.hash]);
}

void Surroundings::find_groups() {
    group_numbers_.assign(page_.elements.size(), -1);
    std::unordered_map<std::uint64_t, std::int32_t> known;
    known.reserve(page_.elements.size());
    for (std::size_t i = 1; i < page_.elements.size(); ++i) {
        const Element& element = page_.elements[i];
        if (((element.traits & kInline) && element.tag != Tag::other) || sums[i].blocks == 0) continue;
        std::uint64_t key = (static_cast<std::uint64_t>(element.parent) << 32) | element.kind;
        auto [found, fresh] = known.emplace(key, static_cast<std::int32_t>(groups_.size()));
        if (fresh) groups_.emplace_back();
        Group& group = groups_[found->second];
        group.members += 1;
        group.characters += sums[i].characters;
        group.links += sums[i].links;
        group_numbers_[i] = found->second;
    }
}

void Surroundings::find_roots() {
    if (sums[0].paragraph <= 0) return;
    for (int k = 0; k < kRoots; ++k) {
        for (std::size_t i = 1; i < page_.elements.size(); ++i) {
            bool holds = sums[i].paragraph >= kRootShares[k] * sums[0].paragraph;
            if (holds && page_.elements[i].parent == roots[k]) roots[k] = static_cast<std::int32_t>(i);
        }
    }
}

}  // namespace glassmill::html
