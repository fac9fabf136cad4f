#include "model/pass.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/processor.hpp"
#include "model/blocked.hpp"

namespace glassmill::model {
namespace {

constexpr std::size_t kOwnRows = 2;  // up to so many rows, every member prepares them for itself
constexpr std::size_t kScoreBytes = 256 << 10, kTileTokens = 16;  // at most of a tile of queries

const Vectors& vectors() {
#ifdef GLASSMILL_X86_KERNELS
    static const Vectors& chosen = *choose(&scalar::vectors, &avx2::vectors, &avx512::vectors);
    return chosen;
#else
    return scalar::vectors;
#endif
}

unsigned bit(Format format) { return 1u << static_cast<unsigned>(format); }

std::size_t round_up(std::size_t count, std::size_t step) { return (count + step - 1) / step * step; }

std::size_t widest_row(std::size_t columns) {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < kNumFormats; ++i) {
        bytes = std::max(bytes, products(static_cast<Format>(i)).row_bytes(columns));
    }
    return bytes;
}

// Cuts one piece of memory into parts aligned to 64 bytes; without memory it only counts.
class Cutter {
public:
    explicit Cutter(std::uint8_t* memory) : memory_(memory) {}

    template <class T>
    void take(T*& part, std::size_t count) {
        if (memory_) part = reinterpret_cast<T*>(memory_ + size_);
        size_ += round_up(count * sizeof(T), 64) + 64;
    }
    std::size_t size() const { return size_; }

private:
    std::uint8_t* memory_;
    std::size_t size_ = 0;
};

}  // namespace

Decoder::Pass::Pass(Decoder& decoder, std::size_t tokens, std::size_t questions, std::size_t length)
    : decoder_(decoder), shape_(decoder.shape_), vectors_(vectors()), cached_(products(decoder.cache_.shape().format)),
      group_(shape_.heads / shape_.kv_heads), capacity_(tokens), query_bytes_(cached_.row_bytes(shape_.head_dim)),
      own_(std::max(1u, decoder.threads_)) {
    const std::size_t queries = shape_.heads * shape_.head_dim, keys = shape_.kv_heads * shape_.head_dim;
    const std::size_t widest = std::max({shape_.d_model, shape_.d_ff, queries}), in_tile = kTileTokens * group_;
    const std::size_t scores = std::max(kScoreBytes / sizeof(float), group_ * length) + in_tile * (kPage + kBlockRows);
    row_bytes_ = widest_row(widest);
    const auto cut = [&](std::uint8_t* memory) {
        Cutter cutter(memory);
        cutter.take(x_, tokens * shape_.d_model);
        cutter.take(q_, tokens * queries);
        cutter.take(k_, tokens * keys);
        cutter.take(v_, tokens * keys);
        cutter.take(mixed_, tokens * queries);
        cutter.take(gate_, tokens * shape_.d_ff);
        cutter.take(up_, tokens * shape_.d_ff);
        cutter.take(rows_, kNumFormats * tokens * row_bytes_);
        cutter.take(queries_, shape_.heads * tokens * query_bytes_);
        for (Own& own : own_) {
            cutter.take(own.vector, widest);
            cutter.take(own.rows, kNumFormats * kOwnRows * row_bytes_);
            cutter.take(own.scores, scores);
            cutter.take(own.weights, scores * sizeof(float));
            cutter.take(own.mixed, in_tile * shape_.head_dim);
            cutter.take(own.sums, in_tile);
            cutter.take(own.block, questions * kMaxWidth * kBlockRows);
            cutter.take(own.best, questions);
        }
        return cutter.size();
    };
    const std::size_t size = cut(nullptr);
    if (decoder.scratch_.size() < size) {
        decoder.scratch_ = Memory(size);
        std::memset(decoder.scratch_.data(), 0, size);  // ends of rows are read, and multiplied by 0
    }
    cut(decoder.scratch_.data());
}

