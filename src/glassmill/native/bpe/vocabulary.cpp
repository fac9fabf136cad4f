#include <algorithm>
#include <bit>
#include <functional>
#include <stdexcept>

#include "bpe/encode.hpp"

namespace glassmill {
namespace {

constexpr unsigned kFew = 48;  // bytes; up to here, a linear search finds the best pair

std::uint64_t pair_key(Id left, Id right) { return static_cast<std::uint64_t>(left) << 32 | right; }
std::uint64_t pair_hash(std::uint64_t key) { return fold(key ^ 0x9E3779B97F4A7C15ull, 0xD1B54A32D192ED03ull); }

}  // namespace

void Vocabulary::add(const Byte* bytes, std::size_t length, Id id, bool from_text) {
    if (length == 0) throw std::invalid_argument("a symbol of the vocabulary has no bytes");
    if (id >= 1u << 28)
        throw std::invalid_argument("id " + std::to_string(id) + " is too high; the maximum is 268,435,455");
    if (id >= lengths_.size()) lengths_.resize(id + 1), begins_.resize(id + 1);
    if (lengths_[id]) throw std::invalid_argument("id " + std::to_string(id) + " occurs twice in the vocabulary");
    lengths_[id] = static_cast<std::uint32_t>(length), begins_[id] = blob_.size();
    blob_.insert(blob_.end(), bytes, bytes + length);
    if (from_text) from_text_.push_back(id);
}

void Vocabulary::index(std::size_t num_merges) {
    const std::size_t mask = std::bit_ceil(from_text_.size() * 2 + 2) - 1;
    slots_.assign(mask + 1, {0, kNoId});
    for (Id& id : byte_ids_) id = kNoId;
    byte_of_.assign(lengths_.size(), 256);
    for (const Id id : from_text_) {
        const std::uint64_t hash = hash_bytes(bytes(id), length(id));
        std::size_t at = hash & mask;
        for (; slots_[at].id != kNoId; at = (at + 1) & mask) {
            const Id other = slots_[at].id;
            if (length(other) == length(id) && std::memcmp(bytes(other), bytes(id), length(id)) == 0) {
                throw std::invalid_argument("ids " + std::to_string(other) + " and " + std::to_string(id) +
                                            " have the same bytes");
            }
        }
        slots_[at] = {static_cast<std::uint32_t>(hash >> 32), id};
        if (length(id) == 1) byte_ids_[*bytes(id)] = id, byte_of_[id] = *bytes(id);
    }
    for (int byte = 0; byte < 256; ++byte) {
        if (byte_ids_[byte] == kNoId) {
            throw std::invalid_argument("not a byte-level vocabulary: byte " + std::to_string(byte) + " is missing");
        }
    }
    byte_pairs_.assign(1u << 16, {});
    filter_.assign(std::bit_ceil(num_merges / 8 + 8), 0);
    grow_pairs(std::bit_ceil(num_merges * 2 + 64));
}

Id Vocabulary::find(const Byte* wanted, std::size_t size) const {
    const std::uint64_t hash = hash_bytes(wanted, size);
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
        const auto [tag, id] = slots_[at];
        if (id == kNoId) return kNoId;
        if (tag == hash >> 32 && length(id) == size && std::memcmp(bytes(id), wanted, size) == 0) return id;
    }
}

void Vocabulary::grow_pairs(std::size_t capacity) {
    std::vector<Pair> old(capacity, {~0ull, {}});
    old.swap(pairs_);
    for (const Pair& pair : old) {
        if (pair.key == ~0ull) continue;
        std::size_t at = pair_hash(pair.key) & (pairs_.size() - 1);
        while (pairs_[at].key != ~0ull) at = (at + 1) & (pairs_.size() - 1);
        pairs_[at] = pair;
    }
}

void Vocabulary::add_merge(Id left, Id right, Id id, std::uint32_t priority) {
    if (++num_pairs_ * 2 > pairs_.size()) grow_pairs(pairs_.size() * 2);
    const std::uint64_t key = pair_key(left, right), hash = pair_hash(key);
    std::size_t at = hash & (pairs_.size() - 1);
    for (; pairs_[at].key != ~0ull; at = (at + 1) & (pairs_.size() - 1)) {
        if (pairs_[at].key == key) return;  // the first of two equal merges counts
    }
    pairs_[at] = {key, {priority, id}};
    filter_[(hash >> 38) & (filter_.size() - 1)] |= 1ull << (hash >> 32 & 63);
    if (byte_of_[left] < 256 && byte_of_[right] < 256)
        byte_pairs_[byte_of_[left] << 8 | byte_of_[right]] = {priority, id};
}

