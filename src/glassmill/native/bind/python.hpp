// Conversions between Python's objects and plain memory.
#pragma once

#define PY_ARRAY_UNIQUE_SYMBOL glassmill_numpy
#define NPY_NO_DEPRECATED_API NPY_1_23_API_VERSION
#define NPY_TARGET_VERSION NPY_1_23_API_VERSION
#ifndef GLASSMILL_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <nanobind/nanobind.h>
#include <numpy/arrayobject.h>

#include <string>

#include "base/text.hpp"
#include "bpe/split.hpp"

namespace glassmill {

namespace nb = nanobind;

// A str, or bytes that are read as UTF-8 whatever they contain. Valid as long as the object lives.
inline Text text_of(nb::handle object) {
    PyObject* o = object.ptr();
    if (PyUnicode_Check(o)) {
        const auto length = static_cast<std::size_t>(PyUnicode_GET_LENGTH(o));
        if (PyUnicode_IS_ASCII(o)) return {PyUnicode_DATA(o), length, 0};
        return {PyUnicode_DATA(o), length, static_cast<unsigned>(PyUnicode_KIND(o))};
    }
    if (PyBytes_Check(o)) return {PyBytes_AS_STRING(o), static_cast<std::size_t>(PyBytes_GET_SIZE(o)), 0};
    throw nb::type_error(("text must be str or bytes, not " + std::string(Py_TYPE(o)->tp_name)).c_str());
}

// A new one-dimensional array; `data` points to its memory.
template <class T>
nb::object new_array(std::size_t size, T*& data) {
    constexpr int type = sizeof(T) == 1   ? NPY_UINT8
                         : sizeof(T) == 2 ? NPY_UINT16
                         : sizeof(T) == 4 ? NPY_UINT32
                                          : NPY_UINT64;
    npy_intp shape[1] = {static_cast<npy_intp>(size)};
    PyObject* array = PyArray_SimpleNew(1, shape, type);
    if (!array) nb::raise_python_error();
    data = static_cast<T*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(array)));
    return nb::steal(array);
}

template <class T>
nb::object to_array(const T* values, std::size_t size) {
    T* data;
    nb::object array = new_array(size, data);
    if (size) std::memcpy(data, values, size * sizeof(T));
    return array;
}

// Any array or sequence of integers as contiguous memory of one type; owns the array.
struct Integers {
    nb::object array;
    const void* data;
    std::size_t size;

    // `fixed` is a NumPy type: Integers(object, NPY_INT64).as<std::int64_t>()
    Integers(nb::handle object, int fixed) {
        PyObject* converted = PyArray_FROMANY(object.ptr(), fixed, 1, 1, NPY_ARRAY_IN_ARRAY);
        if (!converted) nb::raise_python_error();
        array = nb::steal(converted);
        data = PyArray_DATA(reinterpret_cast<PyArrayObject*>(converted));
        size = static_cast<std::size_t>(PyArray_SIZE(reinterpret_cast<PyArrayObject*>(converted)));
    }

    template <class T>
    const T* as() const {
        return static_cast<const T*>(data);
    }
};

Rules make_rules(const std::string& scheme, unsigned digits);

void bind_encoder(nb::module_& module);
void bind_train(nb::module_& module);
void bind_trainer(nb::module_& module);
void bind_html(nb::module_& module);
void bind_words(nb::module_& module);
void bind_dedup(nb::module_& module);
void bind_language(nb::module_& module);
void bind_model(nb::module_& module);
void bind_formats(nb::module_& module);
void bind_trace(nb::module_& module);

}  // namespace glassmill