void Decoder::Pass::run(const std::vector<Segment>& segments, const std::vector<Token>& tokens,
                        const std::vector<Question>& questions) {
    segments_ = &segments, tokens_ = &tokens, questions_ = &questions;
    single_ = segments.size() == tokens.size();
    tiles_.clear();
    for (std::size_t segment = 0; segment < segments.size(); ++segment) {
        const Segment& of = segments[segment];
        const std::size_t step = tile_tokens(of.start + of.count);
        for (std::size_t token = 0; token < of.count; token += step) {
            for (std::size_t head = 0; head < shape_.kv_heads; ++head) {
                tiles_.push_back({segment, head, of.first + token, std::min(step, of.count - token)});
            }
        }
    }
    for (const Own& own : own_) {  // whichever of them will take part
        std::fill(own.best, own.best + questions.size(), Best{-std::numeric_limits<float>::infinity(), 0});
    }
    auto members_work = [this](unsigned member) { work(member); };
    decoder_.team_.run(members_work, tokens.size() <= kOwnRows);
    merge_best();
}

void Decoder::Pass::work(unsigned member) {
    decoder_.team_.share(member, tokens_->size(), [&](std::size_t token) {
        unpack_row(decoder_.weights_.embedding, (*tokens_)[token].id, x_ + token * shape_.d_model);
    });
    for (std::size_t number = 0; number < shape_.layers; ++number) layer(member, number);
    if (!questions_->empty()) answer(member);
}

void Decoder::Pass::layer(unsigned member, std::size_t number) {
    const Layer& layer = decoder_.weights_.layers[number];
    const std::size_t count = tokens_->size(), D = shape_.d_model;
    const std::size_t queries = shape_.heads * shape_.head_dim, keys = shape_.kv_heads * shape_.head_dim;
    Team& team = decoder_.team_;

    const Product qkv[] = {{&layer.q, q_, queries}, {&layer.k, k_, keys}, {&layer.v, v_, keys}};
    fetch_first(member, qkv, 3);
    if (single_) fetch_cache(member, number);
    prepare(member, count, D, bit(layer.q.format) | bit(layer.k.format) | bit(layer.v.format),
            [&](std::size_t row, float* out) {
                vectors_.normalise(x_ + row * D, layer.input_norm.data(), D, shape_.eps, out);
                return out;
            });
    multiply(member, qkv, 3, false);
    if (!single_) {
        team.share(member, count * shape_.kv_heads,
                   [&](std::size_t item) { take_heads(number, item / shape_.kv_heads, item % shape_.kv_heads); });
    }
    team.share(member, tiles_.size(), [&](std::size_t item) {
        const Tile& tile = tiles_[item];
        if (single_) take_heads(number, tile.token, tile.head);
        attend(member, number, tile);
    });
    const Product o[] = {{&layer.o, x_, D}};
    fetch_first(member, o, 1);
    prepare(member, count, queries, bit(layer.o.format),
            [&](std::size_t row, float*) { return mixed_ + row * queries; });
    multiply(member, o, 1, true);

    const Product gate[] = {{&layer.gate, gate_, shape_.d_ff}}, down[] = {{&layer.down, x_, D}};
    fetch_first(member, gate, 1);
    prepare(member, count, D, bit(layer.gate.format) | bit(layer.up.format), [&](std::size_t row, float* out) {
        vectors_.normalise(x_ + row * D, layer.post_norm.data(), D, shape_.eps, out);
        return out;
    });
    feed_forward(member, layer);
    fetch_first(member, down, 1);
    prepare(member, count, shape_.d_ff, bit(layer.down.format),
            [&](std::size_t row, float*) { return gate_ + row * shape_.d_ff; });
    multiply(member, down, 1, true);
}

