// The merge loop.
//
// All distinct pieces are in one array, a slot per byte, with a border slot between two pieces. A symbol writes its id
// into its first and its last slot, so both neighbours of a pair are one step away without links. Every pair keeps
// the ascending list of its places; places that a later merge has changed are recognised and skipped. Pieces are
// ordered by how often they occur, so the counts descend along a list. No cost is proportional to
// the length of a piece: a million letters cost the same with and without spaces.
#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>

#include "bpe/train.hpp"

namespace glassmill {
namespace {

using Id = std::uint32_t;
using Place = std::uint32_t;
constexpr Id kBorder = 0xFFFFFFFFu;
constexpr Id kInside = 0xFFFFFFFEu;
constexpr std::uint64_t kEmpty = ~0ull;

std::uint64_t pair_key(Id left, Id right) { return static_cast<std::uint64_t>(left) << 32 | right; }

// Memory for the lists of places; all of it is freed at the end.
class Arena {
public:
    Place* take(std::size_t count) {
        if (count > left_) {
            left_ = std::max<std::size_t>(count, 1u << 18);
            blocks_.push_back(std::make_unique_for_overwrite<Place[]>(left_));
            next_ = blocks_.back().get();
        }
        Place* taken = next_;
        next_ += count, left_ -= count;
        return taken;
    }

private:
    std::vector<std::unique_ptr<Place[]>> blocks_;
    Place* next_ = nullptr;
    std::size_t left_ = 0;
};

struct Pair {
    std::uint64_t key = kEmpty;
    std::uint64_t count = 0;
    Place* places = nullptr;
    std::uint32_t num_places = 0;
};

class PairTable {
public:
    PairTable() : pairs_(1u << 16) {}

    Pair* find(std::uint64_t key) {
        Pair* pair = slot(key);
        return pair->key == key ? pair : nullptr;
    }

    void prefetch_slot(std::uint64_t key) const { prefetch(&pairs_[hash(key) & (pairs_.size() - 1)]); }

    void insert(const Pair& pair) {
        if (++size_ * 10 > pairs_.size() * 7) grow();
        *slot(pair.key) = pair;
    }

private:
    static std::uint64_t hash(std::uint64_t key) { return fold(key ^ 0x9E3779B97F4A7C15ull, 0xD1B54A32D192ED03ull); }

    Pair* slot(std::uint64_t key) {
        std::size_t at = hash(key) & (pairs_.size() - 1);
        while (pairs_[at].key != key && pairs_[at].key != kEmpty) at = (at + 1) & (pairs_.size() - 1);
        return &pairs_[at];
    }

    void grow() {
        std::vector<Pair> old(pairs_.size() * 2);
        old.swap(pairs_);
        for (const Pair& pair : old) {
            if (pair.key != kEmpty) *slot(pair.key) = pair;
        }
    }

    std::vector<Pair> pairs_;
    std::size_t size_ = 0;
};

// The place of every byte in GPT-2's byte alphabet: the printable ones first, then the rest.
std::array<Id, 256> byte_order(TieBreak tie_break) {
    std::array<Id, 256> order{};
    const auto printable = [](int b) { return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE; };
    Id next = 0;
    for (const bool wanted : {true, false}) {
        for (int byte = 0; byte < 256; ++byte) {
            if (printable(byte) == wanted) order[byte] = next++;
        }
    }
    if (tie_break == TieBreak::bytes) {
        for (Id byte = 0; byte < 256; ++byte) order[byte] = byte;
    }
    return order;
}

// How merging (a, b) into c changes the pairs around it, grouped by neighbour.
class Side {
public:
    explicit Side(std::size_t num_symbols) : of_(num_symbols) {}

    void note(Id neighbour, Place place, std::uint64_t times) {
        Change& change = of_[neighbour];
        if (change.places == 0) touched_.push_back(neighbour);
        change.count += times, ++change.places;
        notes_.push_back({neighbour, place});
    }

    // visit(neighbour, count, places, how many), for every neighbour.
    template <class Visit>
    void drain(Arena& arena, Visit&& visit) {
        for (const Id id : touched_) of_[id].list = arena.take(of_[id].places), of_[id].filled = 0;
        for (const Note& note : notes_) {
            Change& change = of_[note.neighbour];
            change.list[change.filled++] = note.place;
        }
        for (const Id id : touched_) {
            visit(id, of_[id].count, of_[id].list, of_[id].places);
            of_[id] = {};
        }
        touched_.clear();
        notes_.clear();
    }

