#include "gguf/write_body.hpp"

void glassmill::gguf::avx2::quantize(int place, const Weights& weights, std::uint8_t* blocks) {
    quantize_blocks(place, weights, blocks);
}