template <class RowOf>
void Decoder::Pass::prepare(unsigned member, std::size_t count, std::size_t columns, unsigned formats, RowOf&& row) {
    const bool alone = count <= kOwnRows;
    const auto one = [&](std::size_t number) {
        const float* const from = row(number, own_[member].vector);
        for (std::size_t i = 0; i < kNumFormats; ++i) {
            if (!(formats >> i & 1)) continue;
            const Products& products = model::products(static_cast<Format>(i));
            std::uint8_t* const to =
                alone ? own_[member].rows + i * kOwnRows * row_bytes_ : rows_ + i * capacity_ * row_bytes_;
            products.prepare(from, columns, to + number * products.row_bytes(columns));
        }
    };
    if (alone) {
        for (std::size_t number = 0; number < count; ++number) one(number);
    } else {
        decoder_.team_.share(member, count, one);
    }
}

Rows Decoder::Pass::prepared(unsigned member, Format format, std::size_t count, std::size_t columns) const {
    const auto i = static_cast<std::size_t>(format);
    const std::uint8_t* const from =
        count <= kOwnRows ? own_[member].rows + i * kOwnRows * row_bytes_ : rows_ + i * capacity_ * row_bytes_;
    return {from, products(format).row_bytes(columns), count};
}

// How many blocks an item has: as many as fit a tile, unless fewer share out more evenly.
std::size_t Decoder::Pass::width(std::size_t blocks) const {
    std::size_t best = 1, least = ~std::size_t{0};
    for (std::size_t wide = kMaxWidth; wide >= 1; --wide) {
        const std::size_t items = (blocks + wide - 1) / wide, members = decoder_.team_.size();
        const std::size_t longest = (items + members - 1) / members * wide;
        if (longest < least) least = longest, best = wide;
    }
    return best;
}

Decoder::Pass::Cut Decoder::Pass::cut(const Product* products, std::size_t count) const {
    std::size_t all_blocks = 0;
    for (std::size_t i = 0; i < count; ++i) all_blocks += num_blocks(*products[i].matrix);
    Cut cut{products, {}, 0, width(all_blocks)};
    for (std::size_t i = 0; i < count; ++i) {
        cut.items[i] = (num_blocks(*products[i].matrix) + cut.width - 1) / cut.width;
        cut.all += cut.items[i];
    }
    return cut;
}

Decoder::Pass::Item Decoder::Pass::item(const Cut& cut, std::size_t number) const {
    std::size_t i = 0;
    while (number >= cut.items[i]) number -= cut.items[i++];
    const std::size_t first = number * cut.width;
    return {cut.products + i, {first, std::min(first + cut.width, num_blocks(*cut.products[i].matrix))}};
}

// What this member multiplies first is on its way while it prepares its rows.
void Decoder::Pass::fetch_first(unsigned member, const Product* products, std::size_t count) const {
    if (tokens_->size() > kOwnRows) return;
    const Cut cut = this->cut(products, count);
    const Item first = item(cut, decoder_.team_.begin(member, cut.all));
    const Matrix& matrix = *first.product->matrix;
    for (std::size_t block = first.blocks.first; block < first.blocks.last; ++block) {
        fetch(block_at(matrix, block), std::min(kAhead, matrix.block_bytes));
    }
}

void Decoder::Pass::multiply(unsigned member, const Product* products, std::size_t count, bool add) {
    const Cut cut = this->cut(products, count);
    const std::size_t rows = tokens_->size();
    decoder_.team_.share(member, cut.all, [&](std::size_t number) {
        const auto [product, blocks] = item(cut, number);
        const Matrix& matrix = *product->matrix;
        model::products(matrix.format)
            .multiply(matrix, prepared(member, matrix.format, rows, matrix.columns), blocks,
                      {product->out + blocks.first * kBlockRows, product->stride, add});
    });
}

