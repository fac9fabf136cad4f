#include "words/english.hpp"

#include <algorithm>

namespace glassmill::english {
namespace {

constexpr std::size_t kSlots = 1 << 17, kMostChunks = 98'000;
constexpr std::size_t kMostBytes = 8 << 20;
constexpr std::uint64_t kLong = 0xFFull << 56;  // the part of a short chunk's key that holds its length
constexpr char kJoint = '\x1f';

std::uint64_t hash_of(std::string_view text) {
    return hash_bytes(reinterpret_cast<const Byte*>(text.data()), text.size()) | 1;  // 0 marks a free slot
}

bool is_digit(std::uint32_t point) { return point >= '0' && point <= '9'; }
bool is_letter(std::uint32_t point) { return point < 0x110000 && kClasses.coarse(point) == L; }
bool is_small(std::uint32_t point) { return is_letter(point) && kClasses.fine(point) != kUpper; }
bool is_large(std::uint32_t point) { return is_letter(point) && kClasses.fine(point) != kLower; }

// A chunk by its characters: code points, and where each begins in bytes (one entry more, the end).
struct Chars {
    explicit Chars(std::string_view text) : text(text) {
        const auto* bytes = reinterpret_cast<const Byte*>(text.data());
        for (std::size_t i = 0; i < text.size();) {
            const Char found = decode(bytes + i, text.size() - i);
            points.push_back(found.point);
            begins.push_back(i);
            i += found.length;
        }
        begins.push_back(text.size());
    }

    std::string_view part(std::size_t first, std::size_t last) const {
        return text.substr(begins[first], begins[last] - begins[first]);
    }

    std::string_view text;
    std::vector<std::uint32_t> points;
    std::vector<std::size_t> begins;
};

// The rules of corpus/judge/english.py, function by function, over characters `[first, last)` of one chunk.
class Rules {
public:
    Rules(const Tables& tables, std::string_view chunk) : tables_(tables), chars_(chunk) {}

    Pieces tokens() const {
        Pieces found = cut();
        if (found.size() > 1) merge(found);
        return found;
    }

private:
    std::uint32_t at(std::size_t place) const { return chars_.points[place]; }
    std::uint16_t traits(std::uint32_t point) const {
        return point < tables_.traits.size() ? tables_.traits[point] : 0;
    }
    bool has(std::size_t place, std::uint16_t trait) const { return (traits(at(place)) & trait) != 0; }
    std::string text(std::size_t first, std::size_t last) const { return std::string(chars_.part(first, last)); }
    const Pieces* exception(std::size_t first, std::size_t last) const {
        // A long rest is none; to look it up after every mark would be quadratic.
        if (chars_.begins[last] - chars_.begins[first] > tables_.longest_exception) return nullptr;
        auto found = tables_.exceptions.find(text(first, last));
        return found == tables_.exceptions.end() ? nullptr : &found->second;
    }

    Pieces cut() const {
        std::size_t first = 0, last = chars_.points.size();
        Pieces front, back;
        while (first < last && !exception(first, last)) {
            const std::size_t begin = front_length(first, last);
            if (begin && first + begin < last && exception(first + begin, last)) {
                front.push_back(text(first, first + begin));
                first += begin;
                break;
            }
            const std::size_t end = back_length(first + begin, last);
            if (end && first < last - end && exception(first, last - end)) {
                back.push_back(text(last - end, last));
                last -= end;
                break;
            }
            if (!begin && !end) break;
            if (begin) front.push_back(text(first, first + begin));
            if (end) back.push_back(text(last - end, last));
            first += begin;
            last -= end;
        }
        if (first < last) {
            if (const Pieces* parts = exception(first, last)) front.insert(front.end(), parts->begin(), parts->end());
            else if (is_address(first, last)) front.push_back(text(first, last));
            else inside(first, last, front);
        }
        front.insert(front.end(), back.rbegin(), back.rend());
        return front;
    }

    std::size_t dots_from(std::size_t place, std::size_t last) const {
        std::size_t end = place;
        while (end < last && at(end) == '.') ++end;
        return end - place;
    }

