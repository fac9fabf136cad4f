#include "dedup/minhash.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/blake2b.hpp"
#include "base/processor.hpp"
#include "dedup/least.hpp"

namespace glassmill::dedup {
namespace {

constexpr std::uint64_t kPrime = 0x9E3779B97F4A7C15ull;
constexpr std::uint32_t kNeighboursDecide = ~0u;
constexpr std::size_t kSlots = 1 << 15;
constexpr std::size_t kAtOnce = 2048;  // shingles: few enough to stay in the L1 cache while all functions use them

std::uint64_t mix(std::uint64_t value) {  // the finaliser of SplitMix64
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
    return value ^ (value >> 31);
}

}  // namespace

Folding::Folding(std::function<Page(std::uint32_t)> read_page) : read_page_(std::move(read_page)), pages_(0x1100) {
    for (std::uint32_t point = 0; point < 128; ++point) {
        const Entry& found = entry(point);
        if (found.length != 1) throw std::invalid_argument("an ASCII character must be replaced by one byte");
        ascii_[point] = static_cast<Byte>(parts_[found.begin]);
    }
}

const Folding::Entry& Folding::entry(std::uint32_t point) {
    std::unique_ptr<Known>& page = pages_.at(point >> 8);
    if (!page) {
        const Page read = read_page_(point >> 8);
        if (read.size() != 256) throw std::invalid_argument("a page has 256 characters");
        page = std::make_unique<Known>();
        for (std::size_t i = 0; i < 256; ++i) {
            const auto length = read[i] ? static_cast<std::uint32_t>(read[i]->size()) : kNeighboursDecide;
            page->entries[i] = {static_cast<std::uint32_t>(parts_.size()), length};
            if (read[i]) parts_ += *read[i];
        }
    }
    return page->entries[point & 255];
}

std::optional<std::string_view> Folding::words(const Text& text, Buffer<Byte>& scratch) {
    switch (text.width) {
        case 2: return fold(static_cast<const std::uint16_t*>(text.data), text.length, scratch);
        case 4: return fold(static_cast<const std::uint32_t*>(text.data), text.length, scratch);
        default: return fold(static_cast<const std::uint8_t*>(text.data), text.length, scratch);
    }
}

template <class Unit>
std::optional<std::string_view> Folding::fold(const Unit* text, std::size_t length, Buffer<Byte>& scratch) {
    scratch.clear();
    Byte* out = scratch.room(length + 17);
    Byte last = ' ';
    const auto put = [&](Byte byte) {  // keeps the first of several blanks or digits in a row
        *out = byte;
        out += byte > '0' || byte != last;
        last = byte;
    };
    for (std::size_t at = 0; at < length; ++at) {
        const std::uint32_t point = text[at];
        if (point < 128) {
            put(ascii_[point]);
            continue;
        }
        const Entry& stands = entry(point);
        if (stands.length == kNeighboursDecide) return std::nullopt;
        scratch.set_end(out);
        out = scratch.room(stands.length + (length - at) + 17);
        for (std::uint32_t i = 0; i < stands.length; ++i) put(static_cast<Byte>(parts_[stands.begin + i]));
    }
    if (out > scratch.data() && last == ' ') --out;
    scratch.set_end(out);
    return std::string_view(reinterpret_cast<const char*>(scratch.data()), scratch.size());
}

Hasher::Hasher(Family family) : family_(std::move(family)), slots_(kSlots, Slot{{0, 0}, 0}) {
    const std::size_t size = family_.bands * family_.rows;
    if (family_.multipliers.size() != size || family_.summands.size() != size || family_.ngram == 0) {
        throw std::invalid_argument("bands times rows must be the number of hash functions, and ngram at least 1");
    }
}

std::uint64_t Hasher::word_hash(const Byte* word, std::size_t length) {
    const std::string_view text(reinterpret_cast<const char*>(word), length);
    if (length > kShort) return blake2b::digest(text);
    const Key key = load_key(word, length);  // never zero: it includes the length
    Slot& slot = slots_[hash_key(key) & (kSlots - 1)];
    if (!(slot.key == key)) slot = {key, blake2b::digest(text)};
    return slot.hash;
}

void Hasher::read_shingles(std::string_view words) {
    hashes_.clear();
    const auto* bytes = reinterpret_cast<const Byte*>(words.data());
    for (std::size_t at = 0; at < words.size();) {
        const std::size_t end = std::min(words.find(' ', at), words.size());
        hashes_.push_back(word_hash(bytes + at, end - at));
        at = end + 1;
    }
    const std::size_t width = std::min(family_.ngram, hashes_.size());
    const std::size_t count = hashes_.size() - width + (width != 0);
    low_.assign(std::max<std::size_t>(count, 1), 0);  // a text without words has one shingle, 0
    high_.assign(low_.size(), 0);
    for (std::size_t i = 0; i < count; ++i) {
        std::uint64_t total = 0;
        for (std::size_t place = 0; place < width; ++place) total = total * kPrime + hashes_[i + place];
        total = mix(total);
        low_[i] = static_cast<std::uint32_t>(total);
        high_[i] = static_cast<std::uint32_t>(total >> 32);
    }
}

std::vector<std::uint64_t> Hasher::keys(std::string_view words, bool near) {
    std::vector<std::uint64_t> keys{blake2b::digest(words, "exact")};
    if (!near) return keys;
    read_shingles(words);
    static const auto lower_least = GLASSMILL_KERNEL(lower_least);
    const Functions functions{family_.multipliers.data(), family_.summands.data(), family_.summands.size()};
    std::vector<std::uint32_t> least(functions.count, ~0u);
    for (std::size_t start = 0; start < low_.size(); start += kAtOnce) {
        const Halves x{low_.data() + start, high_.data() + start, std::min(kAtOnce, low_.size() - start)};
        lower_least(functions, x, least.data());
    }
    for (std::size_t band = 0; band < family_.bands; ++band) {
        std::uint64_t key = 0;
        for (std::size_t row = 0; row < family_.rows; ++row)
            key = mix(key * kPrime + least[band * family_.rows + row] + 1);
        keys.push_back(key);
    }
    return keys;
}

}  // namespace glassmill::dedup
