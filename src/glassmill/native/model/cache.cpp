#include "model/cache.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "model/blocked.hpp"

namespace glassmill::model {
namespace {

constexpr std::size_t kKept = 8;  // pages that nobody uses

std::size_t pages_of(std::size_t positions) { return (positions + kPage - 1) / kPage; }

constexpr float kMost = 127.0f, kLargestHalf = 65504.0f;
constexpr std::uint16_t kOne = 0x3C00;  // in 16 bits

// The nearest number of 16 bits to one from 0 on; what is too large becomes the largest.
std::uint16_t to_half(float value) {
    if (!(value < kLargestHalf)) return 0x7BFF;
    if (value < 0x1p-14f) return static_cast<std::uint16_t>(std::nearbyint(value * 0x1p24f));
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return static_cast<std::uint16_t>(((bits + 0xFFF + (bits >> 13 & 1)) >> 13) - (112u << 10));
}

float of_half(std::uint16_t half) {
    if (half < 0x400) return static_cast<float>(half) * 0x1p-24f;
    return std::bit_cast<float>((std::uint32_t{half} + (112u << 10)) << 13);
}

float largest_of(const float* x, std::size_t count) {
    float largest = 0;
    for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(x[i]));
    return largest;
}

float inverse_of(float scale) { return scale > 0 ? 1.0f / scale : 0.0f; }

// As q8_0's matrices store it: plus 128. What is no number becomes 0; it is still in the residual stream.
std::uint8_t to_8_bits(float value) {
    const float whole = std::isnan(value) ? 0.0f : std::nearbyint(std::clamp(value, -kMost, kMost));
    return static_cast<std::uint8_t>(static_cast<int>(whole) + 128);
}

// Where the integer of a column in one of the 16 rows lies, from the first integer of the block on.
std::size_t place_of(std::size_t row, std::size_t column) {
    return column / kGroup * kQ8_0.integer_bytes + column % kGroup / 4 * 64 + row * 4 + column % 4;
}

// Gives every group of every value the scale 1.
void set_value_scales(const CacheShape& shape, std::uint8_t* page) {
    for (std::size_t head = 0; head < shape.layers * shape.kv_heads; ++head, page += shape.head_bytes()) {
        for (std::size_t at = shape.key_bytes(); at < shape.scales_at(); at += shape.value_block_bytes()) {
            auto* scales = reinterpret_cast<std::uint16_t*>(page + at);
            std::fill(scales, scales + kPage / kGroup * kBlockRows, kOne);
        }
    }
}

}  // namespace

Cache::Page Cache::new_page() {
    Page page;
    if (free_.empty()) {
        page = std::make_shared<Memory>(shape_.page_bytes());
        std::memset(page->data(), 0, page->size());  // what lies behind a row's end is multiplied by 0, so no NaN
        if (shape_.in_8_bits()) set_value_scales(shape_, page->data());
    } else {
        page = std::move(free_.back());
        free_.pop_back();
    }
    ++in_use_;
    return page;
}

void Cache::give_back(Page& page) {
    if (page.use_count() == 1) {
        --in_use_;
        free_.push_back(std::move(page));
        if (free_.size() > std::max(in_use_, kKept)) free_.resize(std::max(in_use_, kKept));
    }
    page.reset();
}

void Row::cut(std::size_t pages) {
    for (; pages_.size() > pages; pages_.pop_back()) cache_->give_back(pages_.back());
}

void Row::truncate(std::size_t length) {
    cut(pages_of(length));
    length_ = length;
}

void Row::copy_to(Row& to, std::size_t length) const {
    to.pages_.assign(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(pages_of(length)));
    to.length_ = length;
}

void Row::reserve(std::size_t more) {
    const std::size_t before = pages_.size(), place = length_ / kPage;
    try {
        if (place < before && pages_[place].use_count() > 1) {  // shared with a fork
            std::shared_ptr<Memory> own = cache_->new_page();
            std::memcpy(own->data(), pages_[place]->data(), own->size());
            pages_[place] = std::move(own);
        }
        pages_.reserve(pages_of(length_ + more));
        while (pages_.size() < pages_of(length_ + more)) pages_.push_back(cache_->new_page());
    } catch (...) {
        cut(before);
        throw;
    }
}