    std::size_t front_length(std::size_t first, std::size_t last) const {
        if (has(first, kFront) || (at(first) == '+' && !(first + 1 < last && is_digit(at(first + 1))))) return 1;
        const std::size_t dots = dots_from(first, last);
        if (dots > 1) return dots;
        for (const std::string& sign : tables_.dollars) {
            if (first + sign.size() <= last && chars_.part(first, first + sign.size()) == sign) return sign.size();
        }
        return 0;
    }

    std::size_t back_length(std::size_t first, std::size_t last) const {
        if (first >= last) return 0;
        const std::size_t size = last - first;
        const std::uint32_t end = at(last - 1), before = size > 1 ? at(last - 2) : 0;
        const std::size_t longest = has(last - 1, kBack) || (end == '+' && is_digit(before));
        if (end == '.') {
            std::size_t dots = 1;
            while (dots < size && at(last - 1 - dots) == '.') ++dots;
            return dots > 1 ? dots : ends_in_a_stop(first, last);
        }
        if (size >= 2) {
            const std::string_view two = chars_.part(last - 2, last);
            if (std::find(tables_.clitics.begin(), tables_.clitics.end(), two) != tables_.clitics.end()) return 2;
        }
        for (std::size_t length = std::min<std::size_t>(4, size - 1); length > 0; --length) {
            if (!is_digit(at(last - length - 1))) continue;
            const std::string_view unit = chars_.part(last - length, last);
            const bool listed =
                std::find(tables_.units.begin(), tables_.units.end(), unit) != tables_.units.end() ||
                std::find(tables_.dollars.begin(), tables_.dollars.end(), unit) != tables_.dollars.end();
            if (listed || (length == 1 && has(last - 1, kMoney))) return std::max(length, longest);
        }
        return longest;
    }

    bool ends_in_a_stop(std::size_t first, std::size_t last) const {
        if (last - first < 2) return false;
        const std::uint32_t before = at(last - 2), earlier = last - first > 2 ? at(last - 3) : 0;
        const bool degree = earlier == 0xB0 && (before | 0x20) <= 'k' &&
                            std::string_view("FfCcKk").find(static_cast<char>(before)) != std::string_view::npos;
        return has(last - 2, kBeforeDot) || is_small(before) || degree || (is_large(before) && is_large(earlier));
    }

    void inside(std::size_t first, std::size_t last, Pieces& out) const {
        std::size_t start = first;
        for (std::size_t place = first; place < last;) {
            const std::size_t length = mark_length(place, first, last);
            if (length && place > first) {
                if (place > start) out.push_back(text(start, place));
                out.push_back(text(place, place + length));
                start = place + length;
            }
            place += std::max<std::size_t>(length, 1);
        }
        if (start < last) out.push_back(text(start, last));
    }

    std::size_t mark_length(std::size_t place, std::size_t first, std::size_t last) const {
        const std::uint32_t sign = at(place);
        const std::size_t dots = dots_from(place, last);
        if (dots > 1) return dots;
        if (sign == 0x2026 || has(place, kIcon)) return 1;
        if (place == first || place + 1 == last) return 0;
        const std::uint32_t before = at(place - 1), after = at(place + 1);
        if ((sign == '+' || sign == '-' || sign == '*' || sign == '^') && is_digit(before) &&
            (is_digit(after) || after == '-'))
            return 1;
        if (sign == '.') {
            return (is_small(before) || has(place - 1, kQuote)) && (is_large(after) || has(place + 1, kQuote));
        }
        if (sign == ',') return is_letter(before) && is_letter(after);
        if (sign == ':' || sign == '<' || sign == '>' || sign == '=' || sign == '/') {
            return (is_letter(before) || is_digit(before)) && is_letter(after);
        }
        if ((sign == '-' || sign == 0x2013 || sign == 0x2014 || sign == '~') &&
            (is_letter(before) || is_digit(before))) {
            for (const std::string& hyphen : tables_.hyphens) {
                const std::size_t length = Chars(hyphen).points.size();
                if (place + length < last && chars_.part(place, place + length) == hyphen &&
                    is_letter(at(place + length)))
                    return length;
            }
        }
        return 0;
    }

