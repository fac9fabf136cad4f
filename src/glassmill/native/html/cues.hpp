// What a short text says about itself and what follows: "read also", "share", "photo:", in several languages.
#pragma once

#include <cstdint>
#include <string_view>

namespace glassmill::html {

enum class Cue : std::uint8_t { more, subscribe, share, comment, credit, byline, rights, advert, count };

constexpr std::uint64_t bit(Cue cue) { return std::uint64_t{1} << static_cast<int>(cue); }

const char* name_of(Cue cue);  // as in "says_more"

// The cues in the first bytes of `text`.
std::uint64_t cues_in(std::string_view text);

}  // namespace glassmill::html
