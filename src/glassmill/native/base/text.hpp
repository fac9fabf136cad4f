// Text as Python stores it, and its UTF-8.
//
// Surrogate pairs become their character, lone surrogates U+FFFD, so that the result is always well-formed.
#pragma once

#include <vector>

#include "base/unicode.hpp"

namespace glassmill {

// A growing array whose elements are not initialised.
template <class T>
class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept { return swap(other), *this; }
    ~Buffer() { ::operator delete(data_); }

    T* data() { return data_; }
    const T* data() const { return data_; }
    std::size_t size() const { return size_; }
    std::size_t capacity() const { return capacity_; }
    T* end() { return data_ + size_; }
    void clear() { size_ = 0; }
    void set_end(T* end) { size_ = static_cast<std::size_t>(end - data_); }
    void push(T value) { *room(1) = value, ++size_; }

    // The end, with room for `more` after it.
    T* room(std::size_t more) {
        if (size_ + more > capacity_) grow(size_ + more);
        return data_ + size_;
    }

private:
    void grow(std::size_t least);
    void swap(Buffer& other) {
        std::swap(data_, other.data_), std::swap(size_, other.size_), std::swap(capacity_, other.capacity_);
    }

    T* data_ = nullptr;
    std::size_t size_ = 0, capacity_ = 0;
};

// Characters of `width` bytes each; width 0 is UTF-8 already (ASCII text, or bytes from outside).
struct Text {
    const void* data = nullptr;
    std::size_t length = 0;
    unsigned width = 0;

    std::size_t bytes() const { return length * (width ? width : 1); }
};

struct Utf8 {
    const Byte* data;
    std::size_t size;
};

// The result is in `scratch` unless the text is UTF-8 already.
Utf8 to_utf8(const Text& text, Buffer<Byte>& scratch);

// Cuts a long text into parts of about `size` >= 2 characters, after newlines that end a piece under every pattern (a
// line's end between two visible characters), so that the pieces of the parts are the pieces of the whole.
void append_parts(const Text& text, std::size_t size, std::vector<Text>& parts);

template <class T>
void Buffer<T>::grow(std::size_t least) {
    const std::size_t wanted = least > 2 * capacity_ ? least : 2 * capacity_;
    T* bigger = static_cast<T*>(::operator new(wanted * sizeof(T)));
    for (std::size_t i = 0; i < size_; ++i) bigger[i] = data_[i];
    ::operator delete(data_);
    data_ = bigger, capacity_ = wanted;
}

}  // namespace glassmill
