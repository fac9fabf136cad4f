// Hashing of short byte strings: a piece of up to 15 bytes fits two words, its length in the last byte.
#pragma once

#include <cstring>

#include "base/unicode.hpp"

namespace glassmill {

constexpr std::size_t kShort = 15;

struct Key {
    std::uint64_t low, high;

    bool operator==(const Key& other) const { return ((low ^ other.low) | (high ^ other.high)) == 0; }
};

inline std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
#if defined(__SIZEOF_INT128__)
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
#else
    const std::uint64_t x = (a ^ (b >> 32)) * 0x9E3779B97F4A7C15ull, y = (b ^ (x >> 29)) * 0xBF58476D1CE4E5B9ull;
    return (x >> 32) ^ y ^ (y >> 31);
#endif
}

inline std::uint64_t hash_key(const Key& key) {
    return fold(key.low ^ 0x2D358DCCAA6C78A5ull, key.high ^ 0x8BB84B93962EACC9ull);
}

inline std::uint64_t load64(const Byte* bytes) {
    std::uint64_t word;
    std::memcpy(&word, bytes, 8);
    return word;
}

// The key of `length` <= 15 bytes; 16 bytes from `bytes` on must be readable.
inline Key load_key(const Byte* bytes, std::size_t length) {
    static constexpr std::uint64_t kOnes = ~0ull;
    const std::uint64_t low_mask = length >= 8 ? kOnes : (1ull << (length * 8)) - 1;
    const std::uint64_t high_mask = length > 8 ? (1ull << ((length - 8) * 8)) - 1 : 0;
    return {load64(bytes) & low_mask, (load64(bytes + 8) & high_mask) | static_cast<std::uint64_t>(length) << 56};
}

// The same where fewer than 16 bytes may be readable.
inline Key copy_key(const Byte* bytes, std::size_t length) {
    Byte padded[16] = {};
    std::memcpy(padded, bytes, length);
    return load_key(padded, length);
}

inline std::uint64_t hash_bytes(const Byte* bytes, std::size_t length) {
    std::uint64_t state = length ^ 0x4B33A62ED433D4A3ull;
    while (length > 16) {
        state = fold(load64(bytes) ^ state, load64(bytes + 8) ^ 0xA0761D6478BD642Full);
        bytes += 16, length -= 16;
    }
    Byte padded[16] = {};
    std::memcpy(padded, bytes, length);
    return fold(load64(padded) ^ state, load64(padded + 8) ^ 0xE7037ED1A0B428DBull);
}

inline void prefetch(const void* address) {
#if defined(__GNUC__)
    __builtin_prefetch(address);
#else
    (void)address;
#endif
}

}  // namespace glassmill
