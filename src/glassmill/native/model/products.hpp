// Products of packed weights with rows of activations, one table for each format and instruction set.
//
// Activations are prepared once a row (rounded, quantised), then multiplied by any number of blocks. The order of every
// sum depends on the number of columns alone: a row's result is the same whatever other rows are multiplied with it.
// bf16: products are exact in float and the two of a pair are added one after the other, the second first, as
// vdpbf16ps does it; so every instruction set gives the same bits.
#pragma once

#include "model/matrix.hpp"

namespace glassmill::model {

struct Rows {  // prepared activations
    const std::uint8_t* bytes;
    std::size_t stride;  // bytes from one row to the next
    std::size_t count;
};

struct Blocks {  // from `first` to before `last`
    std::size_t first, last;
};

struct Out {             // out[row][output]; nothing is written beyond the matrix's rows
    float* values;       // of row 0 and the first output of the first block
    std::size_t stride;  // floats from one row to the next
    bool add = false;    // to what is there
};

struct Products {
    // Bytes of one prepared row, a multiple of 64.
    std::size_t (*row_bytes)(std::size_t columns);
    void (*prepare)(const float* row, std::size_t columns, std::uint8_t* prepared);
    void (*multiply)(const Matrix& matrix, const Rows& rows, const Blocks& blocks, const Out& out);
};

namespace scalar {
extern const Products f32_products, bf16_products, q8_0_products, q4_0_products, q4_1_products, q4_k_products;
}
namespace avx2 {
extern const Products f32_products, bf16_products, q8_0_products, q4_0_products, q4_1_products, q4_k_products;
}
namespace avx512 {
extern const Products f32_products, bf16_products, q8_0_products, q4_0_products, q4_1_products, q4_k_products;
}
namespace avx512_bf16 {
extern const Products f32_products, bf16_products, q8_0_products, q4_0_products, q4_1_products, q4_k_products;
}

// Those of the instruction set in use.
const Products& products(Format format);

}  // namespace glassmill::model