void Decoder::Pass::feed_forward(unsigned member, const Layer& layer) {
    const std::size_t rows = tokens_->size(), F = shape_.d_ff, blocks = num_blocks(layer.gate), wide = width(blocks);
    decoder_.team_.share(member, (blocks + wide - 1) / wide, [&](std::size_t item) {
        const Blocks some{item * wide, std::min((item + 1) * wide, blocks)};
        const std::size_t first = some.first * kBlockRows, columns = std::min(some.last * kBlockRows, F) - first;
        for (const Product& product : {Product{&layer.gate, gate_, F}, Product{&layer.up, up_, F}}) {
            const Matrix& matrix = *product.matrix;
            model::products(matrix.format)
                .multiply(matrix, prepared(member, matrix.format, rows, matrix.columns), some,
                          {product.out + first, F});
        }
        for (std::size_t row = 0; row < rows; ++row) {
            vectors_.gate(gate_ + row * F + first, up_ + row * F + first, columns);
        }
    });
}

// A token's key and value of a kv head go into the cache, and its queries that share the head are made ready.
void Decoder::Pass::take_heads(std::size_t layer, std::size_t token, std::size_t head) {
    const std::size_t H = shape_.head_dim, half = H / 2;
    const Layer& weights = decoder_.weights_.layers[layer];
    const Token& of = (*tokens_)[token];
    const float* const cosines = decoder_.cosines_.data() + of.position * half;
    const float* const sines = decoder_.sines_.data() + of.position * half;
    const auto finish = [&](float* vector, const std::vector<float>& bias, const std::vector<float>& norm,
                            std::size_t number) {
        if (shape_.qkv_bias) vectors_.add(vector, bias.data() + number * H, H);
        if (shape_.qk_norm) vectors_.normalise(vector, norm.data(), H, shape_.eps, vector);
        vectors_.rotate(vector, cosines, sines, half);
    };
    float* const key = k_ + (token * shape_.kv_heads + head) * H;
    float* const value = v_ + (token * shape_.kv_heads + head) * H;
    finish(key, weights.k_bias, weights.k_norm, head);
    if (shape_.qkv_bias) vectors_.add(value, weights.v_bias.data() + head * H, H);
    (*segments_)[of.segment].row->write(layer, head, of.position, key, value);
    for (std::size_t i = 0; i < group_; ++i) {
        float* const query = q_ + (token * shape_.heads + head * group_ + i) * H;
        finish(query, weights.q_bias, weights.q_norm, head * group_ + i);
        cached_.prepare(query, H, queries_ + ((head * capacity_ + token) * group_ + i) * query_bytes_);
    }
}

// The keys and values of a row's last page come while others are multiplied.
void Decoder::Pass::fetch_cache(unsigned member, std::size_t layer) const {
    if (tokens_->size() > kOwnRows) return;
    const std::size_t last = decoder_.team_.begin(member + 1, tiles_.size());
    for (std::size_t item = decoder_.team_.begin(member, tiles_.size()); item < last; ++item) {
        const Row& row = *(*segments_)[tiles_[item].segment].row;
        const Matrix keys = row.keys((*tokens_)[tiles_[item].token].position / kPage, layer, tiles_[item].head, 1);
        fetch(keys.bytes, decoder_.cache_.shape().head_bytes());
    }
}

std::size_t Decoder::Pass::tile_tokens(std::size_t length) const {
    const std::size_t bytes = group_ * length * sizeof(float);
    return std::clamp<std::size_t>(kScoreBytes / bytes, 1, kTileTokens);
}

