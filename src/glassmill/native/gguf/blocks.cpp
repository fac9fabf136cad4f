#include "gguf/blocks.hpp"

#include <cstring>

#include "base/processor.hpp"

namespace glassmill::gguf {

int place_of(int number) {
    for (int place = 0; place < kNumFormats; ++place) {
        if (static_cast<int>(kLayouts[place].format) == number) return place;
    }
    return -1;
}

int place_of(const char* name) {
    static constexpr const char* kNames[] = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",
                                             "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"};
    for (int place = 0; place < kNumFormats; ++place) {
        if (!std::strcmp(kNames[place], name)) return place;
    }
    return -1;
}

void unpack(int place, const Blocks& blocks, std::int8_t* q, float* scales, float* offsets) {
    static const auto kernel = GLASSMILL_KERNEL(unpack);
    kernel(place, blocks, q, scales, offsets);
}

void dequantize(int place, const Blocks& blocks, float* values) {
    static const auto kernel = GLASSMILL_KERNEL(dequantize);
    kernel(place, blocks, values);
}

void quantize(int place, const Weights& weights, std::uint8_t* blocks) {
    static const auto kernel = GLASSMILL_KERNEL(quantize);
    kernel(place, weights, blocks);
}

}  // namespace glassmill::gguf
