// BLAKE2b with an 8-byte digest and no key (RFC 7693): what hashlib.blake2b(data, digest_size=8, person=...) gives,
// read as a little-endian number.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace glassmill::blake2b {

using Word = std::uint64_t;

constexpr Word kInitial[8] = {0x6A09E667F3BCC908ull, 0xBB67AE8584CAA73Bull, 0x3C6EF372FE94F82Bull,
                              0xA54FF53A5F1D36F1ull, 0x510E527FADE682D1ull, 0x9B05688C2B3E6C1Full,
                              0x1F83D9ABFB41BD6Bull, 0x5BE0CD19137E2179ull};

// The word of the block that each step uses, by round; rounds 10 and 11 repeat 0 and 1.
constexpr std::uint8_t kOrder[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

inline void mix(Word& a, Word& b, Word& c, Word& d, Word x, Word y) {
    a += b + x, d = std::rotr(d ^ a, 32), c += d, b = std::rotr(b ^ c, 24);
    a += b + y, d = std::rotr(d ^ a, 16), c += d, b = std::rotr(b ^ c, 63);
}

// One block of 128 bytes; `end` is the number of message bytes up to its end.
inline void compress(Word state[8], const Word block[16], Word end, bool last) {
    Word v[16];
    for (int i = 0; i < 8; ++i) v[i] = state[i], v[i + 8] = kInitial[i];
    v[12] ^= end;
    if (last) v[14] = ~v[14];
    for (int round = 0; round < 12; ++round) {
        const std::uint8_t* order = kOrder[round % 10];
        for (int i = 0; i < 4; ++i) {
            mix(v[i], v[4 + i], v[8 + i], v[12 + i], block[order[2 * i]], block[order[2 * i + 1]]);
        }
        for (int i = 0; i < 4; ++i) {
            mix(v[i], v[4 + (i + 1) % 4], v[8 + (i + 2) % 4], v[12 + (i + 3) % 4], block[order[8 + 2 * i]],
                block[order[9 + 2 * i]]);
        }
    }
    for (int i = 0; i < 8; ++i) state[i] ^= v[i] ^ v[i + 8];
}

// `person` has at most 8 characters.
inline std::uint64_t digest(std::string_view data, std::string_view person = {}) {
    Word state[8];
    std::memcpy(state, kInitial, sizeof state);
    state[0] ^= 0x01010000 ^ 8;
    Word personal = 0;
    if (!person.empty()) std::memcpy(&personal, person.data(), person.size());
    state[6] ^= personal;
    Word block[16];
    std::size_t taken = 0;
    for (; data.size() - taken > sizeof block;) {
        std::memcpy(block, data.data() + taken, sizeof block);
        taken += sizeof block;
        compress(state, block, taken, false);
    }
    std::memset(block, 0, sizeof block);
    if (data.size() > taken) std::memcpy(block, data.data() + taken, data.size() - taken);
    compress(state, block, data.size(), true);
    return state[0];
}

}  // namespace glassmill::blake2b
