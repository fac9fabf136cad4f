#include "html/position.hpp"

#include <algorithm>
#include <unordered_map>

namespace glassmill::html {
namespace {

constexpr float kParagraph = 1;   // of Shape::paragraph: a sentence of a hundred characters
constexpr float kShortText = 90;  // characters of a label
constexpr float kFarBlocks = 60;
constexpr std::size_t kBeginning = 40;  // bytes that hold two words
constexpr std::size_t kCues = static_cast<std::size_t>(Cue::count);

// The element whose own children hold the most prose.
std::int32_t best_parent(const Page& page, const Surroundings& around) {
    std::vector<float> prose(page.elements.size(), 0);
    std::int32_t best = 0;
    for (std::size_t i = 0; i < page.blocks.size(); ++i) {
        const std::int32_t parent = std::max(page.elements[page.blocks[i].element].parent, 0);
        prose[parent] += around.shapes[i].paragraph;
        if (prose[parent] > prose[best]) best = parent;
    }
    return best;
}

// How far each block is from the begin and the end of the element with three quarters of the prose.
void find_ends(const Page& page, std::int32_t root, std::vector<Position>& found) {
    const auto inside = [&](std::size_t i) {
        return page.blocks[i].element >= root && page.blocks[i].element < page.elements[root].end;
    };
    std::size_t first = 0, last = found.size();
    while (first < last && !inside(first)) ++first;
    while (last > first && !inside(last - 1)) --last;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const bool within = i >= first && i < last;
        found[i].since_root = within ? std::min(static_cast<float>(i - first), kFarBlocks) : -1;
        found[i].left_in_root = within ? std::min(static_cast<float>(last - i - 1), kFarBlocks) : -1;
    }
}

// "Comment by", "Read also:": what begins a repeated kind of line.
void find_beginnings(const Page& page, std::vector<Position>& found) {
    std::vector<std::uint64_t> begins(found.size(), 0);
    std::unordered_map<std::uint64_t, float> counts;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const std::string_view start = page.text_of(page.blocks[i]).substr(0, kBeginning);
        const std::vector<std::uint64_t> words = words_in_order(start);
        if (words.size() > 1) ++counts[begins[i] = words[0] * 31 + words[1]];
        const std::size_t colon = start.find(':');
        if (colon != std::string_view::npos) found[i].label = static_cast<float>(colon);
    }
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (begins[i]) found[i].same_beginning = std::min(counts[begins[i]], kFarBlocks);
    }
}

// Blocks next to each other whose elements have one parent, name and class.
void find_runs(const Page& page, std::vector<Position>& found) {
    const auto alike = [&](std::size_t i, std::size_t k) {
        const Element &one = page.elements[page.blocks[i].element], &other = page.elements[page.blocks[k].element];
        return one.parent == other.parent && one.kind == other.kind;
    };
    for (std::size_t begin = 0, end; begin < found.size(); begin = end) {
        for (end = begin + 1; end < found.size() && alike(begin, end);) ++end;
        for (std::size_t i = begin; i < end; ++i) {
            found[i].run = static_cast<float>(end - begin);
            found[i].run_place = static_cast<float>(i - begin);
        }
    }
}

}  // namespace

std::vector<Position> positions_of(const Page& page, const Surroundings& around) {
    const std::size_t count = page.blocks.size();
    std::vector<Position> found(count);
    const Element& root = page.elements[around.roots[1]];
    const std::int32_t best = best_parent(page, around);
    const auto share = [](double part, double whole) { return static_cast<float>(whole > 0 ? part / whole : 0); };
    double before = 0, root_before = 0;
    float since_paragraph = kFarBlocks;
    float since[kCues];
    std::fill(since, since + kCues, kFarBlocks);
    std::uint64_t heading_cues = 0;
    for (std::size_t i = 0; i < count; ++i) {
        Position& place = found[i];
        const Shape& shape = around.shapes[i];
        const std::int32_t element = page.blocks[i].element;
        place.cues = cues_in(page.text_of(page.blocks[i]));
        if (page.elements[element].traits & kHeading) heading_cues = place.cues;
        place.heading_cues = heading_cues;
        place.prose_before = share(before, around.sums[0].paragraph);
        place.prose_after = share(around.sums[0].paragraph - before - shape.paragraph, around.sums[0].paragraph);
        place.root_before = share(root_before, around.sums[around.roots[1]].paragraph);
        place.since_paragraph = since_paragraph;
        std::copy(since, since + kCues, place.since);
        place.out_of_best = std::min(around.levels_up(best, element), 16.f);
        before += shape.paragraph;
        if (element >= around.roots[1] && element < root.end) root_before += shape.paragraph;
        since_paragraph = shape.paragraph >= kParagraph ? 0 : std::min(since_paragraph + 1, kFarBlocks);
        for (std::size_t k = 0; k < kCues; ++k) {
            const bool here = (place.cues >> k & 1) && shape.characters <= kShortText;
            since[k] = here ? 0 : std::min(since[k] + 1, kFarBlocks);
        }
    }
    float until_paragraph = kFarBlocks;
    for (std::size_t i = count; i-- > 0;) {
        found[i].until_paragraph = until_paragraph;
        until_paragraph = around.shapes[i].paragraph >= kParagraph ? 0 : std::min(until_paragraph + 1, kFarBlocks);
    }
    find_runs(page, found);
    find_beginnings(page, found);
    find_ends(page, around.roots[1], found);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t before_it = i > 0 ? page.blocks[i - 1].images : 0;
        found[i].images = std::min(static_cast<float>(page.blocks[i].images - before_it), 10.f);
    }
    return found;
}

}  // namespace glassmill::html