void Decoder::Pass::attend(unsigned member, std::size_t layer, const Tile& tile) {
    const Own& own = own_[member];
    const Row& row = *(*segments_)[tile.segment].row;
    const std::size_t first = (*tokens_)[tile.token].position, length = first + tile.count;
    const bool in_8_bits = decoder_.cache_.shape().in_8_bits();
    const std::size_t H = shape_.head_dim, queries = tile.count * group_,
                      padded = round_up(length, in_8_bits ? kGroup : kBlockRows);
    const std::size_t pages = (length + kPage - 1) / kPage, stride = pages * kPage + kBlockRows;
    const std::size_t page_bytes = cached_.row_bytes(kPage), weights_stride = pages * page_bytes;
    const Rows asked{queries_ + (tile.head * capacity_ + tile.token) * group_ * query_bytes_, query_bytes_, queries};
    for (std::size_t at = 0; at < length; at += kPage) {
        const Matrix keys = row.keys(at / kPage, layer, tile.head, std::min(kPage, length - at));
        cached_.multiply(keys, asked, {0, num_blocks(keys)}, {own.scores + at, stride});
    }
    const float scale = 1.0f / std::sqrt(static_cast<float>(H));
    for (std::size_t query = 0; query < queries; ++query) {
        float* const scores = own.scores + query * stride;
        own.sums[query] = vectors_.exponentials(scores, first + query / group_ + 1, padded, scale);
        for (std::size_t page = 0; page < pages; ++page) {
            const std::size_t at = page * kPage, count = std::min(kPage, padded - at);
            if (in_8_bits) {
                const float* const scales = row.value_scales(page, layer, tile.head);
                for (std::size_t i = 0; i < count; ++i) scores[at + i] *= scales[i];
            }
            cached_.prepare(scores + at, count, own.weights + query * weights_stride + page * page_bytes);
        }
    }
    for (std::size_t at = 0; at < length; at += kPage) {
        const Matrix values = row.values(at / kPage, layer, tile.head, std::min(kPage, padded - at));
        const Rows weights{own.weights + at / kPage * page_bytes, weights_stride, queries};
        cached_.multiply(values, weights, {0, num_blocks(values)}, {own.mixed, H, at > 0});
    }
    for (std::size_t query = 0; query < queries; ++query) {
        const std::size_t token = tile.token + query / group_, head = tile.head * group_ + query % group_;
        vectors_.scale(own.mixed + query * H, 1.0f / own.sums[query], H, mixed_ + (token * shape_.heads + head) * H);
    }
}

void Decoder::Pass::answer(unsigned member) {
    const Matrix& head = shape_.tied ? decoder_.weights_.embedding : decoder_.weights_.head;
    const std::size_t count = questions_->size(), D = shape_.d_model, blocks = num_blocks(head), wide = width(blocks);
    const Own& own = own_[member];
    prepare(member, count, D, bit(head.format), [&](std::size_t question, float* out) {
        const float* const x = x_ + (*questions_)[question].token * D;
        vectors_.normalise(x, decoder_.weights_.norm.data(), D, shape_.eps, out);
        return out;
    });
    const Rows rows = prepared(member, head.format, count, D);
    const Products& products = model::products(head.format);
    decoder_.team_.share(member, (blocks + wide - 1) / wide, [&](std::size_t item) {
        const Blocks some{item * wide, std::min((item + 1) * wide, blocks)};
        const std::size_t first = some.first * kBlockRows,
                          present = std::min(some.last * kBlockRows, shape_.vocab_size) - first;
        products.multiply(head, rows, some, {own.block, kMaxWidth * kBlockRows});
        for (std::size_t i = 0; i < count; ++i) {
            const float* const logits = own.block + i * kMaxWidth * kBlockRows;
            if (float* const to = (*questions_)[i].logits) {
                std::memcpy(to + first, logits, present * sizeof(float));
                continue;
            }
            Best best = vectors_.best(logits, present);
            best.id += static_cast<std::uint32_t>(first);
            Best& known = own.best[i];
            if (best.value > known.value || (best.value == known.value && best.id < known.id)) known = best;
        }
    });
}

void Decoder::Pass::merge_best() {
    for (std::size_t i = 0; i < questions_->size(); ++i) {
        if (!(*questions_)[i].best) continue;
        Best best = own_[0].best[i];
        for (std::size_t member = 1; member < own_.size(); ++member) {
            const Best& other = own_[member].best[i];
            if (other.value > best.value || (other.value == best.value && other.id < best.id)) best = other;
        }
        *(*questions_)[i].best = best.id;
    }
}

}  // namespace glassmill::model