    const std::vector<Id>& touched() const { return touched_; }

private:
    struct Change {
        std::uint64_t count = 0;
        Place* list = nullptr;
        std::uint32_t places = 0, filled = 0;
    };
    struct Note {
        Id neighbour;
        Place place;
    };

    std::vector<Change> of_;
    std::vector<Id> touched_;
    std::vector<Note> notes_;
};

class Merger {
public:
    Merger(const Counter& counter, std::size_t num_merges, TieBreak tie_break);

    std::vector<Merge> run(const Progress& progress);

private:
    struct Candidate {
        std::uint64_t count, tie;

        bool operator<(const Candidate& other) const {
            return count != other.count ? count < other.count : tie > other.tie;
        }
    };
    struct Step {  // all places below `end` (and above the previous step's) are in pieces that occur `times` times
        Place end;
        std::uint64_t times;
    };

    void lay_out(const Counter& counter);
    void find_first_pairs();
    void merge(Pair pair, Id made);
    void lower(std::uint64_t key, std::uint64_t count);
    void push(std::uint64_t key, std::uint64_t count);
    std::uint64_t tie(std::uint64_t key) const;
    std::uint64_t key_of(std::uint64_t tie) const;

    std::size_t num_merges_;
    std::array<Id, 256> order_, byte_at_;
    std::vector<Id> slots_;
    std::vector<Step> steps_;
    std::vector<std::uint32_t> lengths_;  // of the symbols
    Arena arena_;
    PairTable pairs_;
    std::vector<Candidate> heap_;
    Side left_, right_;
};

Merger::Merger(const Counter& counter, std::size_t num_merges, TieBreak tie_break)
    : num_merges_(num_merges), order_(byte_order(tie_break)), lengths_(256, 1), left_(256 + num_merges),
      right_(256 + num_merges) {
    for (Id byte = 0; byte < 256; ++byte) byte_at_[order_[byte]] = byte;
    lay_out(counter);
    find_first_pairs();
}

void Merger::lay_out(const Counter& counter) {
    struct Piece {
        std::uint64_t times;
        const Byte* bytes;
        std::size_t length;
    };
    std::vector<Piece> pieces;
    std::size_t total = 1;
    counter.visit([&](const Byte* bytes, std::size_t length, std::uint64_t times) {
        if (length < 2) return;
        pieces.push_back({times, bytes, length});
        total += length + 1;
    });
    if (total >= kInside) throw std::length_error("the distinct pieces of the text take more than 4 GB");
    std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.times > b.times; });
    slots_.reserve(total);
    slots_.push_back(kBorder);
    for (const Piece& piece : pieces) {
        slots_.insert(slots_.end(), piece.bytes, piece.bytes + piece.length);
        slots_.push_back(kBorder);
        const auto end = static_cast<Place>(slots_.size());
        if (!steps_.empty() && steps_.back().times == piece.times) {
            steps_.back().end = end;
        } else {
            steps_.push_back({end, piece.times});
        }
    }
}

void Merger::find_first_pairs() {
    std::vector<Pair> first(1u << 16);
    const auto each = [&](auto&& visit) {
        std::size_t step = 0;
        for (Place place = 1; place + 1 < slots_.size(); ++place) {
            if (slots_[place] == kBorder || slots_[place + 1] == kBorder) continue;
            while (steps_[step].end <= place) ++step;
            visit(first[slots_[place] << 8 | slots_[place + 1]], place, steps_[step].times);
        }
    };
    each([](Pair& pair, Place, std::uint64_t times) { ++pair.num_places, pair.count += times; });
    for (Pair& pair : first) {
        pair.places = arena_.take(pair.num_places);
        pair.num_places = 0;
    }
    each([](Pair& pair, Place place, std::uint64_t) { pair.places[pair.num_places++] = place; });
    for (Id both = 0; both < first.size(); ++both) {
        if (!first[both].num_places) continue;
        first[both].key = pair_key(both >> 8, both & 255);
        pairs_.insert(first[both]);
        heap_.push_back({first[both].count, tie(first[both].key)});
    }
    std::make_heap(heap_.begin(), heap_.end());
}

