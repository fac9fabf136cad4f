// Which of several groups of phrases occur in a text: one pass for all phrases of all groups (Aho-Corasick 1975).
// Letters compare without case; in a phrase, "_" matches any one byte that is no ASCII letter.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace glassmill::html {

struct PhraseGroup {
    const char* name;
    const char* phrases;
};

class Phrases {
public:
    // At most 64 groups; `separator` parts the phrases of one.
    Phrases(std::span<const PhraseGroup> groups, char separator);

    // Bit i is set if `text` contains a phrase of group i. Begin and end of the text count as no letter.
    std::uint64_t find(std::string_view text) const;

private:
    std::size_t add_state();
    std::size_t step_to(std::size_t state, int letter);
    void fill_gaps();

    std::vector<std::array<std::int16_t, 27>> next_;
    std::vector<std::uint64_t> found_;
};

}  // namespace glassmill::html
