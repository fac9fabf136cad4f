#include "model/decoder.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "model/pass.hpp"

namespace glassmill::model {
namespace {

constexpr std::size_t kSlab = std::size_t{32} << 20;

void require_shape(const std::string& name, const Source& source, std::size_t rows, std::size_t columns) {
    if (source.rows == rows && source.columns == columns) return;
    throw std::invalid_argument(name + " has shape (" + std::to_string(source.rows) + ", " +
                                std::to_string(source.columns) + "), not (" + std::to_string(rows) + ", " +
                                std::to_string(columns) + ")");
}

}  // namespace

Decoder::Decoder(const Shape& shape, Rotary rotary, Format cache, unsigned threads)
    : shape_(shape), rotary_(std::move(rotary)), cache_({cache, shape.layers, shape.kv_heads, shape.head_dim}),
      team_(threads), threads_(threads) {
    if (shape.head_dim % layout(cache).columns_step) {
        throw std::invalid_argument(std::string("a cache in ") + layout(cache).name + " needs heads of a multiple of " +
                                    std::to_string(layout(cache).columns_step) + " channels, not " +
                                    std::to_string(shape.head_dim));
    }
    weights_.layers.resize(shape.layers);
}

Matrix* Decoder::matrix(const std::string& name, std::size_t layer) {
    if (name == "embedding") return &weights_.embedding;
    if (name == "head" && !shape_.tied) return &weights_.head;
    if (layer >= weights_.layers.size()) return nullptr;
    Layer& of = weights_.layers[layer];
    const std::pair<const char*, Matrix*> known[] = {
        {"q", &of.q}, {"k", &of.k}, {"v", &of.v}, {"o", &of.o}, {"gate", &of.gate}, {"up", &of.up}, {"down", &of.down}};
    for (const auto& [its, matrix] : known) {
        if (name == its) return matrix;
    }
    return nullptr;
}

std::vector<float>* Decoder::vector(const std::string& name, std::size_t layer, std::size_t& size) {
    size = shape_.d_model;
    if (name == "norm") return &weights_.norm;
    if (layer >= weights_.layers.size()) return nullptr;
    Layer& of = weights_.layers[layer];
    if (name == "input_norm") return &of.input_norm;
    if (name == "post_norm") return &of.post_norm;
    size = shape_.head_dim;
    if (shape_.qk_norm && name == "q_norm") return &of.q_norm;
    if (shape_.qk_norm && name == "k_norm") return &of.k_norm;
    size = shape_.heads * shape_.head_dim;
    if (shape_.qkv_bias && name == "q_bias") return &of.q_bias;
    size = shape_.kv_heads * shape_.head_dim;
    if (shape_.qkv_bias && name == "k_bias") return &of.k_bias;
    if (shape_.qkv_bias && name == "v_bias") return &of.v_bias;
    return nullptr;
}

void Decoder::set(const std::string& name, std::size_t layer, const Source& source, Format format) {
    std::size_t size;
    if (std::vector<float>* const to = vector(name, layer, size)) {
        require_shape(name, source, 1, size);
        to->resize(size);
        widen(source, 0, size, to->data());
        for (const float value : *to) {
            if (!std::isfinite(value)) throw std::invalid_argument("numbers that are NaN or infinite");
        }
        return;
    }
    Matrix* const to = matrix(name, layer);
    if (!to) throw std::invalid_argument("this model has no parameter '" + name + "'");
    const std::size_t D = shape_.d_model, queries = shape_.heads * shape_.head_dim,
                      keys = shape_.kv_heads * shape_.head_dim;
    const bool outer = name == "embedding" || name == "head";
    const std::size_t rows = outer                            ? shape_.vocab_size
                             : name == "q"                    ? queries
                             : name == "k" || name == "v"     ? keys
                             : name == "gate" || name == "up" ? shape_.d_ff
                                                              : D;
    require_shape(name, source, rows, name == "o" ? queries : name == "down" ? shape_.d_ff : D);
    *to = pack(format, source, allocate(packed_bytes(format, source.rows, source.columns)), threads_);
}

std::uint8_t* Decoder::allocate(std::size_t size) {
    if (size > left_) {
        weights_.memory.emplace_back(std::max(size, kSlab));
        left_ = weights_.memory.back().size();
    }
    std::uint8_t* const at = weights_.memory.back().data() + weights_.memory.back().size() - left_;
    left_ -= size;  // a multiple of 64
    return at;
}

void Decoder::check_complete() const {
    auto* self = const_cast<Decoder*>(this);
    std::size_t size;
    const auto require = [](bool there, const std::string& name) {
        if (!there) throw std::invalid_argument("the parameter '" + name + "' is missing");
    };
    require(weights_.embedding.bytes, "embedding");
    require(shape_.tied || weights_.head.bytes, "head");
    require(!weights_.norm.empty(), "norm");
    for (std::size_t layer = 0; layer < shape_.layers; ++layer) {
        for (const char* name : {"q", "k", "v", "o", "gate", "up", "down"})
            require(self->matrix(name, layer)->bytes, name);
        for (const char* name : {"input_norm", "post_norm", "q_norm", "k_norm", "q_bias", "k_bias", "v_bias"}) {
            const std::vector<float>* const vector = self->vector(name, layer, size);
            require(!vector || !vector->empty(), name);
        }
    }
}

void Decoder::rotate_up_to(std::size_t positions) {
    const std::size_t half = shape_.head_dim / 2, known = cosines_.size() / half;
    if (positions <= known) return;
    const std::size_t wanted = std::max(positions, 2 * known);
    cosines_.resize(wanted * half), sines_.resize(wanted * half);
    for (std::size_t position = known; position < wanted; ++position) {
        for (std::size_t pair = 0; pair < half; ++pair) {
            const float angle = static_cast<float>(position) * rotary_.frequencies[pair];
            cosines_[position * half + pair] = std::cos(angle) * rotary_.scale;
            sines_[position * half + pair] = std::sin(angle) * rotary_.scale;
        }
    }
}

void Decoder::forward(std::vector<Piece>& pieces) {
    std::size_t tokens = 0, questions = 0, length = 0;
    for (const Piece& piece : pieces) {
        tokens += piece.count, questions += piece.want;
        length = std::max(length, piece.row->length() + piece.count);
    }
    if (!tokens) return;
    for (const Piece& piece : pieces) piece.row->reserve(piece.count);
    rotate_up_to(length);
    const std::size_t most = std::min(tokens, kChunk);
    Pass pass(*this, most, std::min(questions, most), length);

    std::vector<Segment> segments;
    std::vector<Token> chunk;
    std::vector<Question> asked;
    segments.reserve(std::min(most, pieces.size())), chunk.reserve(most), asked.reserve(most);
    const auto flush = [&] {
        pass.run(segments, chunk, asked);
        segments.clear(), chunk.clear(), asked.clear();
    };
    for (const Piece& piece : pieces) {
        const std::size_t start = piece.row->length();
        for (std::size_t at = 0; at < piece.count;) {
            const std::size_t count = std::min(piece.count - at, most - chunk.size());
            segments.push_back({piece.row, chunk.size(), count, start + at});
            for (std::size_t end = at + count; at < end; ++at) {
                if (at + piece.want >= piece.count) {
                    const std::size_t number = at + piece.want - piece.count;
                    asked.push_back({chunk.size(), piece.logits ? piece.logits + number * shape_.vocab_size : nullptr,
                                     piece.best ? piece.best + number : nullptr});
                }
                chunk.push_back({piece.ids[at], start + at, segments.size() - 1});
            }
            if (chunk.size() == most) flush();
        }
    }
    if (!chunk.empty()) flush();
    for (const Piece& piece : pieces) piece.row->grow(piece.count);
}

}  // namespace glassmill::model