std::vector<Merge> Merger::run(const Progress& progress) {
    std::vector<Merge> merges;
    merges.reserve(num_merges_);
    while (merges.size() < num_merges_ && !heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end());
        const Candidate best = heap_.back();
        heap_.pop_back();
        const std::uint64_t key = key_of(best.tie);
        const Pair* pair = pairs_.find(key);
        if (pair->count != best.count) {  // it has fallen since it was pushed
            if (pair->count) push(key, pair->count);
            continue;
        }
        const Id left = static_cast<Id>(key >> 32), right = static_cast<Id>(key);
        merges.push_back({left, right, best.count});
        lengths_.push_back(lengths_[left] + lengths_[right]);
        merge(*pair, static_cast<Id>(255 + merges.size()));
        pairs_.find(key)->count = 0;
        if (merges.size() % 512 == 0 && !progress(merges.size())) break;
    }
    return merges;
}

void Merger::merge(Pair pair, Id made) {
    const Id a = static_cast<Id>(pair.key >> 32), b = static_cast<Id>(pair.key);
    const std::uint32_t length_a = lengths_[a], length_b = lengths_[b];
    std::uint64_t twice_count = 0, undone = 0;  // of (made, made), and of (made, a) where another (a, b) followed
    std::vector<Place> twice;
    std::size_t step = 0;
    for (std::uint32_t i = 0; i < pair.num_places; ++i) {
        if (i + 16 < pair.num_places) prefetch(&slots_[pair.places[i + 16]]);
        const Place start = pair.places[i], middle = start + length_a, end = middle + length_b;
        if (slots_[start] != a || slots_[middle] != b) continue;
        if (steps_[step].end <= start) {
            const auto behind = [](Place place, const Step& one) { return place < one.end; };
            step = static_cast<std::size_t>(
                std::upper_bound(steps_.begin() + static_cast<std::ptrdiff_t>(step), steps_.end(), start, behind) -
                steps_.begin());
        }
        const std::uint64_t times = steps_[step].times;
        const Id before = slots_[start - 1], after = slots_[end];
        if (before == made) {
            twice_count += times, undone += times;
            twice.push_back(start - length_a - length_b);
        } else if (before != kBorder) {
            left_.note(before, start - lengths_[before], times);
        }
        if (after != kBorder) right_.note(after, start, times);
        slots_[middle - 1] = kInside, slots_[middle] = kInside;
        slots_[start] = made, slots_[end - 1] = made;
    }
    for (const Id id : left_.touched()) pairs_.prefetch_slot(pair_key(id, a));
    for (const Id id : right_.touched()) pairs_.prefetch_slot(pair_key(b, id));
    const auto create = [&](std::uint64_t key, std::uint64_t count, Place* places, std::uint32_t num_places) {
        if (!count) return;
        pairs_.insert({key, count, places, num_places});
        push(key, count);
    };
    left_.drain(arena_, [&](Id id, std::uint64_t count, Place* places, std::uint32_t num_places) {
        if (pair_key(id, a) != pair.key) lower(pair_key(id, a), count);
        create(pair_key(id, made), count, places, num_places);
    });
    right_.drain(arena_, [&](Id id, std::uint64_t count, Place* places, std::uint32_t num_places) {
        if (pair_key(b, id) != pair.key) lower(pair_key(b, id), count);
        create(pair_key(made, id), id == a ? count - undone : count, places, num_places);
    });
    if (!twice.empty()) {
        Place* places = arena_.take(twice.size());
        std::copy(twice.begin(), twice.end(), places);
        create(pair_key(made, made), twice_count, places, static_cast<std::uint32_t>(twice.size()));
    }
}

void Merger::lower(std::uint64_t key, std::uint64_t count) { pairs_.find(key)->count -= count; }

void Merger::push(std::uint64_t key, std::uint64_t count) {
    heap_.push_back({count, tie(key)});
    std::push_heap(heap_.begin(), heap_.end());
}

std::uint64_t Merger::tie(std::uint64_t key) const {
    const Id left = static_cast<Id>(key >> 32), right = static_cast<Id>(key);
    return pair_key(left < 256 ? order_[left] : left, right < 256 ? order_[right] : right);
}

std::uint64_t Merger::key_of(std::uint64_t tie) const {
    const Id left = static_cast<Id>(tie >> 32), right = static_cast<Id>(tie);
    return pair_key(left < 256 ? byte_at_[left] : left, right < 256 ? byte_at_[right] : right);
}

}  // namespace

std::vector<Merge> merge_pairs(const Counter& counter, std::size_t num_merges, TieBreak tie_break,
                               const Progress& progress) {
    return Merger(counter, num_merges, tie_break).run(progress);
}

}  // namespace glassmill
