#include <nanobind/stl/string.h>

#include <optional>

#include "base/pool.hpp"
#include "bind/python.hpp"
#include "bpe/train.hpp"

namespace glassmill {
namespace {

using namespace nb::literals;

constexpr std::size_t kPart = 1u << 18;   // characters that a thread takes at a time
constexpr std::size_t kChunk = 1u << 22;  // bytes of documents in memory at a time, per thread

class Trainer {
public:
    Trainer(Rules rules, TieBreak tie_break, unsigned threads)
        : tie_break_(tie_break), part_(rules.scheme == Scheme::none ? SIZE_MAX : kPart),
          scratch_(num_threads(threads)) {
        counters_.assign(scratch_.size(), Counter(rules));
    }
    Trainer(const Trainer&) = delete;

    // Counts documents while Python produces the next ones.
    void add(nb::iterable documents) {
        Use use(*this);
        nb::list chunk;
        std::vector<Text> parts;
        std::size_t bytes = 0;
        const auto submit = [&] {
            use.count(std::move(chunk), std::move(parts));
            chunk = nb::list(), parts = {}, bytes = 0;
        };
        for (nb::handle document : documents) {
            const Text text = text_of(document);
            chunk.append(document);
            append_parts(text, part_, parts);
            bytes += text.bytes();
            if (bytes >= kChunk * counters_.size()) submit();
        }
        if (!parts.empty()) submit();
        use.finish();
    }

    void add_pieces(nb::bytes text, nb::handle ends) {
        const Use use(*this);
        const Integers places(ends, NPY_UINT64);
        std::uint64_t start = 0;
        for (std::size_t i = 0; i < places.size; ++i) {
            const std::uint64_t end = places.as<std::uint64_t>()[i];
            if (end < start || end > text.size())
                throw nb::value_error("ends of pieces must be ascending and within the text");
            counters_[0].add(reinterpret_cast<const Byte*>(text.c_str()) + start, end - start, 1);
            start = end;
        }
        counters_[0].bytes += text.size(), counters_[0].pieces += places.size;
    }

    nb::tuple train(std::size_t num_symbols, nb::handle progress) {
        const Use use(*this);
        gather();
        if (num_symbols < 256) throw nb::value_error("a byte-level vocabulary has at least 256 symbols");
        std::vector<Merge> merges;
        {
            const nb::gil_scoped_release free;
            merges = merge_pairs(counters_[0], num_symbols - 256, tie_break_, [&](std::size_t done) {
                const nb::gil_scoped_acquire held;
                if (PyErr_CheckSignals() != 0) nb::raise_python_error();
                if (!progress.is_none()) progress(done);
                return true;
            });
        }
        std::uint32_t* pairs;
        std::uint64_t* counts;
        nb::object pair_array = new_array(2 * merges.size(), pairs), count_array = new_array(merges.size(), counts);
        for (const Merge& merge : merges) *pairs++ = merge.left, *pairs++ = merge.right, *counts++ = merge.count;
        return nb::make_tuple(pair_array.attr("reshape")(-1, 2), count_array);
    }

    nb::dict stats() {
        const Use use(*this);
        gather();
        nb::dict numbers;
        numbers["bytes"] = counters_[0].bytes;
        numbers["pieces"] = counters_[0].pieces;
        numbers["distinct_pieces"] = counters_[0].distinct();
        return numbers;
    }

private:
    // One call's use of the counters, and the documents that it counts in the background. Another thread must not use
    // the counters meanwhile, nor a forked process at any time after: there they stay half updated.
    class Use {
    public:
        explicit Use(Trainer& trainer) : trainer_(trainer) {
            if (trainer.in_use_)
                throw std::runtime_error("this trainer is in use, by another thread or since before a fork");
            trainer.in_use_ = true;
        }
        Use(const Use&) = delete;
        ~Use() {
            const bool lost = counting_ && counting_->lost();
            wait([&] { counting_.reset(); });
            trainer_.in_use_ = lost;
        }

        // `documents` own the memory of `parts`.
        void count(nb::list documents, std::vector<Text> parts) {
            finish();
            documents_ = std::move(documents);
            parts_ = std::move(parts);
            counting_.emplace(parts_.size(), static_cast<unsigned>(trainer_.counters_.size()),
                              [this](unsigned thread, std::size_t i) {
                                  trainer_.counters_[thread].count(to_utf8(parts_[i], trainer_.scratch_[thread]));
                              });
        }

        void finish() {
            if (!counting_) return;
            wait([&] { counting_->finish(); });
            counting_.reset();
        }

    private:
        template <class Wait>
        static void wait(Wait&& wait) {
            const nb::gil_scoped_release free;
            wait();
        }

        Trainer& trainer_;
        nb::list documents_;
        std::vector<Text> parts_;
        std::optional<Task> counting_;
    };

    void gather() {
        const nb::gil_scoped_release free;
        for (std::size_t i = 1; i < counters_.size(); ++i) {
            counters_[0].add_all(counters_[i]);
            counters_[i] = counters_[i].emptied();
        }
    }

    TieBreak tie_break_;
    std::size_t part_;
    bool in_use_ = false;  // guarded by the GIL
    std::vector<Counter> counters_;
    std::vector<Buffer<Byte>> scratch_;
};

}  // namespace

void bind_trainer(nb::module_& module) {
    nb::class_<Trainer>(module, "Trainer")
        .def(
            "__init__",
            [](Trainer* self, const std::string& scheme, unsigned digits, const std::string& tie_break,
               unsigned threads) {
                if (tie_break != "bytes" && tie_break != "hf") {
                    throw nb::value_error(("tie_break must be 'bytes' or 'hf', not '" + tie_break + "'").c_str());
                }
                new (self)
                    Trainer(make_rules(scheme, digits), tie_break == "hf" ? TieBreak::hf : TieBreak::bytes, threads);
            },
            "scheme"_a = "llama3", "digits"_a = 3, "tie_break"_a = "bytes", "threads"_a = 0)
        .def("add", &Trainer::add, "documents"_a)
        .def("add_pieces", &Trainer::add_pieces, "text"_a, "ends"_a)
        .def("train", &Trainer::train, "num_symbols"_a, "progress"_a = nb::none())
        .def("stats", &Trainer::stats);
}

}  // namespace glassmill
