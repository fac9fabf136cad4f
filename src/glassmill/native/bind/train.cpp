// Kernels of the training step over tensors, which come as addresses: train/kernels.py checks types, shapes and layout.
#include "bind/python.hpp"

#ifdef __GNUC__
#include <algorithm>
#include <vector>

#include "base/pool.hpp"
#include "base/processor.hpp"
#include "train/step.hpp"

namespace glassmill {
namespace {

using namespace nb::literals;
using namespace train;

using Address = std::uintptr_t;
template <class T>
T* at(Address address) {
    return reinterpret_cast<T*>(address);
}

// Calls work(begin, end, item) for parts of `count` rows with about `values` values each, on all threads.
template <class Work>
void over(std::size_t count, std::size_t width, unsigned threads, Work work) {
    const std::size_t rows = std::max<std::size_t>(1, 16384 / std::max<std::size_t>(1, width));
    nb::gil_scoped_release released;
    parallel((count + rows - 1) / rows, threads,
             [&](unsigned, std::size_t item) { work(item * rows, std::min(count, (item + 1) * rows), item); });
}

// The same for work that adds to `width` sums, which come in the order of rows: the bits don't depend on threads.
template <class Work>
void summing(std::size_t count, std::size_t rows, std::size_t width, float* sums, unsigned threads, Work work) {
    nb::gil_scoped_release released;
    const std::size_t items = (count + rows - 1) / rows;
    std::vector<float> parts(sums ? items * width : 0);
    parallel(items, threads, [&](unsigned, std::size_t item) {
        work(item * rows, std::min(count, (item + 1) * rows), sums ? parts.data() + item * width : nullptr);
    });
    for (std::size_t i = 0; i < parts.size(); ++i) sums[i % width] += parts[i];
}

template <class X>
class StepKernels {
public:
    explicit StepKernels(unsigned threads) : kernels_(choose()), threads_(threads) {}

    void norm(Address x, Address add, Address normed, Address inverse, std::size_t M, std::size_t D, float eps) {
        over(M, D, threads_, [&](std::size_t begin, std::size_t end, std::size_t) {
            kernels_.norm(at<float>(x), at<X>(add), at<X>(normed), at<float>(inverse), D, eps, begin, end);
        });
    }
    void norm_back(Address grad, Address g, Address normed, Address inverse, Address low, std::size_t M,
                   std::size_t D) {
        over(M, D, threads_, [&](std::size_t begin, std::size_t end, std::size_t) {
            kernels_.norm_back(at<float>(grad), at<X>(g), at<X>(normed), at<float>(inverse), at<X>(low), D, begin, end);
        });
    }
    void heads(const HeadShape& shape, Address qkv, Address q, Address k, Address v, Address inverse) {
        over(shape.B * shape.T, width(shape), threads_, [&](std::size_t begin, std::size_t end, std::size_t) {
            kernels_.heads(shape, at<X>(qkv), at<X>(q), at<X>(k), at<X>(v), at<float>(inverse), begin, end);
        });
    }
    void heads_back(const HeadShape& shape, Address qkv, Address inverse, Address grad_q, Address grad_k,
                    Address grad_v, Address grad_qkv, Address gains) {
        std::vector<float> none(gains ? 0 : 2 * shape.H);
        float* sums = gains ? at<float>(gains) : none.data();
        summing(shape.B * shape.T, 64, 2 * shape.H, sums, threads_,
                [&](std::size_t begin, std::size_t end, float* part) {
                    kernels_.heads_back(shape, at<X>(qkv), at<float>(inverse), at<X>(grad_q), at<X>(grad_k),
                                        at<X>(grad_v), at<X>(grad_qkv), part, begin, end);
                });
    }
    void mix(const HeadShape& shape, Address blocks, Address mixed, bool back) {
        over(shape.B * shape.T, width(shape), threads_, [&](std::size_t begin, std::size_t end, std::size_t) {
            kernels_.mix(shape, at<X>(blocks), at<X>(mixed), back, begin, end);
        });
    }
    void softmax(Address weights, std::size_t rows, std::size_t count, std::size_t start, std::size_t row_width) {
        over(rows, row_width, threads_, [&](std::size_t begin, std::size_t end, std::size_t) {
            std::vector<float> scratch(row_width + 16);
            kernels_.softmax(at<X>(weights), count, start, row_width, scratch.data(), begin, end);
        });
    }
    void softmax_back(Address grad, Address weights, std::size_t rows, std::size_t count, std::size_t start,
                      std::size_t row_width) {
        over(rows, row_width, threads_, [&](std::size_t begin, std::size_t end, std::size_t) {
            kernels_.softmax_back(at<X>(grad), at<X>(weights), count, start, row_width, begin, end);
        });
    }
    void swiglu(Address gate_up, Address inner, std::size_t M, std::size_t F) {
        over(M, F, threads_, [&](std::size_t begin, std::size_t end, std::size_t) {
            kernels_.swiglu(at<X>(gate_up), at<X>(inner), F, begin, end);
        });
    }
    void swiglu_back(Address gate_up, Address grad_inner, Address grad_gate_up, std::size_t M, std::size_t F) {
        over(M, F, threads_, [&](std::size_t begin, std::size_t end, std::size_t) {
            kernels_.swiglu_back(at<X>(gate_up), at<X>(grad_inner), at<X>(grad_gate_up), F, begin, end);
        });
    }
    void cross_entropy(Address logits, Address targets, Address weights, Address nats, std::size_t rows,
                       std::size_t V) {
        over(rows, V, threads_, [&](std::size_t begin, std::size_t end, std::size_t) {
            std::vector<float> scratch(V + 16);
            kernels_.cross_entropy(at<X>(logits), at<std::int64_t>(targets), at<float>(weights), at<float>(nats), V,
                                   scratch.data(), begin, end);
        });
    }
    void fold(Address weight, Address gain, Address out, std::size_t rows, std::size_t D) {
        over(rows, D, threads_, [&](std::size_t begin, std::size_t end, std::size_t) {
            kernels_.fold(at<float>(weight), at<float>(gain), at<X>(out), D, begin, end);
        });
    }
    void unfold(Address folded, Address weight, Address gain, Address grad, Address gains, std::size_t rows,
                std::size_t D) {
        summing(rows, 64, D, at<float>(gains), threads_, [&](std::size_t begin, std::size_t end, float* part) {
            kernels_.unfold(at<X>(folded), at<float>(weight), at<float>(gain), at<float>(grad), part, D, begin, end);
        });
    }

private:
    static const Kernels<X>& choose();
    static std::size_t width(const HeadShape& shape) { return (shape.N + 2 * shape.K) * shape.H; }

