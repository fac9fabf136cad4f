// A Transformer that decodes: token ids in, logits out, for many rows at once, each with its own cache.
//
// The shapes are those of glassmill.model.config (Qwen3, Qwen2, Llama, Mistral). Everything between two products is in
// float; what enters a product is rounded to its weights' format. A row's numbers do not depend on the other rows.
//
//     D d_model, N heads, K kv heads, H head_dim, F d_ff, V vocabulary
#pragma once

#include <string>
#include <vector>

#include "base/team.hpp"
#include "model/cache.hpp"
#include "model/products.hpp"
#include "model/vectors.hpp"

namespace glassmill::model {

struct Shape {
    std::size_t vocab_size, d_model, layers, heads, kv_heads, head_dim, d_ff;
    float eps;
    bool qk_norm, qkv_bias, tied;
};

struct Layer {
    Matrix q, k, v, o, gate, up, down;
    std::vector<float> input_norm, post_norm, q_norm, k_norm, q_bias, k_bias, v_bias;
};

struct Weights {
    Matrix embedding, head;
    std::vector<float> norm;
    std::vector<Layer> layers;
    std::vector<Memory> memory;
};

// The rotation's angles: every pair's frequency, and what cosines and sines are multiplied by.
struct Rotary {
    std::vector<float> frequencies;
    float scale;
};

// The next tokens of a row, and what is asked about the last `want` of them: logits go to `logits` (want, V) or, where
// that is null, the likeliest ids to `best`.
struct Piece {
    Row* row;
    const std::uint32_t* ids;
    std::size_t count, want;
    float* logits;
    std::uint32_t* best;
};

class Decoder {
public:
    Decoder(const Shape& shape, Rotary rotary, Format cache, unsigned threads);

    // A parameter under its short name ("q", "input_norm", ...); `layer` counts for those of layers.
    // Throws std::invalid_argument: no such name, another shape, numbers that are not finite.
    void set(const std::string& name, std::size_t layer, const Source& source, Format format);
    // Throws std::invalid_argument if a parameter is missing.
    void check_complete() const;

    const Shape& shape() const { return shape_; }
    Cache& cache() { return cache_; }
    unsigned threads() const { return team_.size(); }

    // Appends every piece to its row. Ids are below V, rows differ. If it throws, no row has grown.
    void forward(std::vector<Piece>& pieces);

private:
    class Pass;

    Matrix* matrix(const std::string& name, std::size_t layer);
    std::vector<float>* vector(const std::string& name, std::size_t layer, std::size_t& size);
    std::uint8_t* allocate(std::size_t size);
    void rotate_up_to(std::size_t positions);

    Shape shape_;
    Rotary rotary_;
    Weights weights_;
    Cache cache_;
    Team team_;
    unsigned threads_;
    std::size_t left_ = 0;                // bytes of the last of weights_.memory
    std::vector<float> cosines_, sines_;  // (positions, H / 2)
    Memory scratch_;
};

}  // namespace glassmill::model
