#include <stdexcept>

#include "bpe/train.hpp"

namespace glassmill {
namespace {

constexpr std::size_t kBlock = 512;

}  // namespace

Counter::Counter(Rules rules) : rules_(rules), short_(1u << 12), long_(1u << 8) {}

void Counter::count(Utf8 text) {
    std::size_t ends[kBlock];
    Key keys[kBlock];
    std::uint64_t hashes[kBlock];
    Splitter splitter(rules_, text.data, text.size);
    bytes += text.size;
    std::size_t start = 0;
    while (const std::size_t found = splitter.next(ends, kBlock)) {
        std::size_t from = start, shorts = 0;
        for (std::size_t i = 0; i < found; ++i) {
            const std::size_t length = ends[i] - from;
            const Byte* piece = text.data + from;
            from = ends[i];
            if (length > kShort) {
                add_long(piece, length, 1);
                continue;
            }
            keys[shorts] = text.data + text.size - piece >= 16 ? load_key(piece, length) : copy_key(piece, length);
            hashes[shorts] = hash_key(keys[shorts]);
            prefetch(&short_[hashes[shorts] & (short_.size() - 1)]);
            ++shorts;
        }
        for (std::size_t i = 0; i < shorts; ++i) add_short(keys[i], hashes[i], 1);
        pieces += found;
        start = ends[found - 1];
    }
}

void Counter::add(const Byte* piece, std::size_t length, std::uint64_t times) {
    if (length == 0 || times == 0) return;
    if (length > kShort) return add_long(piece, length, times);
    const Key key = copy_key(piece, length);
    add_short(key, hash_key(key), times);
}

void Counter::add_all(const Counter& other) {
    bytes += other.bytes, pieces += other.pieces;
    other.visit([this](const Byte* piece, std::size_t length, std::uint64_t times) { add(piece, length, times); });
}

void Counter::add_short(const Key& key, std::uint64_t hash, std::uint64_t times) {
    for (std::size_t at = hash & (short_.size() - 1);; at = (at + 1) & (short_.size() - 1)) {
        Short& entry = short_[at];
        if (entry.times && entry.key == key) {
            entry.times += times;
            return;
        }
        if (entry.times) continue;
        entry = {key, times};
        if (++num_short_ * 8 > short_.size() * 5) grow_short();
        return;
    }
}

void Counter::grow_short() {
    std::vector<Short> old(short_.size() * 2);
    old.swap(short_);
    for (const Short& entry : old) {
        if (!entry.times) continue;
        std::size_t at = hash_key(entry.key) & (short_.size() - 1);
        while (short_[at].times) at = (at + 1) & (short_.size() - 1);
        short_[at] = entry;
    }
}

void Counter::add_long(const Byte* piece, std::size_t length, std::uint64_t times) {
    const std::uint64_t hash = hash_bytes(piece, length);
    for (std::size_t at = hash & (long_.size() - 1);; at = (at + 1) & (long_.size() - 1)) {
        Long& entry = long_[at];
        if (entry.times && entry.hash == hash && entry.length == length &&
            std::memcmp(arena_.data() + entry.begin, piece, length) == 0) {
            entry.times += times;
            return;
        }
        if (entry.times) continue;
        entry = {hash, arena_.size(), length, times};
        arena_.insert(arena_.end(), piece, piece + length);
        if (++num_long_ * 8 > long_.size() * 5) grow_long();
        return;
    }
}

void Counter::grow_long() {
    std::vector<Long> old(long_.size() * 2);
    old.swap(long_);
    for (const Long& entry : old) {
        if (!entry.times) continue;
        std::size_t at = entry.hash & (long_.size() - 1);
        while (long_[at].times) at = (at + 1) & (long_.size() - 1);
        long_[at] = entry;
    }
}

}  // namespace glassmill