    const Kernels<X>& kernels_;
    unsigned threads_;
};

#ifdef GLASSMILL_X86_KERNELS
#define GLASSMILL_STEP(name) *::glassmill::choose(&scalar::name, &avx2::name, &avx512::name)
#else
#define GLASSMILL_STEP(name) scalar::name
#endif
template <>
const Kernels<float>& StepKernels<float>::choose() {
    return GLASSMILL_STEP(floats);
}
template <>
const Kernels<Bf16>& StepKernels<Bf16>::choose() {
    return GLASSMILL_STEP(bf16s);
}

HeadShape head_shape(std::size_t B, std::size_t T, std::size_t N, std::size_t K, std::size_t H, std::size_t block,
                     float eps, float scale, Address cos, Address sin, Address gain_q, Address gain_k) {
    return {B, T, N, K, H, block, eps, scale, at<float>(cos), at<float>(sin), at<float>(gain_q), at<float>(gain_k)};
}

template <class X>
void bind(nb::module_& module, const char* name) {
    using S = StepKernels<X>;
    nb::class_<S>(module, name)
        .def(nb::init<unsigned>(), "threads"_a)
        .def("norm", &S::norm)
        .def("norm_back", &S::norm_back)
        .def("heads", &S::heads)
        .def("heads_back", &S::heads_back)
        .def("mix", &S::mix)
        .def("softmax", &S::softmax)
        .def("softmax_back", &S::softmax_back)
        .def("swiglu", &S::swiglu)
        .def("swiglu_back", &S::swiglu_back)
        .def("cross_entropy", &S::cross_entropy)
        .def("fold", &S::fold)
        .def("unfold", &S::unfold);
}

}  // namespace

void bind_train(nb::module_& module) {
    nb::class_<HeadShape>(module, "HeadShape");
    module.def("head_shape", &head_shape);
    bind<float>(module, "FloatStep");
    bind<Bf16>(module, "Bf16Step");
}

}  // namespace glassmill

#else  // the kernels need the vector types of GCC and Clang

void glassmill::bind_train(nb::module_&) {}

#endif
