// GGUF's block formats: 32 or 256 weights of a row in a few bytes. glassmill/model/plain_formats.py is the twin.
//
// Whatever the format, a weight is scale * q - offset, with one scale and one offset for a group of 16 or 32.
#pragma once

#include <cstddef>
#include <cstdint>

namespace glassmill::gguf {

enum class Format : int {  // numbers as in GGUF files
    q4_0 = 2,
    q4_1 = 3,
    q5_0 = 6,
    q5_1 = 7,
    q8_0 = 8,
    q2_k = 10,
    q3_k = 11,
    q4_k = 12,
    q5_k = 13,
    q6_k = 14,
};

struct Layout {
    Format format;
    std::size_t block;  // weights
    std::size_t block_bytes;
    std::size_t group;  // weights that share a scale and an offset
};

constexpr Layout kLayouts[] = {
    {Format::q4_0, 32, 18, 32},   {Format::q4_1, 32, 20, 32},   {Format::q5_0, 32, 22, 32},
    {Format::q5_1, 32, 24, 32},   {Format::q8_0, 32, 34, 32},   {Format::q2_k, 256, 84, 16},
    {Format::q3_k, 256, 110, 16}, {Format::q4_k, 256, 144, 32}, {Format::q5_k, 256, 176, 32},
    {Format::q6_k, 256, 210, 16},
};
constexpr int kNumFormats = 10;
constexpr std::size_t kLargestBlock = 256, kMostGroups = 16;

// The place in kLayouts of a format by its number in files; -1 if there is none.
int place_of(int number);
int place_of(const char* name);  // "Q4_K"

struct Blocks {
    const std::uint8_t* bytes;
    std::size_t count;
};

// Weights of whole blocks, and how much an error of each counts; zeros ask for the reference's rounding.
struct Weights {
    const float *values, *importance;
    std::size_t num_blocks;
};

// `q` gets an integer for each weight, `scales` and `offsets` a number for each group.
using Unpack = void(int place, const Blocks& blocks, std::int8_t* q, float* scales, float* offsets);
using Dequantize = void(int place, const Blocks& blocks, float* values);
// Writes blocks of a format that `writable`; on every processor the same bytes.
using Quantize = void(int place, const Weights& weights, std::uint8_t* blocks);

constexpr bool writable(int place) {
    const Format format = kLayouts[place].format;
    return format != Format::q5_1 && format != Format::q2_k && format != Format::q3_k && format != Format::q5_k;
}

namespace scalar {
Unpack unpack;
Dequantize dequantize;
Quantize quantize;
}  // namespace scalar
namespace avx2 {
Unpack unpack;
Dequantize dequantize;
Quantize quantize;
}  // namespace avx2
namespace avx512 {
Unpack unpack;
Dequantize dequantize;
Quantize quantize;
}  // namespace avx512

// The best of them for this processor.
Unpack unpack;
Dequantize dequantize;
Quantize quantize;

}  // namespace glassmill::gguf
