#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <unordered_map>
#include <vector>

#include "bind/python.hpp"
#include "gguf/blocks.hpp"
#include "model/decoder.hpp"

namespace glassmill {
namespace {

using namespace nb::literals;
using Array = nb::ndarray<nb::ro, nb::numpy, nb::c_contig, nb::device::cpu>;
using FloatRows = nb::ndarray<const float, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

model::Stored stored_of(const std::string& name) {
    if (name == "F32") return model::Stored::f32;
    if (name == "BF16") return model::Stored::bf16;
    if (name == "F16") return model::Stored::f16;
    throw nb::value_error(("no stored type '" + name + "'").c_str());
}

// The rows and columns of a matrix as a safetensors file holds it.
model::Source source_of(const Array& array, const std::string& stored) {
    if (const int place = gguf::place_of(stored.c_str()); place >= 0) {
        const gguf::Layout& at = gguf::kLayouts[place];
        if (array.ndim() != 2 || array.itemsize() != 1 || array.shape(1) % at.block_bytes) {
            throw nb::value_error("a matrix of blocks must be a two-dimensional array of bytes, rows of whole blocks");
        }
        const std::size_t columns = array.shape(1) / at.block_bytes * at.block;
        return {model::Stored::blocks, array.data(), array.shape(0), columns, place};
    }
    const model::Stored type = stored_of(stored);
    if (array.ndim() != 2 || array.itemsize() != (type == model::Stored::f32 ? 4 : 2)) {
        throw nb::value_error("a matrix must be a two-dimensional array of its stored type");
    }
    return {type, array.data(), array.shape(0), array.shape(1)};
}

nb::object new_floats(std::size_t rows, std::size_t columns, float*& data) {
    npy_intp shape[2] = {static_cast<npy_intp>(rows), static_cast<npy_intp>(columns)};
    PyObject* array = PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    if (!array) nb::raise_python_error();
    data = static_cast<float*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(array)));
    return nb::steal(array);
}

// One packed matrix by itself: for tests of formats and their products.
class PackedMatrix {
public:
    PackedMatrix(const Array& array, const std::string& stored, const std::string& format) {
        const model::Source source = source_of(array, stored);
        const model::Format to = model::format_of(format);
        memory_ = model::Memory(model::packed_bytes(to, source.rows, source.columns));
        matrix_ = model::pack(to, source, memory_.data(), 1);
    }

    std::size_t num_bytes() const { return memory_.size(); }

    nb::object unpacked() const {
        float* data;
        nb::object array = new_floats(matrix_.rows, matrix_.columns, data);
        for (std::size_t row = 0; row < matrix_.rows; ++row)
            model::unpack_row(matrix_, row, data + row * matrix_.columns);
        return array;
    }

    // (n, columns) -> (n, rows)
    nb::object multiply(const FloatRows& x) const {
        if (x.shape(1) != matrix_.columns) throw nb::value_error("as many columns as the matrix has");
        const model::Products& products = model::products(matrix_.format);
        const std::size_t stride = products.row_bytes(matrix_.columns);
        const model::Memory prepared(stride * x.shape(0) + 64);
        for (std::size_t row = 0; row < x.shape(0); ++row) {
            products.prepare(x.data() + row * matrix_.columns, matrix_.columns, prepared.data() + row * stride);
        }
        float* data;
        nb::object array = new_floats(x.shape(0), matrix_.rows, data);
        if (x.shape(0)) {
            products.multiply(matrix_, {prepared.data(), stride, x.shape(0)}, {0, model::num_blocks(matrix_)},
                              {data, matrix_.rows});
        }
        return array;
    }

private:
    model::Memory memory_;
    model::Matrix matrix_;
};

// A decoder and its open rows. One thread at a time; a call that computes lets other Python threads run meanwhile.
class BoundDecoder {
public:
    BoundDecoder(std::size_t vocab_size, std::size_t d_model, std::size_t layers, std::size_t heads,
                 std::size_t kv_heads, std::size_t head_dim, std::size_t d_ff, float eps, bool qk_norm, bool qkv_bias,
                 bool tied, std::vector<float> frequencies, float rotary_scale, const std::string& cache,
                 unsigned threads)
        : decoder_({vocab_size, d_model, layers, heads, kv_heads, head_dim, d_ff, eps, qk_norm, qkv_bias, tied},
                   {std::move(frequencies), rotary_scale}, model::format_of(cache), threads) {}

    void set(const std::string& name, std::size_t layer, const Array& array, const std::string& stored,
             const std::string& format) {
        const model::Source source = source_of(array, stored);
        const nb::gil_scoped_release others;
        decoder_.set(name, layer, source, model::format_of(format));
    }

    void check_complete() const { decoder_.check_complete(); }
    std::size_t cache_bytes() { return decoder_.cache().bytes(); }
    std::size_t page_bytes() { return decoder_.cache().shape().page_bytes(); }
    unsigned threads() const { return decoder_.threads(); }