Merged Vocabulary::merge(Id left, Id right) const {
    const std::uint64_t key = pair_key(left, right), hash = pair_hash(key);
    if (!(filter_[(hash >> 38) & (filter_.size() - 1)] >> (hash >> 32 & 63) & 1)) return {};
    for (std::size_t at = hash & (pairs_.size() - 1);; at = (at + 1) & (pairs_.size() - 1)) {
        if (pairs_[at].key == key) return pairs_[at].merged;
        if (pairs_[at].key == ~0ull) return {};
    }
}

// Two neighbours x and y of a text can only become the symbol xy if the bytes of xy alone merge to x and y: inside
// them the merges are the same in any context. So each symbol has one pair; taking short symbols first finds it.
void Vocabulary::add_all_merges() {
    std::vector<Id> by_length(from_text_);
    std::sort(by_length.begin(), by_length.end(),
              [this](Id a, Id b) { return length(a) != length(b) ? length(a) < length(b) : a < b; });
    Buffer<Id> parts;
    std::vector<Id> nodes;
    for (const Id id : by_length) {
        if (length(id) == 1) continue;
        parts.clear();
        merge_bytes(bytes(id), length(id), parts, nodes);
        if (parts.size() == 2) add_merge(parts.data()[0], parts.data()[1], id, id);
    }
}

void Vocabulary::merge_bytes(const Byte* piece, std::size_t size, Buffer<Id>& out, std::vector<Id>& nodes) const {
    if (size <= kFew) {
        merge_few(piece, static_cast<unsigned>(size), out);
    } else {
        merge_many(piece, size, out, nodes);
    }
}

void Vocabulary::merge_few(const Byte* piece, unsigned size, Buffer<Id>& out) const {
    Merged next[kFew];  // the merge of each part with the next
    Id ids[kFew];
    for (unsigned i = 0; i < size; ++i) ids[i] = byte_ids_[piece[i]];
    for (unsigned i = 0; i + 1 < size; ++i) next[i] = byte_pairs_[piece[i] << 8 | piece[i + 1]];
    unsigned count = size;
    while (count > 1) {
        unsigned best = 0;
        for (unsigned i = 1; i + 1 < count; ++i) best = next[i].priority < next[best].priority ? i : best;
        if (next[best].priority == kNoId) break;
        ids[best] = next[best].id;
        --count;
        for (unsigned i = best + 1; i < count; ++i) ids[i] = ids[i + 1], next[i] = next[i + 1];
        if (best + 1 < count) next[best] = merge(ids[best], ids[best + 1]);
        if (best > 0) next[best - 1] = merge(ids[best - 1], ids[best]);
    }
    std::memcpy(out.room(count), ids, count * sizeof(Id));
    out.set_end(out.end() + count);
}

// A linked list of parts and a heap of the pairs that can merge: O(n log n) for any piece.
void Vocabulary::merge_many(const Byte* piece, std::size_t length, Buffer<Id>& out, std::vector<Id>& nodes) const {
    using Candidate = std::pair<std::uint32_t, std::uint32_t>;  // priority, part
    if (length >= kNoId) throw std::length_error("a piece of more than 4 GB cannot be encoded");
    const auto size = static_cast<std::uint32_t>(length);
    nodes.resize(4 * length);
    Id* ids = nodes.data();
    std::uint32_t *before = ids + length, *behind = before + length, *priority = behind + length;
    std::vector<Candidate> heap;
    heap.reserve(length);
    for (std::uint32_t i = 0; i < size; ++i) {
        ids[i] = byte_ids_[piece[i]], before[i] = i - 1, behind[i] = i + 1;
        priority[i] = i + 1 < size ? byte_pairs_[piece[i] << 8 | piece[i + 1]].priority : kNoId;
        if (priority[i] != kNoId) heap.emplace_back(priority[i], i);
    }
    const auto later = std::greater<Candidate>();
    std::make_heap(heap.begin(), heap.end(), later);
    const auto renew = [&](std::uint32_t part) {
        priority[part] = behind[part] < size ? merge(ids[part], ids[behind[part]]).priority : kNoId;
        if (priority[part] == kNoId) return;
        heap.emplace_back(priority[part], part);
        std::push_heap(heap.begin(), heap.end(), later);
    };
    while (!heap.empty()) {
        std::pop_heap(heap.begin(), heap.end(), later);
        const auto [wanted, part] = heap.back();
        heap.pop_back();
        if (ids[part] == kNoId || priority[part] != wanted) continue;  // outdated by another merge
        const std::uint32_t gone = behind[part];
        ids[part] = merge(ids[part], ids[gone]).id;
        ids[gone] = kNoId;
        behind[part] = behind[gone];
        if (behind[part] < size) before[behind[part]] = part;
        renew(part);
        if (part > 0) renew(before[part]);
    }
    for (std::uint32_t i = 0; i < size; i = behind[i]) out.push(ids[i]);
}

}  // namespace glassmill
