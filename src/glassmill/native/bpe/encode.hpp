// Byte-level BPE encoding and decoding with a given vocabulary.
//
// Text in, ids out: those of tiktoken for ranks, of Hugging Face's tokenizers for a list of merges. Nearly every
// piece of real text has been seen before, so the work is: cut, hash, look up in a small cache, copy up to four ids.
#pragma once

#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "bpe/split.hpp"

namespace glassmill {

using Id = std::uint32_t;
constexpr Id kNoId = 0xFFFFFFFFu;

struct Merged {
    std::uint32_t priority = kNoId;  // lower ones merge first
    Id id = kNoId;
};

// Symbols by their bytes, and which pair makes which symbol.
class Vocabulary {
public:
    void add(const Byte* bytes, std::size_t length, Id id, bool from_text);
    void index(std::size_t num_merges);  // after the last `add`
    void add_merge(Id left, Id right, Id id, std::uint32_t priority);
    void add_all_merges();  // tiktoken's: neighbours merge if together they are a symbol, lowest id first

    Id find(const Byte* bytes, std::size_t length) const;
    // Appends the symbols that `length` >= 1 bytes merge to; `nodes` is memory for long pieces.
    void merge_bytes(const Byte* bytes, std::size_t length, Buffer<Id>& out, std::vector<Id>& nodes) const;
    bool knows(Id id) const { return id < lengths_.size() && lengths_[id] != 0; }
    const Byte* bytes(Id id) const { return blob_.data() + begins_[id]; }
    std::uint32_t length(Id id) const { return lengths_[id]; }
    std::size_t size() const { return lengths_.size(); }

private:
    struct Pair {
        std::uint64_t key;
        Merged merged;
    };
    struct Slot {
        std::uint32_t tag;  // part of the symbol's hash: for most other symbols, no bytes are compared
        Id id;
    };

    Merged merge(Id left, Id right) const;
    void merge_few(const Byte* bytes, unsigned length, Buffer<Id>& out) const;
    void merge_many(const Byte* bytes, std::size_t length, Buffer<Id>& out, std::vector<Id>& nodes) const;
    void grow_pairs(std::size_t capacity);

    std::vector<Byte> blob_;
    std::vector<std::uint64_t> begins_;   // by id
    std::vector<std::uint32_t> lengths_;  // by id; 0: no such symbol
    std::vector<Id> from_text_;
    std::vector<Slot> slots_;
    std::vector<Pair> pairs_;
    std::vector<std::uint64_t> filter_;  // one bit for the hash of every pair, because most neighbours do not merge
    std::vector<Merged> byte_pairs_;     // of two single bytes
    std::size_t num_pairs_ = 0;
    Id byte_ids_[256];
    std::vector<std::uint16_t> byte_of_;  // by id: the byte whose symbol it is, or 256
};

// The pieces seen last and their ids, one cache per thread. It starts small, because most of the cost of a large one is
// the zeroing of its memory, and doubles when it forgets many pieces, up to 2^`most_bits` buckets (of 96 bytes).
class Cache {
public:
    explicit Cache(unsigned most_bits) : Cache(most_bits < kFirstBits ? most_bits : kFirstBits, most_bits) {}

    struct Short {  // up to 15 bytes, 1 to 4 ids; their number is in the top bits of the key
        Key key;
        Id ids[4];
    };
    struct alignas(64) Long {  // up to 48 bytes, up to 16 ids: for what does not fit Short
        std::uint64_t hash;
        std::uint32_t length, count;
        Byte bytes[48];
        Id ids[16];
    };

    Short* bucket(std::uint64_t hash) { return short_[hash & mask_].ways; }
    Long& slot(std::uint64_t hash) { return long_[hash & long_mask_]; }
    // `forget`: before an entry is overwritten. `grow_if_crowded`: between look-ups, as it moves all entries.
    void forget() { ++forgotten_; }
    void grow_if_crowded() {
        if (forgotten_ > mask_ && bits_ < most_bits_) grow();
    }

private:
    static constexpr unsigned kFirstBits = 13;

    Cache(unsigned bits, unsigned most_bits);
    void grow();

    struct alignas(64) Bucket {
        Short ways[2];
    };
    struct Free {
        void operator()(void* memory) const { std::free(memory); }
    };

    unsigned bits_, most_bits_;
    std::uint64_t mask_, long_mask_;
    std::uint64_t forgotten_ = 0;  // since it last grew
    std::unique_ptr<void, Free> memory_;
    Bucket* short_;
    Long* long_;
};

struct Workspace {
    explicit Workspace(unsigned cache_bits) : cache(cache_bits) {}

    Cache cache;
    Buffer<Byte> scratch;
    Buffer<Id> ids;
    std::vector<Id> nodes;  // of the piece that is being merged
};

class Encoder {
public:
    Encoder(Rules rules, bool whole_symbols, unsigned cache_bits)
        : rules_(rules), whole_symbols_(whole_symbols), cache_bits_(cache_bits) {}

    Vocabulary vocabulary;

    // Appends the ids of `text` to `work.ids`.
    void encode(Utf8 text, Workspace& work) const;
    // The same for text that is already cut.
    void encode_pieces(Utf8 text, const std::uint64_t* ends, std::size_t count, Workspace& work) const;
    const Rules& rules() const { return rules_; }

    // A workspace for this thread alone; `give` returns it.
    std::unique_ptr<Workspace> take();
    void give(std::unique_ptr<Workspace> work);

private:
    template <class Offset>
    void encode_block(Utf8 text, std::size_t start, const Offset* ends, std::size_t count, Workspace& work) const;
    void encode_short(const Byte* piece, std::size_t length, const Key& key, Cache::Short* bucket,
                      Workspace& work) const;
    void encode_long(const Byte* piece, std::size_t length, Workspace& work) const;
    void merge_piece(const Byte* piece, std::size_t length, Workspace& work) const;

    Rules rules_;
    bool whole_symbols_;
    unsigned cache_bits_;
    std::mutex lock_;
    std::vector<std::unique_ptr<Workspace>> idle_;
};

}  // namespace glassmill
