#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bind/python.hpp"
#include "dedup/minhash.hpp"

namespace glassmill {
namespace {

using namespace nb::literals;

// Keys of texts under one family of hash functions; for one thread at a time.
class MinHasher {
public:
    MinHasher(nb::handle multipliers, nb::handle summands, std::size_t bands, std::size_t ngram,
              std::function<dedup::Page(std::uint32_t)> read_page)
        : folding_(std::move(read_page)), hasher_(family(multipliers, summands, bands, ngram)) {}

    // None if the words cannot be found character by character; then the caller passes them to `keys_of_words`.
    nb::object keys(nb::str text, bool near) {
        const auto words = folding_.words(text_of(text), scratch_);
        return words ? array(*words, near) : nb::none();
    }

    nb::object keys_of_words(nb::bytes words, bool near) {
        scratch_.clear();
        std::memcpy(scratch_.room(words.size() + 16), words.data(), words.size());
        return array({reinterpret_cast<const char*>(scratch_.data()), words.size()}, near);
    }

private:
    static dedup::Family family(nb::handle multipliers, nb::handle summands, std::size_t bands, std::size_t ngram) {
        const Integers a(multipliers, NPY_UINT64), b(summands, NPY_UINT64);
        if (bands == 0 || a.size % bands)
            throw nb::value_error("the number of hash functions must be a multiple of the number of bands");
        return {{a.as<std::uint64_t>(), a.as<std::uint64_t>() + a.size},
                {b.as<std::uint64_t>(), b.as<std::uint64_t>() + b.size},
                bands,
                a.size / bands,
                ngram};
    }

    nb::object array(std::string_view words, bool near) {
        const std::vector<std::uint64_t> keys = hasher_.keys(words, near);
        return to_array(keys.data(), keys.size());
    }

    dedup::Folding folding_;
    dedup::Hasher hasher_;
    Buffer<Byte> scratch_;
};

}  // namespace

void bind_dedup(nb::module_& module) {
    nb::class_<MinHasher>(module, "MinHasher")
        .def(nb::init<nb::handle, nb::handle, std::size_t, std::size_t, std::function<dedup::Page(std::uint32_t)>>(),
             "multipliers"_a, "summands"_a, "bands"_a, "ngram"_a, "read_page"_a)
        .def("keys", &MinHasher::keys, "text"_a, "near"_a = true)
        .def("keys_of_words", &MinHasher::keys_of_words, "words"_a, "near"_a = true);
}

}  // namespace glassmill
