#include "html/content.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace glassmill::html {
namespace {

constexpr double kLeastShare = 0.2;

// The row of the table cell directly around an element; -1 if something else is around it.
std::int32_t row_of(const Page& page, std::int32_t place) {
    for (int level = 0; level < 8 && place > 0; ++level, place = page.elements[place].parent) {
        if (page.elements[place].tag == Tag::tr) return place;
    }
    return -1;
}

// The list item that begins with this block, -1 if none does.
std::int32_t item_of(const Page& page, const Block& block) {
    std::int32_t place = block.element;
    for (int level = 0; level < 8 && place > 0; ++level, place = page.elements[place].parent) {
        if (page.elements[place].tag == Tag::li) return place;
    }
    return -1;
}

}  // namespace

std::vector<float> probabilities(const Trees& trees, const Features& features) {
    std::vector<float> likely = trees.sums(features);
    for (float& sum : likely) sum = 1 / (1 + std::exp(-sum));
    return likely;
}

std::vector<bool> choose(const std::vector<float>& probabilities, const std::vector<float>& words, float least_words) {
    std::vector<std::size_t> order(words.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return probabilities[a] > probabilities[b]; });
    double content = 0;
    for (std::size_t i = 0; i < words.size(); ++i) content += static_cast<double>(probabilities[i]) * words[i];
    std::vector<bool> kept(words.size(), false);
    const double all = std::accumulate(words.begin(), words.end(), 0.0);
    if (content < std::min<double>(least_words, kLeastShare * all)) return kept;
    double common = 0, size = 0, best = -1;
    std::size_t best_count = 0;
    for (std::size_t k = 0; k < order.size(); ++k) {
        common += static_cast<double>(probabilities[order[k]]) * words[order[k]];
        size += words[order[k]];
        double expected = 2 * common / (size + content);
        if (expected > best) best = expected, best_count = k + 1;
    }
    for (std::size_t k = 0; k < best_count; ++k) kept[order[k]] = true;
    return kept;
}

std::string render(const Page& page, const std::vector<bool>& kept) {
    std::string out;
    std::int32_t last_row = -1, last_item = -1;
    for (std::size_t i = 0; i < page.blocks.size(); ++i) {
        if (!kept[i]) continue;
        const Block& block = page.blocks[i];
        std::int32_t row = row_of(page, block.element), item = item_of(page, block);
        bool same_row = row >= 0 && row == last_row && item < 0;
        if (!out.empty()) out += same_row ? " | " : "\n";
        if (item >= 0 && item != last_item) out += "- ";
        out += page.text_of(block);
        last_row = row;
        last_item = item;
    }
    return out;
}

}  // namespace glassmill::html
