#include "model/cache.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace glassmill::model {
namespace {

constexpr std::size_t kKept = 8;  // pages that nobody uses

std::size_t pages_of(std::size_t positions) { return (positions + kPage - 1) / kPage; }

std::uint16_t to_bf16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

}  // namespace

Cache::Page Cache::new_page() {
    Page page;
    if (free_.empty()) {
        page = std::make_shared<Memory>(shape_.page_bytes());
        std::memset(page->data(), 0, page->size());  // what lies behind a row's end is multiplied by 0, so no NaN
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
