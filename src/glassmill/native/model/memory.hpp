// Memory for weights and caches: aligned, and in huge pages where the system has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace glassmill::model {

// `size` bytes, not initialised.
class Memory {
public:
    Memory() = default;
    explicit Memory(std::size_t size) : size_(size) {
        const std::size_t step = size >= kHuge ? kHuge : 64;
        data_ = static_cast<std::uint8_t*>(::operator new ((size + step - 1) / step * step, std::align_val_t{step}));
        alignment_ = step;
#ifdef __linux__
        if (step == kHuge) madvise(data_, (size + step - 1) / step * step, MADV_HUGEPAGE);
#endif
    }
    Memory(Memory&& other) noexcept { swap(other); }
    Memory& operator=(Memory&& other) noexcept { return swap(other), *this; }
    ~Memory() {
        if (data_) ::operator delete (data_, std::align_val_t{alignment_});
    }

    std::uint8_t* data() const { return data_; }
    std::size_t size() const { return size_; }

private:
    static constexpr std::size_t kHuge = std::size_t{2} << 20;

    void swap(Memory& other) {
        std::swap(data_, other.data_), std::swap(size_, other.size_), std::swap(alignment_, other.alignment_);
    }

    std::uint8_t* data_ = nullptr;
    std::size_t size_ = 0, alignment_ = 64;
};

}  // namespace glassmill::model
