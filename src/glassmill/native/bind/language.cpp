#include <nanobind/stl/string.h>

#include <cmath>
#include <memory>

#include "bind/python.hpp"
#include "language/language.hpp"

namespace glassmill {
namespace {

using namespace nb::literals;

template <class T>
std::vector<T> numbers(nb::handle object, int type) {
    const Integers array(object, type);
    return {array.as<T>(), array.as<T>() + array.size};
}

// Labels of lines; for one thread at a time.
class LanguageModel {
public:
    LanguageModel(nb::handle rows, nb::dict words, nb::handle buckets, nb::handle bucket_rows,
                  std::uint32_t num_buckets, std::size_t shortest, std::size_t longest, nb::handle questions,
                  nb::handle children) {
        language::Tables tables{numbers<float>(rows, NPY_FLOAT32),
                                {},
                                numbers<std::uint32_t>(buckets, NPY_UINT32),
                                numbers<std::uint32_t>(bucket_rows, NPY_UINT32),
                                num_buckets,
                                shortest,
                                longest,
                                numbers<float>(questions, NPY_FLOAT32),
                                numbers<std::uint32_t>(children, NPY_UINT32)};
        for (const auto& [word, row] : words) {
            const auto text = nb::cast<nb::bytes>(word);
            tables.words[std::string(text.c_str(), text.size())] = nb::cast<std::uint32_t>(row);
        }
        model_ = std::make_unique<language::Model>(std::move(tables));
    }

    // Pairs of a label's number and its probability, best first.
    nb::list predict(nb::bytes line, std::size_t count) {
        nb::list guesses;
        for (const language::Guess& guess : model_->guess({line.c_str(), line.size()}, count)) {
            guesses.append(nb::make_tuple(guess.label, std::exp(guess.log_probability)));
        }
        return guesses;
    }

private:
    std::unique_ptr<language::Model> model_;
};

}  // namespace

void bind_language(nb::module_& module) {
    nb::class_<LanguageModel>(module, "LanguageModel")
        .def(nb::init<nb::handle, nb::dict, nb::handle, nb::handle, std::uint32_t, std::size_t, std::size_t, nb::handle,
                      nb::handle>(),
             "rows"_a, "words"_a, "buckets"_a, "bucket_rows"_a, "num_buckets"_a, "shortest"_a, "longest"_a,
             "questions"_a, "children"_a)
        .def("predict", &LanguageModel::predict, "line"_a, "count"_a = 1);
}

}  // namespace glassmill