    bool is_address(std::size_t first, std::size_t last) const {
        bool dot = false;
        for (std::size_t i = first; i < last; ++i) dot |= at(i) == '.';
        if (!dot) return false;
        if (is_host_and_path(first, last)) return true;
        bool scheme = true;
        for (std::size_t i = first; i < last; ++i) {
            const std::uint32_t sign = at(i);
            if (sign == '@' && i > first && is_host_and_path(i + 1, last)) return true;
            if (scheme && sign == ':' && i - first >= 2 && i + 2 < last && at(i + 1) == '/' && at(i + 2) == '/' &&
                is_host_and_path(i + 3, last))
                return true;
            const bool number = sign < 0x110000 && kClasses.coarse(sign) == N;
            scheme = scheme && (is_letter(sign) || number || sign == '+' || sign == '-' || sign == '.' || sign == '_');
        }
        return false;
    }

    bool is_host_and_path(std::size_t first, std::size_t last) const {
        std::size_t end = first, label = first;
        bool dots = false;
        for (; end < last && at(end) != ':' && at(end) != '/' && at(end) != '?' && at(end) != '#'; ++end) {
            if (at(end) == '@') return false;  // so a search stays between two of them
            if (at(end) != '.') continue;
            if (!is_label(label, end)) return false;
            label = end + 1;
            dots = true;
        }
        if (!dots || end - label < 2 || end - label > 63) return false;
        for (std::size_t i = label; i < end; ++i) {
            if (!is_small(at(i))) return false;
        }
        if (end == last || at(end) != ':') return true;
        std::size_t port = end + 1;
        while (port < last && is_digit(at(port))) ++port;
        const std::size_t digits = port - end - 1;
        return digits >= 2 && digits <= 5 && (port == last || at(port) == '/' || at(port) == '?' || at(port) == '#');
    }

    bool is_label(std::size_t first, std::size_t last) const {
        const auto fits = [](std::uint32_t sign) {
            return is_digit(sign) || (sign < 0x80 && is_letter(sign)) || (sign >= 0xA1 && sign <= 0xFFFF);
        };
        if (first == last || last - first > 64 || !fits(at(first)) || !fits(at(last - 1))) return false;
        for (std::size_t i = first; i < last; ++i) {
            if (!fits(at(i)) && at(i) != '-' && at(i) != '_') return false;
        }
        return true;
    }

    void merge(Pieces& pieces) const {
        std::vector<std::size_t> ends(pieces.size(), 0);  // by begin, of the pieces that become something else
        std::vector<bool> taken(pieces.size(), false);
        for (std::size_t length = std::min(pieces.size(), tables_.longest_merge); length > 1; --length) {
            for (std::size_t first = 0; first + length <= pieces.size(); ++first) {
                if (taken[first] || taken[first + length - 1]) continue;  // what was found is no shorter than this
                if (!merge_of(pieces, first, first + length)) continue;
                ends[first] = first + length;
                std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(first), length, true);
            }
        }
        Pieces merged;
        for (std::size_t place = 0; place < pieces.size();) {
            if (const std::size_t end = ends[place]) {
                const Pieces& parts = *merge_of(pieces, place, end);
                merged.insert(merged.end(), parts.begin(), parts.end());
                place = end;
            } else {
                merged.push_back(std::move(pieces[place++]));
            }
        }
        pieces = std::move(merged);
    }

    const Pieces* merge_of(const Pieces& pieces, std::size_t first, std::size_t last) const {
        std::size_t size = 0;
        for (std::size_t i = first; i < last; ++i) size += pieces[i].size() + 1;
        if (size > tables_.longest_key + 1) return nullptr;
        std::string key = pieces[first];
        for (std::size_t i = first + 1; i < last; ++i) (key += kJoint) += pieces[i];
        auto found = tables_.merges.find(key);
        return found == tables_.merges.end() ? nullptr : &found->second;
    }

    const Tables& tables_;
    Chars chars_;
};

}  // namespace

Pieces English::split(std::string_view chunk) const { return Rules(tables_, chunk).tokens(); }

void English::forget() {
    slots_.assign(kSlots, Slot{});
    used_ = 0;
    chunks_.clear();
    sequence_.clear();
}

