// One pass through the layers for at most kChunk tokens: the stages that the members of the team share.
#pragma once

#include "model/decoder.hpp"

namespace glassmill::model {

// Tokens of one pass: so many that weights are read seldom, so few that their activations stay in a core's cache.
constexpr std::size_t kChunk = 256;
constexpr std::size_t kMaxWidth = 4;  // blocks of one item

// Consecutive tokens of a row.
struct Segment {
    Row* row;
    std::size_t first, count;  // places in the pass
    std::size_t start;         // position of the first
};

struct Token {
    std::uint32_t id;
    std::size_t position, segment;
};

// A token about whose successor something is asked.
struct Question {
    std::size_t token;
    float* logits;
    std::uint32_t* best;
};

class Decoder::Pass {
public:
    // Room for passes of up to `tokens` tokens, `questions` questions, and rows of up to `length` tokens.
    Pass(Decoder& decoder, std::size_t tokens, std::size_t questions, std::size_t length);

    void run(const std::vector<Segment>& segments, const std::vector<Token>& tokens,
             const std::vector<Question>& questions);

private:
    // Queries of consecutive tokens of a segment that share a kv head.
    struct Tile {
        std::size_t segment, head, token, count;
    };
    struct Product {
        const Matrix* matrix;
        float* out;
        std::size_t stride;
    };
    // Products that are shared out together, in items of up to `width` blocks.
    struct Cut {
        const Product* products;
        std::size_t items[3], all, width;
    };
    struct Item {
        const Product* product;
        Blocks blocks;
    };
    // A member's own memory.
    struct Own {
        float* vector;          // the widest activation
        std::uint8_t* rows;     // kOwnRows prepared rows of every format
        float *scores, *mixed;  // (queries of a tile, ...)
        std::uint8_t* weights;  // the same scores, prepared
        float* sums;
        float* block;  // (questions, kMaxWidth * 16)
        Best* best;    // (questions,)
    };

    void work(unsigned member);
    void layer(unsigned member, std::size_t number);
    void answer(unsigned member);
    void merge_best();

    // The rows as products of these formats read them; `row(i, out)` gives row i. All members meet unless rows are so
    // few that each prepares its own.
    template <class RowOf>
    void prepare(unsigned member, std::size_t count, std::size_t columns, unsigned formats, RowOf&& row);
    Rows prepared(unsigned member, Format format, std::size_t count, std::size_t columns) const;
    Cut cut(const Product* products, std::size_t count) const;
    Item item(const Cut& cut, std::size_t number) const;
    void fetch_first(unsigned member, const Product* products, std::size_t count) const;
    void fetch_cache(unsigned member, std::size_t layer) const;
    void multiply(unsigned member, const Product* products, std::size_t count, bool add);
    void feed_forward(unsigned member, const Layer& layer);
    void take_heads(std::size_t layer, std::size_t token, std::size_t head);
    void attend(unsigned member, std::size_t layer, const Tile& tile);
    std::size_t tile_tokens(std::size_t length) const;
    std::size_t width(std::size_t blocks) const;

    Decoder& decoder_;
    const Shape& shape_;
    const Vectors& vectors_;
    const Products& cached_;  // those of the cache's format
    std::size_t group_;       // N / K
    const std::vector<Segment>* segments_ = nullptr;
    const std::vector<Token>* tokens_ = nullptr;
    const std::vector<Question>* questions_ = nullptr;
    std::vector<Tile> tiles_;
    bool single_ = false;  // every segment is one token
    std::size_t capacity_, query_bytes_, row_bytes_;
    float *x_, *q_, *k_, *v_, *mixed_, *gate_, *up_;
    std::uint8_t *rows_, *queries_;  // prepared: activations, and queries as (K, tokens, N / K)
    std::vector<Own> own_;
};

}  // namespace glassmill::model