std::uint8_t* Row::head(std::size_t page, std::size_t layer, std::size_t head) const {
    const CacheShape& shape = cache_->shape_;
    return pages_[page]->data() + (layer * shape.kv_heads + head) * shape.head_bytes();
}

void Row::write(std::size_t layer, std::size_t head, std::size_t position, const float* key, const float* value) {
    const CacheShape& shape = cache_->shape_;
    std::uint8_t* const keys = this->head(position / kPage, layer, head);
    std::uint8_t* const values = keys + shape.key_bytes();
    const std::size_t place = position % kPage, lane = place % kBlockRows;
    if (shape.in_8_bits()) return write_8_bits(keys, place, key, value);
    std::uint8_t* const key_block = keys + place / kBlockRows * shape.key_block_bytes();
    if (shape.format == Format::f32) {
        auto* to = reinterpret_cast<float*>(key_block) + lane;
        for (std::size_t i = 0; i < shape.head_dim; ++i) to[i * kBlockRows] = key[i];
        for (std::size_t i = 0; i < shape.head_dim; ++i) {
            auto* block = reinterpret_cast<float*>(values + i / kBlockRows * shape.value_block_bytes());
            block[place * kBlockRows + i % kBlockRows] = value[i];
        }
        return;
    }
    auto* to = reinterpret_cast<std::uint16_t*>(key_block) + 2 * lane;
    for (std::size_t i = 0; i < shape.head_dim; ++i) to[i / 2 * 2 * kBlockRows + i % 2] = to_bf16(key[i]);
    for (std::size_t i = 0; i < shape.head_dim; ++i) {
        auto* block = reinterpret_cast<std::uint16_t*>(values + i / kBlockRows * shape.value_block_bytes());
        block[place / 2 * 2 * kBlockRows + i % kBlockRows * 2 + place % 2] = to_bf16(value[i]);
    }
}

void Row::write_8_bits(std::uint8_t* head, std::size_t place, const float* key, const float* value) {
    const CacheShape& shape = cache_->shape_;
    const std::size_t H = shape.head_dim, lane = place % kBlockRows;
    std::uint8_t* const key_block = head + place / kBlockRows * shape.key_block_bytes();
    std::uint8_t* const key_integers = key_block + scale_bytes(kQ8_0, H);
    for (std::size_t first = 0; first < H; first += kGroup) {
        const std::uint16_t scale = to_half(largest_of(key + first, kGroup) / kMost);
        const float inverse = inverse_of(of_half(scale));
        reinterpret_cast<std::uint16_t*>(key_block + first / kGroup * kQ8_0.group_bytes)[lane] = scale;
        for (std::size_t i = first; i < first + kGroup; ++i) {
            key_integers[place_of(lane, i)] = to_8_bits(key[i] * inverse);
        }
    }
    const float scale = largest_of(value, H) / kMost, inverse = inverse_of(scale);
    reinterpret_cast<float*>(head + shape.scales_at())[place] = scale;
    std::uint8_t* const value_integers = head + shape.key_bytes() + scale_bytes(kQ8_0, kPage);
    for (std::size_t i = 0; i < H; ++i) {
        std::uint8_t* const block = value_integers + i / kBlockRows * shape.value_block_bytes();
        block[place_of(i % kBlockRows, place)] = to_8_bits(value[i] * inverse);
    }
}

const float* Row::value_scales(std::size_t page, std::size_t layer, std::size_t head) const {
    const CacheShape& shape = cache_->shape_;
    if (!shape.in_8_bits()) return nullptr;
    return reinterpret_cast<const float*>(this->head(page, layer, head) + shape.scales_at());
}

Matrix Row::keys(std::size_t page, std::size_t layer, std::size_t head, std::size_t count) const {
    const CacheShape& shape = cache_->shape_;
    const std::size_t whole = (count + kBlockRows - 1) / kBlockRows * kBlockRows;
    return {shape.format, whole, shape.head_dim, shape.key_block_bytes(), this->head(page, layer, head)};
}

Matrix Row::values(std::size_t page, std::size_t layer, std::size_t head, std::size_t count) const {
    const CacheShape& shape = cache_->shape_;
    return {shape.format, shape.head_dim, count, shape.value_block_bytes(),
            this->head(page, layer, head) + shape.key_bytes()};
}

}  // namespace glassmill::model
