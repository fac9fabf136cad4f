#include "model/blocked.hpp"

#include <cstring>
#include <vector>

#include "gguf/blocks.hpp"
#include "model/formats.hpp"

namespace glassmill::model {
namespace {

// What `unpack_blocked` and `interleave` need of a format.
struct Kind {
    Blocked sizes;
    int zero;  // added to an integer before it is stored
};

Kind kind_of(Format format) {
    switch (format) {
        case Format::q8_0: return {kQ8_0, 128};
        case Format::q4_0: return {kQ4_0, 8};
        case Format::q4_1: return {kQ4_1, 0};
        default: return {kQ4_K, 0};
    }
}

bool wide(Format format) { return format == Format::q8_0; }

std::uint8_t* scales_of(const Blocked& kind, std::uint8_t* block, std::size_t group) {
    const std::size_t units = kind.unit_bytes ? group / kGroupsOfUnit + 1 : 0;
    return block + group * kind.group_bytes + units * kind.unit_bytes;
}

void put_integers(const std::int8_t* q, const Kind& kind, bool wide, std::size_t row, std::uint8_t* group) {
    for (std::size_t i = 0; i < kGroup; ++i) {
        const auto stored = static_cast<std::uint8_t>(q[i] + kind.zero);
        const std::size_t place = wide ? i : i % 16;
        std::uint8_t& to = group[place / 4 * 64 + row * 4 + place % 4];
        to = wide || i < 16 ? stored : static_cast<std::uint8_t>(to | stored << 4);
    }
}

// The scales of one GGUF block as they are stored there: q4_k's of six bits get a byte each.
void put_scales(Format format, const std::uint8_t* block, std::size_t row, const Blocked& kind, std::size_t group,
                std::uint8_t* to) {
    if (format != Format::q4_k) {
        std::uint8_t* scales = scales_of(kind, to, group);
        std::memcpy(scales + 2 * row, block, 2);
        if (format == Format::q4_1) {  // stored as the least value, which is minus the offset
            const std::uint8_t flipped[2] = {block[2], static_cast<std::uint8_t>(block[3] ^ 0x80)};
            std::memcpy(scales + 32 + 2 * row, flipped, 2);
        }
        return;
    }
    std::uint8_t* units = scales_of(kind, to, group) - kind.unit_bytes;
    std::memcpy(units + 2 * row, block, 2);
    std::memcpy(units + 32 + 2 * row, block + 2, 2);
    const std::uint8_t* packed = block + 4;
    for (std::size_t g = 0; g < 8; ++g) {
        std::uint8_t* scales = scales_of(kind, to, group + g);
        scales[row] =
            static_cast<std::uint8_t>(g < 4 ? packed[g] & 63 : (packed[g + 4] & 15) | (packed[g - 4] >> 2 & 48));
        scales[16 + row] =
            static_cast<std::uint8_t>(g < 4 ? packed[g + 4] & 63 : packed[g + 4] >> 4 | (packed[g] >> 2 & 48));
    }
}

float half_at(const std::uint8_t* bytes) {
    float value;
    widen({Stored::f16, bytes, 1, 1}, 0, 1, &value);
    return value;
}

template <Format format>
std::size_t block_bytes(std::size_t columns) {
    const Blocked kind = kind_of(format).sizes;
    return scale_bytes(kind, columns) + columns / kGroup * kind.integer_bytes;
}

template <Format format>
void pack_blocked(const float* rows, std::size_t columns, std::uint8_t* block) {
    const int place = gguf_place(format);
    const gguf::Layout& at = gguf::kLayouts[place];
    const std::size_t count = kBlockRows * columns / at.block;
    const std::vector<float> alike(kBlockRows * columns, 1.0f);
    std::vector<std::uint8_t> blocks(count * at.block_bytes);
    gguf::quantize(place, {rows, alike.data(), count}, blocks.data());
    interleave(format, blocks.data(), columns, block);
}

template <Format format>
void unpack_blocked(const std::uint8_t* block, std::size_t row, std::size_t columns, float* out) {
    const Kind kind = kind_of(format);
    const std::uint8_t* integers = block + scale_bytes(kind.sizes, columns);
    for (std::size_t group = 0; group < columns / kGroup; ++group, integers += kind.sizes.integer_bytes) {
        const std::uint8_t* scales = scales_of(kind.sizes, const_cast<std::uint8_t*>(block), group);
        float scale = format == Format::q4_k ? static_cast<float>(scales[row]) : half_at(scales + 2 * row), offset = 0;
        if (format == Format::q4_1) offset = half_at(scales + 32 + 2 * row);
        if (format == Format::q4_k) {
            const std::uint8_t* units = block + group / kGroupsOfUnit * (kGroupsOfUnit * 32 + 64);
            scale *= half_at(units + 2 * row);
            offset = half_at(units + 32 + 2 * row) * static_cast<float>(scales[16 + row]);
        }
        for (std::size_t i = 0; i < kGroup; ++i) {
            const std::size_t column = wide(format) ? i : i % 16;
            const std::uint8_t stored = integers[column / 4 * 64 + row * 4 + column % 4];
            const int q = (wide(format) ? stored : stored >> (i < 16 ? 0 : 4) & 15) - kind.zero;
            *out++ = scale * static_cast<float>(q) - offset;
        }
    }
}

}  // namespace

const Layout kBlockedLayouts[4] = {
    {"q8_0", 32, block_bytes<Format::q8_0>, pack_blocked<Format::q8_0>, unpack_blocked<Format::q8_0>},
    {"q4_0", 32, block_bytes<Format::q4_0>, pack_blocked<Format::q4_0>, unpack_blocked<Format::q4_0>},
    {"q4_1", 32, block_bytes<Format::q4_1>, pack_blocked<Format::q4_1>, unpack_blocked<Format::q4_1>},
    {"q4_k", 256, block_bytes<Format::q4_k>, pack_blocked<Format::q4_k>, unpack_blocked<Format::q4_k>},
};

int gguf_place(Format format) {
    switch (format) {
        case Format::q8_0: return gguf::place_of(static_cast<int>(gguf::Format::q8_0));
        case Format::q4_0: return gguf::place_of(static_cast<int>(gguf::Format::q4_0));
        case Format::q4_1: return gguf::place_of(static_cast<int>(gguf::Format::q4_1));
        case Format::q4_k: return gguf::place_of(static_cast<int>(gguf::Format::q4_k));
        default: return -1;
    }
}

void interleave(Format format, const std::uint8_t* rows, std::size_t columns, std::uint8_t* block) {
    const Kind kind = kind_of(format);
    const int place = gguf_place(format);
    const gguf::Layout& at = gguf::kLayouts[place];
    const std::size_t num_blocks = columns / at.block, per_block = at.block / kGroup;
    std::uint8_t* integers = block + scale_bytes(kind.sizes, columns);
    std::int8_t q[gguf::kLargestBlock];
    float scales[gguf::kMostGroups], offsets[gguf::kMostGroups];
    for (std::size_t row = 0; row < kBlockRows; ++row) {
        for (std::size_t i = 0; i < num_blocks; ++i, rows += at.block_bytes) {
            gguf::unpack(place, {rows, 1}, q, scales, offsets);
            put_scales(format, rows, row, kind.sizes, i * per_block, block);
            for (std::size_t g = 0; g < per_block; ++g) {
                put_integers(q + g * kGroup, kind, wide(format), row,
                             integers + (i * per_block + g) * kind.sizes.integer_bytes);
            }
        }
    }
}

}  // namespace glassmill::model
