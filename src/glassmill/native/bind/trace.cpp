#include <nanobind/stl/vector.h>

#include <algorithm>
#include <variant>

#include "base/pool.hpp"
#include "bind/python.hpp"
#include "trace/suffixes.hpp"

namespace glassmill {
namespace {

using namespace nb::literals;

bool is_narrow(nb::handle array) {
    return PyArray_Check(array.ptr()) && PyArray_TYPE(reinterpret_cast<PyArrayObject*>(array.ptr())) == NPY_UINT16;
}

// Numbers of 4 bytes; the first three quarters of their bytes are the positions.
nb::object sort_suffixes(nb::handle ids, std::size_t alphabet) {
    const bool narrow = is_narrow(ids);
    const Integers text(ids, narrow ? NPY_UINT16 : NPY_UINT32);
    std::uint32_t* room;
    nb::object order = new_array(text.size, room);
    const nb::gil_scoped_release release;
    auto* const positions = reinterpret_cast<std::int32_t*>(room);
    if (narrow) {
        trace::sort_suffixes(text.as<std::uint16_t>(), text.size, alphabet, positions);
    } else {
        trace::sort_suffixes(text.as<std::uint32_t>(), text.size, alphabet, positions);
    }
    return order;
}

// Sorted parts, searched as one.
class Suffixes {
public:
    Suffixes(const std::vector<std::pair<nb::object, nb::object>>& parts, unsigned threads) : threads_(threads) {
        for (const auto& [ids, positions] : parts) {
            const bool narrow = is_narrow(ids);
            Integers text(ids, narrow ? NPY_UINT16 : NPY_UINT32), sorted(positions, NPY_UINT8);
            if (sorted.size != trace::kPositionBytes * text.size || text.size > trace::kMostIds)
                throw nb::value_error("a part has other numbers of ids and positions");
            if (narrow) {
                parts_.emplace_back(trace::Part<std::uint16_t>(text.as<std::uint16_t>(), sorted.as<Byte>(), text.size));
            } else {
                parts_.emplace_back(trace::Part<std::uint32_t>(text.as<std::uint32_t>(), sorted.as<Byte>(), text.size));
            }
            arrays_.push_back(std::move(text.array));
            arrays_.push_back(std::move(sorted.array));
        }
    }

    // For each id of the query, how many ids from it on occur in some part.
    nb::object longest(nb::handle query) const {
        const Integers ids(query, NPY_UINT32);
        std::uint64_t* found;
        nb::object array = new_array(ids.size, found);
        const nb::gil_scoped_release release;
        parallel(ids.size, threads_, [&](unsigned, std::size_t start) {
            found[start] = 0;
            for (const auto& part : parts_) {
                const auto search = [&](const auto& one) {
                    return one.longest(ids.as<std::uint32_t>() + start, ids.size - start);
                };
                found[start] = std::max<std::uint64_t>(found[start], std::visit(search, part));
            }
        });
        return array;
    }

    // The first and one after the last rank, in each part, of the suffixes that start with the query.
    nb::object find(nb::handle query) const {
        const Integers ids(query, NPY_UINT32);
        std::uint64_t* found;
        nb::object array = new_array(2 * parts_.size(), found);
        const nb::gil_scoped_release release;
        for (const auto& part : parts_) {
            const auto search = [&](const auto& one) { return one.find(ids.as<std::uint32_t>(), ids.size); };
            const trace::Range range = std::visit(search, part);
            *found++ = range.first;
            *found++ = range.last;
        }
        return array;
    }

private:
    std::vector<std::variant<trace::Part<std::uint16_t>, trace::Part<std::uint32_t>>> parts_;
    std::vector<nb::object> arrays_;  // whose memory the parts read
    unsigned threads_;
};

}  // namespace

void bind_trace(nb::module_& module) {
    module.attr("MOST_SUFFIXES") = trace::kMostIds;
    module.def("sort_suffixes", &sort_suffixes, "ids"_a, "alphabet"_a);
    nb::class_<Suffixes>(module, "Suffixes")
        .def(
            "__init__",
            [](Suffixes* self, const nb::list& parts, unsigned threads) {
                std::vector<std::pair<nb::object, nb::object>> pairs;
                for (nb::handle part : parts) pairs.emplace_back(nb::borrow(part[0]), nb::borrow(part[1]));
                new (self) Suffixes(pairs, threads);
            },
            "parts"_a, "threads"_a = 1)
        .def("longest", &Suffixes::longest, "query"_a)
        .def("find", &Suffixes::find, "query"_a);
}

}  // namespace glassmill
