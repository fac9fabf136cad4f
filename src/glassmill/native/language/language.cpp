#include "language/language.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>

#include "base/hash.hpp"

namespace glassmill::language {
namespace {

constexpr std::string_view kEnd = "</s>", kLabel = "__label__";
constexpr std::size_t kSlots = 1 << 16, kMostWords = 40'000, kLongWord = 64;
constexpr std::uint32_t kNone = ~0u;

bool is_blank(char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r') || byte == '\0'; }
bool continues(char byte) { return (byte & 0xC0) == 0x80; }

// FNV-1a over bytes as signed numbers, as in fastText.
std::uint32_t hash_on(std::uint32_t hash, char byte) {
    return (hash ^ static_cast<std::uint32_t>(static_cast<std::int8_t>(byte))) * 16777619u;
}
constexpr std::uint32_t kHashBegin = 2166136261u;

float log_of(float value) { return static_cast<float>(std::log(value + 1e-5)); }  // never of zero

}  // namespace

Model::Model(Tables tables)
    : tables_(std::move(tables)), num_labels_(static_cast<std::uint32_t>(tables_.questions.size() / kWidth)) {
    const std::size_t rows = tables_.rows.size() / kWidth, inner = tables_.children.size() / 2;
    bool good = tables_.rows.size() % kWidth == 0 && tables_.questions.size() % kWidth == 0 && num_labels_ >= 2 &&
                inner + 1 == num_labels_ && tables_.buckets.size() == tables_.bucket_rows.size() &&
                tables_.num_buckets > 0 && tables_.shortest >= 1;
    for (const auto& [word, row] : tables_.words) good = good && row < rows;
    for (const std::uint32_t row : tables_.bucket_rows) good = good && row < rows;
    for (std::size_t i = 0; i < tables_.children.size(); ++i)
        good = good && (tables_.children[i] < num_labels_ || tables_.children[i] - num_labels_ < i / 2);
    if (!good) throw std::invalid_argument("the tables of the language model are inconsistent");
    kept_.assign(std::bit_ceil(tables_.buckets.size() * 2 + 2), {0, kNone});
    for (std::size_t i = 0; i < tables_.buckets.size(); ++i) {
        std::size_t at = tables_.buckets[i] * 0x9E3779B1u & (kept_.size() - 1);
        while (kept_[at].row != kNone) at = (at + 1) & (kept_.size() - 1);
        kept_[at] = {tables_.buckets[i], tables_.bucket_rows[i]};
    }
    forget();
}

std::vector<Guess> Model::guess(std::string_view line, std::size_t count) {
    Row hidden = {};
    hidden_of(line, hidden);
    std::vector<Guess> best;
    search(2 * num_labels_ - 2, 0, hidden, std::max<std::size_t>(count, 1), best);
    return best;
}

void Model::hidden_of(std::string_view line, Row& hidden) {
    std::size_t summed = 0;
    const auto take = [&](std::string_view word) {
        const Slot& found = rows_of(word);
        const std::uint32_t* rows = (&found == &long_word_ ? long_rows_ : sequence_).data() + found.first;
        for (std::uint32_t i = 0; i < found.count; ++i) {
            const float* row = tables_.rows.data() + rows[i] * kWidth;
            for (std::size_t k = 0; k < kWidth; ++k) hidden[k] += row[k];
        }
        summed += found.count;
    };
    bool ended = false;
    for (std::size_t at = 0; at < line.size() && line[at] != '\n' && !ended;) {
        std::size_t end = at;
        while (end < line.size() && !is_blank(line[end])) ++end;
        const std::string_view word = line.substr(at, end - at);
        if (!word.empty() && !word.starts_with(kLabel)) take(word), ended = word == kEnd;
        at = end + (word.empty() ? 1 : 0);
    }
    if (!ended) take(kEnd);
    const float scale = static_cast<float>(1.0 / static_cast<double>(summed));
    for (float& number : hidden) number = summed ? number * scale : 0;
}

const Model::Slot& Model::rows_of(std::string_view word) {
    if (word.size() > kLongWord) {
        long_rows_.clear();
        append_rows(word, long_rows_);
        long_word_.count = static_cast<std::uint32_t>(long_rows_.size());
        return long_word_;
    }
    const std::uint64_t hash =
        hash_bytes(reinterpret_cast<const Byte*>(word.data()), word.size()) | 1;  // 0: a free slot
    std::size_t at = (hash >> 8) & (kSlots - 1);
    for (; slots_[at].hash; at = (at + 1) & (kSlots - 1)) {
        const Slot& slot = slots_[at];
        if (slot.hash == hash && std::string_view(words_).substr(slot.word, slot.length) == word) return slot;
    }
    if (used_ >= kMostWords) {
        forget();
        return rows_of(word);
    }
    ++used_;
    Slot& slot = slots_[at];
    slot = {hash, static_cast<std::uint32_t>(words_.size()), static_cast<std::uint32_t>(word.size()),
            static_cast<std::uint32_t>(sequence_.size()), 0};
    words_ += word;
    append_rows(word, sequence_);
    slot.count = static_cast<std::uint32_t>(sequence_.size()) - slot.first;
    return slot;
}

void Model::append_rows(std::string_view word, std::vector<std::uint32_t>& rows) const {
    const auto known = tables_.words.find(std::string(word));
    if (known != tables_.words.end()) rows.push_back(known->second);
    if (word == kEnd) return;
    std::string marked{'<'};
    marked.append(word).push_back('>');
    for (std::size_t begin = 0; begin < marked.size(); ++begin) {
        if (continues(marked[begin])) continue;
        std::uint32_t hash = kHashBegin;
        std::size_t end = begin;
        for (std::size_t n = 1; n <= tables_.longest && end < marked.size(); ++n) {
            do hash = hash_on(hash, marked[end++]);
            while (end < marked.size() && continues(marked[end]));
            const bool only_mark = n == 1 && (begin == 0 || end == marked.size());
            if (n >= tables_.shortest && !only_mark) append_bucket(hash % tables_.num_buckets, rows);
        }
    }
}

void Model::append_bucket(std::uint32_t bucket, std::vector<std::uint32_t>& rows) const {
    std::size_t at = bucket * 0x9E3779B1u & (kept_.size() - 1);
    for (; kept_[at].row != kNone; at = (at + 1) & (kept_.size() - 1)) {
        if (kept_[at].key == bucket) return rows.push_back(kept_[at].row);
    }
}

void Model::search(std::uint32_t node, float score, const Row& hidden, std::size_t count,
                   std::vector<Guess>& best) const {
    if (score < log_of(0) || (best.size() == count && score < best.back().log_probability)) return;
    if (node < num_labels_) {
        const auto worse = [](const Guess& a, const Guess& b) { return a.log_probability > b.log_probability; };
        const Guess guess{node, score};
        best.insert(std::upper_bound(best.begin(), best.end(), guess, worse), guess);
        if (best.size() > count) best.pop_back();
        return;
    }
    const std::size_t inner = node - num_labels_;
    float product = 0;
    for (std::size_t k = 0; k < kWidth; ++k) product += tables_.questions[inner * kWidth + k] * hidden[k];
    const auto yes = static_cast<float>(1.0 / (1 + std::exp(-product)));
    search(tables_.children[2 * inner], score + log_of(1.0f - yes), hidden, count, best);
    search(tables_.children[2 * inner + 1], score + log_of(yes), hidden, count, best);
}

void Model::forget() {
    slots_.assign(kSlots, Slot{});
    used_ = 0;
    words_.clear();
    sequence_.clear();
}

}  // namespace glassmill::language