    void open_row(long row) { rows_.emplace(row, decoder_.cache()); }
    void close_row(long row) { rows_.erase(row); }
    void truncate(long row, std::size_t length) { rows_.at(row).truncate(length); }
    void fork(long row, long fork, std::size_t length) {
        model::Row& to = rows_.emplace(fork, decoder_.cache()).first->second;
        rows_.at(row).copy_to(to, length);
    }

    // For every piece (row, ids, want, greedy): the array of its logits, or the tuple of its likeliest ids.
    nb::list forward(nb::sequence pieces) {
        pieces_.clear(), ids_.clear(), best_.clear();
        nb::list answers;
        std::size_t num_ids = 0, num_best = 0;
        for (const nb::handle piece : pieces) {
            num_ids += nb::len(nb::object(piece[1]));
            if (nb::cast<bool>(piece[3])) num_best += nb::cast<std::size_t>(piece[2]);
        }
        ids_.reserve(num_ids), best_.resize(num_best);
        num_best = 0;
        for (const nb::handle piece : pieces) {
            model::Piece one{&rows_.at(nb::cast<long>(piece[0])),
                             ids_.data() + ids_.size(),
                             0,
                             nb::cast<std::size_t>(piece[2]),
                             nullptr,
                             nullptr};
            for (const nb::handle id : piece[1]) ids_.push_back(checked(id));
            one.count = static_cast<std::size_t>(ids_.data() + ids_.size() - one.ids);
            if (nb::cast<bool>(piece[3])) {
                one.best = best_.data() + num_best;
                num_best += one.want;
                answers.append(nb::none());
            } else {
                answers.append(new_floats(one.want, decoder_.shape().vocab_size, one.logits));
            }
            pieces_.push_back(one);
        }
        {
            const nb::gil_scoped_release others;
            decoder_.forward(pieces_);
        }
        for (std::size_t i = 0; i < pieces_.size(); ++i) {
            if (!answers[i].is_none()) continue;
            nb::list ids;
            for (std::size_t k = 0; k < pieces_[i].want; ++k) ids.append(pieces_[i].best[k]);
            answers[i] = nb::tuple(ids);
        }
        return answers;
    }

private:
    std::uint32_t checked(nb::handle id) const {
        const auto value = nb::cast<long long>(id);
        if (value < 0 || static_cast<std::size_t>(value) >= decoder_.shape().vocab_size) {
            throw nb::index_error(("token id " + std::to_string(value) + " is out of range").c_str());
        }
        return static_cast<std::uint32_t>(value);
    }

    model::Decoder decoder_;
    std::unordered_map<long, model::Row> rows_;
    std::vector<model::Piece> pieces_;
    std::vector<std::uint32_t> ids_, best_;
};

}  // namespace

void bind_model(nb::module_& module) {
    nb::class_<PackedMatrix>(module, "PackedMatrix")
        .def(nb::init<const Array&, const std::string&, const std::string&>(), "array"_a, "stored"_a, "format"_a)
        .def_prop_ro("num_bytes", &PackedMatrix::num_bytes)
        .def("unpacked", &PackedMatrix::unpacked)
        .def("multiply", &PackedMatrix::multiply, "x"_a);
    nb::class_<BoundDecoder>(module, "Decoder")
        .def(nb::init<std::size_t, std::size_t, std::size_t, std::size_t, std::size_t, std::size_t, std::size_t, float,
                      bool, bool, bool, std::vector<float>, float, const std::string&, unsigned>(),
             "vocab_size"_a, "d_model"_a, "layers"_a, "heads"_a, "kv_heads"_a, "head_dim"_a, "d_ff"_a, "eps"_a,
             "qk_norm"_a, "qkv_bias"_a, "tied"_a, "frequencies"_a, "rotary_scale"_a, "cache"_a, "threads"_a)
        .def("set", &BoundDecoder::set, "name"_a, "layer"_a, "array"_a, "stored"_a, "format"_a)
        .def("check_complete", &BoundDecoder::check_complete)
        .def_prop_ro("cache_bytes", &BoundDecoder::cache_bytes)
        .def_prop_ro("page_bytes", &BoundDecoder::page_bytes)
        .def_prop_ro("threads", &BoundDecoder::threads)
        .def("open_row", &BoundDecoder::open_row, "row"_a)
        .def("close_row", &BoundDecoder::close_row, "row"_a)
        .def("truncate", &BoundDecoder::truncate, "row"_a, "length"_a)
        .def("fork", &BoundDecoder::fork, "row"_a, "fork"_a, "length"_a)
        .def("forward", &BoundDecoder::forward, "pieces"_a);
    module.attr("PAGE_TOKENS") = model::kPage;
}

}  // namespace glassmill
