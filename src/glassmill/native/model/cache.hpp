// The KV cache: rows of pages, each with 64 positions of every layer. Forks share pages until one of them writes.
//
// Keys lie as a matrix whose rows are positions, values as one whose columns are, both packed as formats.hpp says: so
// scores and mixed values are products like any other. Memory grows a page at a time; pages that no row uses any more
// are kept for the next row: as many as are in use, or a few.
//
// In 8 bits a key has a scale for every 32 channels, as q8_0 has. A value has one of its own, because a group of 32
// columns would be 32 positions, of which the later ones are not known yet: the matrix holds integers with the scale 1,
// and whoever multiplies by it first multiplies the weight of every position by `value_scales`.
#pragma once

#include <memory>
#include <vector>

#include "model/formats.hpp"
#include "model/memory.hpp"

namespace glassmill::model {

constexpr std::size_t kPage = 64;  // positions

struct CacheShape {
    Format format;  // f32, bf16, or q8_0 where head_dim is a multiple of 32
    std::size_t layers, kv_heads, head_dim;

    std::size_t key_block_bytes() const { return layout(format).block_bytes(head_dim); }
    std::size_t value_block_bytes() const { return layout(format).block_bytes(kPage); }
    std::size_t key_bytes() const { return kPage / kBlockRows * key_block_bytes(); }  // of a head in a page
    std::size_t scales_at() const {
        return key_bytes() + (head_dim + kBlockRows - 1) / kBlockRows * value_block_bytes();
    }
    std::size_t head_bytes() const { return scales_at() + (in_8_bits() ? kPage * sizeof(float) : 0); }
    bool in_8_bits() const { return format == Format::q8_0; }
    std::size_t page_bytes() const { return layers * kv_heads * head_bytes(); }
};

class Row;

class Cache {
public:
    explicit Cache(const CacheShape& shape) : shape_(shape) {}

    const CacheShape& shape() const { return shape_; }
    // Of all pages, those in store too.
    std::size_t bytes() const { return (in_use_ + free_.size()) * shape_.page_bytes(); }

private:
    friend class Row;
    using Page = std::shared_ptr<Memory>;

    Page new_page();
    void give_back(Page& page);

    CacheShape shape_;
    std::vector<Page> free_;
    std::size_t in_use_ = 0;
};

class Row {
public:
    explicit Row(Cache& cache) : cache_(&cache) {}
    Row(Row&&) = default;
    Row& operator=(Row&&) = delete;
    ~Row() { cut(0); }

    std::size_t length() const { return length_; }
    void truncate(std::size_t length);
    // `to` is empty and of the same cache.
    void copy_to(Row& to, std::size_t length) const;
    // Pages of its own for `more` positions. If it throws, the row is as it was.
    void reserve(std::size_t more);
    void grow(std::size_t more) { length_ += more; }

    // Stores the key and the value of a head at a position for which pages are reserved.
    void write(std::size_t layer, std::size_t head, std::size_t position, const float* key, const float* value);
    // Keys of the first `count` positions of a page, and the values that belong to them.
    Matrix keys(std::size_t page, std::size_t layer, std::size_t head, std::size_t count) const;
    Matrix values(std::size_t page, std::size_t layer, std::size_t head, std::size_t count) const;
    // In 8 bits, what each of a page's values is to be multiplied by; else nullptr.
    const float* value_scales(std::size_t page, std::size_t layer, std::size_t head) const;

private:
    void write_8_bits(std::uint8_t* head, std::size_t place, const float* key, const float* value);
    std::uint8_t* head(std::size_t page, std::size_t layer, std::size_t head) const;
    void cut(std::size_t pages);

    Cache* cache_;
    std::vector<std::shared_ptr<Memory>> pages_;
    std::size_t length_ = 0;
};

}  // namespace glassmill::model
