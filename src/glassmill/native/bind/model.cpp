#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <vector>

#include "bind/python.hpp"
#include "model/formats.hpp"
#include "model/memory.hpp"
#include "model/products.hpp"

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
        for (std::size_t row = 0; row < matrix_.rows; ++row) model::unpack_row(matrix_, row, data + row * matrix_.columns);
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

}  // namespace

void bind_model(nb::module_& module) {
    nb::class_<PackedMatrix>(module, "PackedMatrix")
        .def(nb::init<const Array&, const std::string&, const std::string&>(), "array"_a, "stored"_a, "format"_a)
        .def_prop_ro("num_bytes", &PackedMatrix::num_bytes)
        .def("unpacked", &PackedMatrix::unpacked)
        .def("multiply", &PackedMatrix::multiply, "x"_a);
}

}  // namespace glassmill
