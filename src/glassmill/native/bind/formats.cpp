// GGUF's blocks <-> weights, over the threads of the core.
#include <algorithm>

#include "base/pool.hpp"
#include "bind/python.hpp"
#include "gguf/blocks.hpp"

namespace glassmill {
namespace {

using namespace nb::literals;

constexpr std::size_t kBlocksAtOnce = 2048;

// The memory of a contiguous array of floats or bytes.
struct Plain {
    nb::object array;
    std::size_t size;
    void* data;

    Plain(nb::handle object, int type) : array(nb::borrow(object)) {
        PyObject* o = object.ptr();
        auto* a = reinterpret_cast<PyArrayObject*>(o);
        if (!PyArray_Check(o) || PyArray_TYPE(a) != type || !PyArray_IS_C_CONTIGUOUS(a)) {
            throw nb::type_error("a contiguous array of another type is wanted");
        }
        size = static_cast<std::size_t>(PyArray_SIZE(a));
        data = PyArray_DATA(a);
    }
};

int known_place(int number) {
    const int place = gguf::place_of(number);
    if (place < 0) throw nb::value_error("no such block format");
    return place;
}

// Calls work(first block, number of blocks) on the threads of the core, without Python's lock.
template <class Work>
void over_blocks(std::size_t num_blocks, const Work& work) {
    nb::gil_scoped_release unlocked;
    parallel((num_blocks + kBlocksAtOnce - 1) / kBlocksAtOnce, num_threads(0), [&](unsigned, std::size_t item) {
        const std::size_t first = item * kBlocksAtOnce;
        work(first, std::min(kBlocksAtOnce, num_blocks - first));
    });
}

void dequantize_blocks(nb::handle blocks, int number, nb::handle values) {
    const int place = known_place(number);
    const gguf::Layout& at = gguf::kLayouts[place];
    const Plain from(blocks, NPY_UINT8), to(values, NPY_FLOAT32);
    if (from.size % at.block_bytes || from.size / at.block_bytes * at.block != to.size) {
        throw nb::value_error("blocks and values have other sizes");
    }
    over_blocks(from.size / at.block_bytes, [&](std::size_t first, std::size_t count) {
        gguf::dequantize(place, {static_cast<const std::uint8_t*>(from.data) + first * at.block_bytes, count},
                         static_cast<float*>(to.data) + first * at.block);
    });
}

void quantize_weights(nb::handle values, nb::handle importance, int number, nb::handle blocks) {
    const int place = known_place(number);
    if (!gguf::writable(place)) throw nb::value_error("blocks of this format are not written");
    const gguf::Layout& at = gguf::kLayouts[place];
    const Plain from(values, NPY_FLOAT32), counts(importance, NPY_FLOAT32), to(blocks, NPY_UINT8);
    if (from.size % at.block || from.size / at.block * at.block_bytes != to.size || counts.size != from.size) {
        throw nb::value_error("blocks and values have other sizes");
    }
    over_blocks(from.size / at.block, [&](std::size_t first, std::size_t count) {
        const std::size_t skipped = first * at.block;
        gguf::quantize(
            place,
            {static_cast<const float*>(from.data) + skipped, static_cast<const float*>(counts.data) + skipped, count},
            static_cast<std::uint8_t*>(to.data) + first * at.block_bytes);
    });
}

}  // namespace

void bind_formats(nb::module_& module) {
    module.def("dequantize", &dequantize_blocks, "blocks"_a, "number"_a, "values"_a);
    module.def("quantize", &quantize_weights, "values"_a, "importance"_a, "number"_a, "blocks"_a);
}

}  // namespace glassmill
