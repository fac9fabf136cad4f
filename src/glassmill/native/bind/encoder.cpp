#include <nanobind/stl/string.h>

#include <cstring>

#include "base/pool.hpp"
#include "bind/python.hpp"
#include "bpe/encode.hpp"

namespace glassmill {
namespace {

using namespace nb::literals;

constexpr std::size_t kKeepLock = 1u << 14;  // shorter texts take less time than handing over the GIL
constexpr std::size_t kPart = 1u << 20;      // characters of a long text that are encoded at a time

// Holds a workspace and gives it back.
class Borrowed {
public:
    explicit Borrowed(Encoder& encoder) : encoder_(encoder), work_(encoder.take()) { work_->ids.clear(); }
    ~Borrowed() { encoder_.give(std::move(work_)); }
    Borrowed(const Borrowed&) = delete;
    Workspace* operator->() { return work_.get(); }
    Workspace& operator*() { return *work_; }

private:
    Encoder& encoder_;
    std::unique_ptr<Workspace> work_;
};

void load(Encoder& encoder, nb::dict ranks, nb::dict special, nb::handle merges) {
    Vocabulary& vocabulary = encoder.vocabulary;
    const auto id_of = [](nb::handle value) {
        const long long id = PyLong_AsLongLong(value.ptr());
        if (id == -1 && PyErr_Occurred()) nb::raise_python_error();
        if (id < 0) throw nb::value_error("ids must not be negative");
        return static_cast<Id>(std::min<long long>(id, kNoId));
    };
    for (const auto& [symbol, id] : ranks) {
        if (!PyBytes_Check(symbol.ptr())) throw nb::type_error("ranks must map bytes to ids");
        const Text text = text_of(symbol);
        vocabulary.add(static_cast<const Byte*>(text.data), text.length, id_of(id), true);
    }
    for (const auto& [name, id] : special) {
        Buffer<Byte> scratch;
        const Utf8 text = to_utf8(text_of(name), scratch);
        vocabulary.add(text.data, text.size, id_of(id), false);
    }
    if (merges.is_none()) {
        vocabulary.index(ranks.size());
        vocabulary.add_all_merges();
        return;
    }
    const Integers flat(merges, NPY_INT64);  // left, right, made, left, ...
    vocabulary.index(flat.size / 3);
    for (std::size_t i = 0; i + 2 < flat.size; i += 3) {
        const std::int64_t* merge = flat.as<std::int64_t>() + i;
        for (int part = 0; part < 3; ++part) {
            if (merge[part] < 0 || merge[part] > kNoId || !vocabulary.knows(static_cast<Id>(merge[part]))) {
                throw nb::value_error("a merge refers to an id that is not in the vocabulary");
            }
        }
        vocabulary.add_merge(static_cast<Id>(merge[0]), static_cast<Id>(merge[1]), static_cast<Id>(merge[2]),
                             static_cast<std::uint32_t>(i / 3));
    }
}

void encode_parts(const Encoder& encoder, const Text& text, Workspace& work) {
    const bool whole = text.width == 0 || text.length <= kPart || encoder.rules().scheme == Scheme::none;
    if (whole) return encoder.encode(to_utf8(text, work.scratch), work);
    std::vector<Text> parts;
    append_parts(text, kPart, parts);
    for (const Text& part : parts) encoder.encode(to_utf8(part, work.scratch), work);
}

nb::object encode(Encoder& encoder, nb::handle object) {
    const Text text = text_of(object);
    Borrowed work(encoder);
    if (text.length < kKeepLock) {
        encoder.encode(to_utf8(text, work->scratch), *work);
    } else {
        const nb::gil_scoped_release free;
        encode_parts(encoder, text, *work);
    }
    return to_array(work->ids.data(), work->ids.size());
}

nb::object encode_pieces(Encoder& encoder, nb::bytes text, nb::handle ends) {
    const Integers places(ends, NPY_UINT64);
    std::uint64_t last = 0;
    for (std::size_t i = 0; i < places.size; ++i) {
        const std::uint64_t end = places.as<std::uint64_t>()[i];
        if (end < last || end > text.size())
            throw nb::value_error("ends of pieces must be ascending and within the text");
        last = end;
    }
    Borrowed work(encoder);
    encoder.encode_pieces({reinterpret_cast<const Byte*>(text.c_str()), text.size()}, places.as<std::uint64_t>(),
                          places.size, *work);
    return to_array(work->ids.data(), work->ids.size());
}

// Where a text's ids are: in the output of which thread, from which place, how many.
struct Piece {
    unsigned thread;
    std::size_t begin, count;
};

struct Batch {
    std::vector<Piece> pieces;
    std::vector<std::unique_ptr<Workspace>> works;

