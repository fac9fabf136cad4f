// A matrix of weights as the products read it: rows (outputs) by columns (inputs), packed in blocks of 16 rows.
//
// Within a block the rows are interleaved, so that one vector register holds the same columns of 16 rows, and a product
// with any number of activation rows reads the block once, from front to back. What a block's bytes mean is its
// format's business, see formats.hpp; how they are multiplied is in products.hpp. To add a format: a name and
// `kNumFormats` here, a `Layout` in formats.cpp (numbers) or blocked.cpp (blocks), and `Products` for every instruction
// set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace glassmill::model {

constexpr std::size_t kBlockRows = 16;

enum class Format : std::uint8_t { f32, bf16, q8_0, q4_0, q4_1, q4_k };
constexpr std::size_t kNumFormats = 6;

// How a file holds numbers before they are packed: row after row, as numbers or as GGUF's blocks.
enum class Stored : std::uint8_t { f32, bf16, f16, blocks };
struct Source {
    Stored type;
    const void* data;
    std::size_t rows, columns;
    int place = -1;  // of the blocks' format in gguf::kLayouts
};

struct Matrix {
    Format format = Format::f32;
    std::size_t rows = 0, columns = 0;
    std::size_t block_bytes = 0;
    const std::uint8_t* bytes = nullptr;  // aligned to 64, owned by whoever packed it
};

// Static, as kernels use them: each has a copy of its own.
static inline std::size_t num_blocks(const Matrix& matrix) { return (matrix.rows + kBlockRows - 1) / kBlockRows; }
static inline const std::uint8_t* block_at(const Matrix& matrix, std::size_t number) {
    return matrix.bytes + number * matrix.block_bytes;
}

// Asks for bytes to be brought into the second-level cache. Products of one row wait for memory, and what a processor
// fetches by itself ends with every page of 4 KiB.
constexpr std::size_t kLine = 64, kAhead = 4096;
static inline void fetch(const std::uint8_t* from, std::size_t size) {
#ifdef __GNUC__
    for (std::size_t at = 0; at < size; at += kLine) __builtin_prefetch(from + at, 0, 2);
#else
    (void)from, (void)size;
#endif
}

}  // namespace glassmill::model