void English::forget_if_full() {
    if (slots_.empty() || chunks_.size() > kMostBytes || sequence_.size() > kMostBytes / sizeof(Token)) forget();
}

std::size_t English::after_blanks(std::string_view text, std::size_t place) {
    const auto* bytes = reinterpret_cast<const Byte*>(text.data());
    while (place < text.size()) {
        if (bytes[place] > ' ' && bytes[place] < 0x80) break;
        const Char found = decode(bytes + place, text.size() - place);
        if (!is_blank(found.point)) break;
        place += found.length;
    }
    return place;
}

std::size_t English::chunk_end(std::string_view text, std::size_t place) {
    const auto* bytes = reinterpret_cast<const Byte*>(text.data());
    while (place < text.size()) {
        if (bytes[place] > ' ' && bytes[place] < 0x80) {
            ++place;
            continue;
        }
        const Char found = decode(bytes + place, text.size() - place);
        if (is_blank(found.point)) break;
        place += found.length;
    }
    return place;
}

const Token& English::token_of_chunk(std::string_view chunk, bool roomy) {
    const auto* bytes = reinterpret_cast<const Byte*>(chunk.data());
    const bool is_short = chunk.size() <= kShort;
    // A long chunk's key also holds the place of its text, filled in once it is known.
    const Key key = !is_short ? Key{hash_bytes(bytes, chunk.size()), kLong | chunks_.size()}
                    : roomy   ? load_key(bytes, chunk.size())
                              : copy_key(bytes, chunk.size());
    const std::uint64_t hash = is_short ? hash_key(key) : key.low;
    std::size_t at = hash & (kSlots - 1);
    for (; slots_[at].key.high; at = (at + 1) & (kSlots - 1)) {
        if (is(slots_[at], key, chunk)) return slots_[at].token;
    }
    if (used_ >= kMostChunks) {
        forget();
        return token_of_chunk(chunk, roomy);
    }
    ++used_;
    slots_[at] = {key, remembered(chunk)};
    if (!is_short) chunks_.append(chunk).push_back(' ');
    return slots_[at].token;
}

bool English::is(const Slot& slot, const Key& key, std::string_view chunk) const {
    if (chunk.size() <= kShort) return slot.key == key;
    if (slot.key.low != key.low || (slot.key.high & kLong) != kLong) return false;
    const std::string_view text = std::string_view(chunks_).substr(slot.key.high & ~kLong);
    return text.starts_with(chunk) && text[chunk.size()] == ' ';  // chunks contain no blanks
}

Token English::remembered(std::string_view chunk) {
    const auto plain = [](char byte) { return is_letter(static_cast<Byte>(byte)) && static_cast<Byte>(byte) < 0x80; };
    if (std::all_of(chunk.begin(), chunk.end(), plain)) {  // rules never cut ASCII letters; exceptions may
        const std::string text(chunk);
        if (!tables_.exceptions.contains(text)) return token_of(text);
    }
    const Pieces pieces = split(chunk);
    if (pieces.size() == 1) return token_of(pieces[0]);
    const std::uint64_t first = sequence_.size();
    for (const std::string& piece : pieces) sequence_.push_back(token_of(piece));
    return {first << 32 | pieces.size(), 0, kSeveral, 0};
}

Token English::token_of(const std::string& text) const {
    const Chars chars(text);
    Token token{hash_of(text), static_cast<std::uint32_t>(chars.points.size()), kOnlyClosing, 0};
    for (const std::uint32_t point : chars.points) {
        const std::uint16_t traits = point < tables_.traits.size() ? tables_.traits[point] : 0;
        if (!(traits & kPunctuation)) token.traits |= kWord;
        if (is_letter(point)) token.traits |= kAlphabetic;
        if (!(traits & kClosing)) token.traits &= static_cast<std::uint8_t>(~kOnlyClosing);
        if (chars.points.size() == 1 && (traits & kTerminal)) token.traits |= kEndsSentence;
    }
    auto stop = tables_.stop_words.find(text);
    if (stop != tables_.stop_words.end()) token.stop = stop->second;
    return token;
}

}  // namespace glassmill::english