    const Id* ids(std::size_t i) const { return works[pieces[i].thread]->ids.data() + pieces[i].begin; }
};

Batch encode_all(Encoder& encoder, const std::vector<Text>& texts, unsigned threads) {
    Batch batch{std::vector<Piece>(texts.size()), {}};
    for (unsigned i = 0; i < threads; ++i) {
        batch.works.push_back(encoder.take());
        batch.works.back()->ids.clear();
    }
    const nb::gil_scoped_release free;
    parallel(texts.size(), threads, [&](unsigned thread, std::size_t i) {
        Workspace& work = *batch.works[thread];
        const std::size_t begin = work.ids.size();
        encode_parts(encoder, texts[i], work);
        batch.pieces[i] = {thread, begin, work.ids.size() - begin};
    });
    return batch;
}

std::vector<Text> texts_of(nb::sequence texts) {
    std::vector<Text> all;
    for (nb::handle text : texts) all.push_back(text_of(text));
    return all;
}

unsigned useful_threads(unsigned wanted, const std::vector<Text>& texts) {
    std::size_t total = 0;
    for (const Text& text : texts) total += text.length;
    return static_cast<unsigned>(std::min<std::size_t>(num_threads(wanted), total / 20'000 + 1));
}

nb::list encode_batch(Encoder& encoder, nb::sequence objects, unsigned threads) {
    const nb::object held = nb::steal(PySequence_Tuple(objects.ptr()));  // the texts must outlive the work
    const std::vector<Text> texts = texts_of(nb::borrow<nb::sequence>(held));
    Batch batch = encode_all(encoder, texts, useful_threads(threads, texts));
    nb::list arrays;
    for (std::size_t i = 0; i < texts.size(); ++i) arrays.append(to_array(batch.ids(i), batch.pieces[i].count));
    for (auto& work : batch.works) encoder.give(std::move(work));
    return arrays;
}

template <class T>
nb::object flatten(const Batch& batch, std::size_t total, Id end_id) {
    T* out;
    nb::object array = new_array(total, out);
    const nb::gil_scoped_release free;
    for (std::size_t i = 0; i < batch.pieces.size(); ++i) {
        const Id* ids = batch.ids(i);
        for (std::size_t k = 0; k < batch.pieces[i].count; ++k) *out++ = static_cast<T>(ids[k]);
        if (end_id != kNoId) *out++ = static_cast<T>(end_id);
    }
    return array;
}

nb::tuple encode_flat(Encoder& encoder, nb::sequence objects, unsigned threads, bool wide, nb::handle end_id) {
    const Id end = end_id.is_none() ? kNoId : nb::cast<Id>(end_id);
    if (!wide && (encoder.vocabulary.size() > 65536 || (end != kNoId && end > 65535))) {
        throw nb::value_error("ids of this vocabulary do not fit 16 bits");
    }
    const nb::object held = nb::steal(PySequence_Tuple(objects.ptr()));
    const std::vector<Text> texts = texts_of(nb::borrow<nb::sequence>(held));
    Batch batch = encode_all(encoder, texts, useful_threads(threads, texts));
    std::uint64_t* ends;
    nb::object end_array = new_array(texts.size(), ends);
    std::size_t total = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        total += batch.pieces[i].count + (end != kNoId);
        ends[i] = total;
    }
    nb::object ids = wide ? flatten<std::uint32_t>(batch, total, end) : flatten<std::uint16_t>(batch, total, end);
    for (auto& work : batch.works) encoder.give(std::move(work));
    return nb::make_tuple(ids, end_array);
}

[[noreturn]] void unknown(long long id, const Vocabulary& vocabulary) {
    throw nb::value_error(
        ("token id " + std::to_string(id) + " is not in the vocabulary of " + std::to_string(vocabulary.size()))
            .c_str());
}

template <class T>
void append_bytes(const Vocabulary& vocabulary, const T* ids, std::size_t count, Buffer<Byte>& out) {
    for (std::size_t i = 0; i < count; ++i) {
        const auto id = static_cast<std::int64_t>(ids[i]);
        if (id < 0 || id >= static_cast<std::int64_t>(vocabulary.size()) || !vocabulary.knows(static_cast<Id>(id))) {
            unknown(id, vocabulary);
        }
        const std::uint32_t length = vocabulary.length(static_cast<Id>(id));
        Byte* end = out.room(length);
        std::memcpy(end, vocabulary.bytes(static_cast<Id>(id)), length);
        out.set_end(end + length);
    }
}

void join(const Vocabulary& vocabulary, nb::handle ids, Buffer<Byte>& out) {
    PyObject* object = ids.ptr();
    if (PyArray_Check(object)) {
        auto* array = reinterpret_cast<PyArrayObject*>(object);
        const bool plain = PyArray_NDIM(array) == 1 && PyArray_IS_C_CONTIGUOUS(array) && PyArray_ISNOTSWAPPED(array);
        const auto size = static_cast<std::size_t>(PyArray_SIZE(array));
        const int type = PyArray_TYPE(array);
        if (plain && type == NPY_UINT32)
            return append_bytes(vocabulary, static_cast<const std::uint32_t*>(PyArray_DATA(array)), size, out);
        if (plain && type == NPY_UINT16)
            return append_bytes(vocabulary, static_cast<const std::uint16_t*>(PyArray_DATA(array)), size, out);
    }
    const Integers values(PySequence_Check(object) ? nb::borrow(ids) : nb::steal(PySequence_List(object)), NPY_INT64);
    append_bytes(vocabulary, values.as<std::int64_t>(), values.size, out);
}

nb::bytes decode_bytes(const Encoder& encoder, nb::handle ids) {
    Buffer<Byte> out;
    join(encoder.vocabulary, ids, out);
    return nb::bytes(reinterpret_cast<const char*>(out.data()), out.size());
}

nb::object to_str(PyObject* text) {
    if (!text) nb::raise_python_error();
    return nb::steal(text);
}

nb::object decode_text(const Encoder& encoder, nb::handle ids) {
    Buffer<Byte> out;
    join(encoder.vocabulary, ids, out);
    return to_str(PyUnicode_DecodeUTF8(reinterpret_cast<const char*>(out.data()), static_cast<Py_ssize_t>(out.size()),
                                       "replace"));
}

nb::bytes token_bytes(const Encoder& encoder, long long id) {
    const Vocabulary& vocabulary = encoder.vocabulary;
    if (id < 0 || id >= static_cast<long long>(vocabulary.size()) || !vocabulary.knows(static_cast<Id>(id)))
        unknown(id, vocabulary);
    return nb::bytes(reinterpret_cast<const char*>(vocabulary.bytes(static_cast<Id>(id))),
                     vocabulary.length(static_cast<Id>(id)));
}

}  // namespace

void bind_encoder(nb::module_& module) {
    nb::class_<Encoder>(module, "Encoder")
        .def(
            "__init__",
            [](Encoder* self, nb::dict ranks, const std::string& scheme, unsigned digits, nb::dict special,
               nb::handle merges, bool whole_symbols, unsigned cache_bits) {
                if (cache_bits > 24) throw nb::value_error("cache_bits must be at most 24");
                new (self) Encoder(make_rules(scheme, digits), whole_symbols, cache_bits);
                try {
                    load(*self, ranks, special, merges);
                } catch (...) {
                    self->~Encoder();
                    throw;
                }
            },
            "ranks"_a, "scheme"_a, "digits"_a = 3, "special"_a = nb::dict(), "merges"_a = nb::none(),
            "whole_symbols"_a = true, "cache_bits"_a = 19)
        .def("encode", &encode, "text"_a)
        .def("encode_pieces", &encode_pieces, "text"_a, "ends"_a)
        .def("encode_batch", &encode_batch, "texts"_a, "threads"_a = 0)
        .def("encode_flat", &encode_flat, "texts"_a, "threads"_a = 0, "wide"_a = true, "end_id"_a = nb::none())
        .def("decode_bytes", &decode_bytes, "ids"_a)
        .def("decode", &decode_text, "ids"_a)
        .def("token_bytes", &token_bytes, "id"_a)
        .def_prop_ro("vocab_size", [](const Encoder& encoder) { return encoder.vocabulary.size(); });
}

}  // namespace glassmill
