#include "gguf/read_body.hpp"

void glassmill::gguf::avx512::unpack(int place, const Blocks& blocks, std::int8_t* q, float* scales, float* offsets) {
    unpack_blocks(place, blocks, q, scales, offsets);
}

void glassmill::gguf::avx512::dequantize(int place, const Blocks& blocks, float* values) {
    dequantize_blocks(place, blocks, values);
}
