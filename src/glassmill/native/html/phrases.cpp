#include "html/phrases.hpp"

#include <algorithm>
#include <queue>

namespace glassmill::html {
namespace {

int letter_of(char symbol) {
    if (symbol >= 'a' && symbol <= 'z') return symbol - 'a' + 1;
    if (symbol >= 'A' && symbol <= 'Z') return symbol - 'A' + 1;
    return 0;
}

}  // namespace

Phrases::Phrases(std::span<const PhraseGroup> groups, char separator) {
    add_state();
    for (std::size_t group = 0; group < groups.size(); ++group) {
        const std::string_view phrases = groups[group].phrases;
        for (std::size_t start = 0, end; start < phrases.size(); start = end + 1) {
            end = std::min(phrases.find(separator, start), phrases.size());
            std::size_t state = 0;
            for (char symbol : phrases.substr(start, end - start)) state = step_to(state, letter_of(symbol));
            found_[state] |= std::uint64_t{1} << group;
        }
    }
    fill_gaps();
}

std::uint64_t Phrases::find(std::string_view text) const {
    if (text.empty()) return 0;
    std::uint64_t bits = 0;
    auto state = static_cast<std::size_t>(next_[0][0]);  // as after something other than a letter
    for (char symbol : text) {
        state = static_cast<std::size_t>(next_[state][static_cast<std::size_t>(letter_of(symbol))]);
        bits |= found_[state];
    }
    return bits | found_[static_cast<std::size_t>(next_[state][0])];
}

std::size_t Phrases::add_state() {
    next_.emplace_back();
    next_.back().fill(-1);
    found_.push_back(0);
    return next_.size() - 1;
}

std::size_t Phrases::step_to(std::size_t state, int letter) {
    auto place = static_cast<std::size_t>(letter);
    if (next_[state][place] < 0) {
        auto fresh = static_cast<std::int16_t>(add_state());
        next_[state][place] = fresh;
    }
    return static_cast<std::size_t>(next_[state][place]);
}

// A letter without a transition goes where the longest known suffix goes.
void Phrases::fill_gaps() {
    std::vector<std::size_t> suffix(next_.size(), 0);
    std::queue<std::size_t> states;
    for (auto& target : next_[0]) {
        if (target < 0) target = 0;
        else states.push(static_cast<std::size_t>(target));
    }
    for (; !states.empty(); states.pop()) {
        std::size_t state = states.front();
        found_[state] |= found_[suffix[state]];
        for (std::size_t letter = 0; letter < next_[state].size(); ++letter) {
            std::int16_t other = next_[suffix[state]][letter];
            if (next_[state][letter] < 0) {
                next_[state][letter] = other;
            } else {
                suffix[static_cast<std::size_t>(next_[state][letter])] = static_cast<std::size_t>(other);
                states.push(static_cast<std::size_t>(next_[state][letter]));
            }
        }
    }
}

}  // namespace glassmill::html
