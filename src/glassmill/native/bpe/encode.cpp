#include "bpe/encode.hpp"

#include <algorithm>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace glassmill {
namespace {

constexpr std::size_t kBlock = 512;  // pieces between prefetch and look-up: enough to hide the latency of memory

}  // namespace

// One block of memory for both tables, in huge pages where the system has them: most look-ups miss the cache, and
// with small pages each would miss the TLB too. With calloc, the system zeroes only what is used.
Cache::Cache(unsigned bits, unsigned most_bits)
    : bits_(bits), most_bits_(most_bits), mask_((1ull << bits) - 1),
      long_mask_((1ull << (bits > 2 ? bits - 2 : 0)) - 1) {
    constexpr std::size_t page = 1u << 21;
    const std::size_t size = (mask_ + 1) * sizeof(Bucket) + (long_mask_ + 1) * sizeof(Long);
    memory_.reset(std::calloc(1, size + page));
    if (!memory_) throw std::bad_alloc();
    auto start = reinterpret_cast<std::uintptr_t>(memory_.get());
    start = (start + page - 1) / page * page;
#ifdef __linux__
    madvise(reinterpret_cast<void*>(start), size, MADV_HUGEPAGE);
#endif
    short_ = reinterpret_cast<Bucket*>(start);
    long_ = reinterpret_cast<Long*>(short_ + mask_ + 1);
}

// Every bucket is split in two, so none overflows.
void Cache::grow() {
    Cache twice(bits_ + 1, most_bits_);
    for (std::uint64_t i = 0; i <= mask_; ++i) {
        for (const Short& entry : short_[i].ways) {
            if (entry.key.high == 0) continue;
            Short* ways = twice.bucket(hash_key({entry.key.low, entry.key.high & ~0ull >> 4}));
            ways[ways[0].key.high != 0] = entry;
        }
    }
    for (std::uint64_t i = 0; i <= long_mask_; ++i) {
        if (long_[i].length != 0) twice.slot(long_[i].hash) = long_[i];
    }
    *this = std::move(twice);
}

std::unique_ptr<Workspace> Encoder::take() {
    {
        const std::lock_guard<std::mutex> guard(lock_);
        if (!idle_.empty()) {
            std::unique_ptr<Workspace> work = std::move(idle_.back());
            idle_.pop_back();
            return work;
        }
    }
    return std::make_unique<Workspace>(cache_bits_);
}

void Encoder::give(std::unique_ptr<Workspace> work) {
    if (work->ids.capacity() > 1u << 22) work->ids = {};  // one long text must not keep its memory forever
    if (work->scratch.capacity() > 1u << 24) work->scratch = {};
    if (work->nodes.capacity() > 1u << 20) work->nodes = {};
    const std::lock_guard<std::mutex> guard(lock_);
    idle_.push_back(std::move(work));
}

void Encoder::encode(Utf8 text, Workspace& work) const {
    std::size_t ends[kBlock];
    Splitter splitter(rules_, text.data, text.size);
    std::size_t start = 0;
    while (const std::size_t count = splitter.next(ends, kBlock)) {
        encode_block(text, start, ends, count, work);
        start = ends[count - 1];
    }
}

void Encoder::encode_pieces(Utf8 text, const std::uint64_t* ends, std::size_t count, Workspace& work) const {
    std::size_t start = 0;
    for (std::size_t first = 0; first < count; first += kBlock) {
        const std::size_t size = std::min(kBlock, count - first);
        encode_block(text, start, ends + first, size, work);
        start = ends[first + size - 1];
    }
}

template <class Offset>
void Encoder::encode_block(Utf8 text, std::size_t start, const Offset* ends, std::size_t count, Workspace& work) const {
    work.cache.grow_if_crowded();
    Key keys[kBlock];
    Cache::Short* buckets[kBlock];
    std::size_t from = start;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t length = ends[i] - from;
        const Byte* piece = text.data + from;
        from = ends[i];
        if (length > kShort) {
            buckets[i] = nullptr;
            continue;
        }
        keys[i] = text.data + text.size - piece >= 16 ? load_key(piece, length) : copy_key(piece, length);
        buckets[i] = work.cache.bucket(hash_key(keys[i]));
        prefetch(buckets[i]);
    }
    Id* out = work.ids.room(count * 4);
    from = start;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t length = ends[i] - from;
        const Byte* piece = text.data + from;
        from = ends[i];
        Cache::Short* entry = buckets[i];
        if (entry) {
            const auto same = [&](const Cache::Short& e) {
                return ((e.key.low ^ keys[i].low) | (e.key.high ^ keys[i].high) << 4) == 0;
            };
            if (!same(entry[0]) && same(entry[1])) std::swap(entry[0], entry[1]);
            if (same(entry[0])) {
                std::memcpy(out, entry->ids, sizeof entry->ids);
                out += entry->key.high >> 60;
                continue;
            }
        }
        work.ids.set_end(out);
        if (entry) {
            encode_short(piece, length, keys[i], entry, work);
        } else {
            encode_long(piece, length, work);
        }
        out = work.ids.room((count - i) * 4);
    }
    work.ids.set_end(out);
}

void Encoder::encode_short(const Byte* piece, std::size_t length, const Key& key, Cache::Short* bucket,
                           Workspace& work) const {
    const std::size_t before = work.ids.size();
    encode_long(piece, length, work);
    const std::size_t count = work.ids.size() - before;
    if (count > 4) return;
    if (bucket[1].key.high != 0) work.cache.forget();
    bucket[1].key = {key.low, key.high | static_cast<std::uint64_t>(count) << 60};
    std::memcpy(bucket[1].ids, work.ids.data() + before, count * sizeof(Id));
}

void Encoder::encode_long(const Byte* piece, std::size_t length, Workspace& work) const {
    if (length > sizeof Cache::Long::bytes) return merge_piece(piece, length, work);
    const std::uint64_t hash = hash_bytes(piece, length);
    Cache::Long& entry = work.cache.slot(hash);
    if (entry.hash != hash || entry.length != length || std::memcmp(entry.bytes, piece, length) != 0) {
        const std::size_t before = work.ids.size();
        merge_piece(piece, length, work);
        const std::size_t count = work.ids.size() - before;
        if (count > std::size(entry.ids) || (length <= kShort && count <= 4)) return;  // those are in the other table
        if (entry.length != 0) work.cache.forget();
        entry.hash = hash;
        entry.length = static_cast<std::uint32_t>(length);
        entry.count = static_cast<std::uint32_t>(count);
        std::memcpy(entry.bytes, piece, length);
        std::memcpy(entry.ids, work.ids.data() + before, count * sizeof(Id));
        return;
    }
    std::memcpy(work.ids.room(entry.count), entry.ids, entry.count * sizeof(Id));
    work.ids.set_end(work.ids.end() + entry.count);
}

void Encoder::merge_piece(const Byte* piece, std::size_t length, Workspace& work) const {
    if (length == 0) return;
    if (whole_symbols_ || length == 1) {
        const Id id = vocabulary.find(piece, length);
        if (id != kNoId) return work.ids.push(id);
    }
    vocabulary.merge_bytes(piece, length, work.ids, work.nodes);
}

}  // namespace glassmill
