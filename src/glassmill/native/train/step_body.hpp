// The bodies that train/<instruction set>/step.cpp compiles; see step.hpp.
#pragma once

#include "train/heads_body.hpp"
#include "train/lanes.hpp"

namespace glassmill::train {
namespace {

template <class X>
void norm(float* x, const X* add, X* normed, float* inverse, std::size_t D, float eps, std::size_t begin,
          std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
        float* xs = x + row * D;
        Lanes squares{};
        for (std::size_t i = 0; i < D; i += kLanes) {
            Lanes value = load(xs + i, D - i);
            if (add) {
                value += load(add + row * D + i, D - i);
                store(xs + i, value, D - i);
            }
            squares += value * value;
        }
        const float scale = 1.0f / __builtin_sqrtf(sum(squares) / static_cast<float>(D) + eps);
        inverse[row] = scale;
        for (std::size_t i = 0; i < D; i += kLanes) store(normed + row * D + i, load(xs + i, D - i) * scale, D - i);
    }
}

template <class X>
void norm_back(float* grad, const X* g, const X* normed, const float* inverse, X* low, std::size_t D, std::size_t begin,
               std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
        const X *gs = g + row * D, *ns = normed + row * D;
        Lanes products{};
        for (std::size_t i = 0; i < D; i += kLanes) products += load(gs + i, D - i) * load(ns + i, D - i);
        const float along = sum(products) / static_cast<float>(D), scale = inverse[row];
        for (std::size_t i = 0; i < D; i += kLanes) {
            float* to = grad + row * D + i;
            const Lanes value = load(to, D - i) + (load(gs + i, D - i) - load(ns + i, D - i) * along) * scale;
            store(to, value, D - i);
            if (low) store(low + row * D + i, value, D - i);
        }
    }
}

template <class X>
void softmax(X* weights, std::size_t count, std::size_t start, std::size_t width, float* scratch, std::size_t begin,
             std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
        X* w = weights + row * width;
        const std::size_t seen = start + row % count + 1;
        Lanes most = all(-3.0e38f), total{};
        std::size_t i = 0;
        for (; i + kLanes <= seen; i += kLanes) most = larger(most, load(w + i));
        float top = largest(most);
        for (std::size_t rest = i; rest < seen; ++rest) {
            const float value = load(w + rest, 1)[0];
            top = value > top ? value : top;
        }
        for (i = 0; i < seen; i += kLanes) {
            const Lanes e = exp(load(w + i, seen - i) - top);
            store(scratch + i, e);
        }
        for (std::size_t past = seen; past < i; ++past) scratch[past] = 0.0f;
        for (i = 0; i < seen; i += kLanes) total += load(scratch + i);
        const float scale = 1.0f / sum(total);
        for (i = 0; i < seen; i += kLanes) store(w + i, load(scratch + i) * scale, width - i);
        if (i < width) memset(static_cast<void*>(w + i), 0, (width - i) * sizeof(X));
    }
}

template <class X>
void softmax_back(X* grad, const X* weights, std::size_t count, std::size_t start, std::size_t width, std::size_t begin,
                  std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
        X* g = grad + row * width;
        const X* w = weights + row * width;
        const std::size_t seen = start + row % count + 1;
        Lanes products{};
        std::size_t i = 0;
        for (; i < seen; i += kLanes) products += load(g + i, width - i) * load(w + i, width - i);
        const float along = sum(products);
        for (i = 0; i < seen; i += kLanes)
            store(g + i, (load(g + i, width - i) - along) * load(w + i, width - i), width - i);
        if (i < width) memset(static_cast<void*>(g + i), 0, (width - i) * sizeof(X));
    }
}

template <class X>
void swiglu(const X* gate_up, X* inner, std::size_t F, std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
        const X *gate = gate_up + row * 2 * F, *up = gate + F;
        for (std::size_t i = 0; i < F; i += kLanes) {
            const Lanes g = load(gate + i, F - i);
            store(inner + row * F + i, g / (1.0f + exp(-g)) * load(up + i, F - i), F - i);
        }
    }
}

template <class X>
void swiglu_back(const X* gate_up, const X* grad_inner, X* grad_gate_up, std::size_t F, std::size_t begin,
                 std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
        const X *gate = gate_up + row * 2 * F, *up = gate + F;
        X *grad_gate = grad_gate_up + row * 2 * F, *grad_up = grad_gate + F;
        for (std::size_t i = 0; i < F; i += kLanes) {
            const Lanes g = load(gate + i, F - i), d = load(grad_inner + row * F + i, F - i);
            const Lanes sigmoid = 1.0f / (1.0f + exp(-g)), silu = g * sigmoid;
            store(grad_up + i, d * silu, F - i);
            store(grad_gate + i, d * load(up + i, F - i) * (sigmoid + silu * (1.0f - sigmoid)), F - i);
        }
    }
}

template <class X>
void cross_entropy(X* logits, const std::int64_t* targets, const float* weights, float* nats, std::size_t V,
                   float* scratch, std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
        X* z = logits + row * V;
        const auto target = static_cast<std::size_t>(targets[row]);
        const float weight = weights[row];
        Lanes most = all(-3.0e38f), total{};
        std::size_t i = 0;
        for (; i + kLanes <= V; i += kLanes) most = larger(most, load(z + i));
        float top = largest(most);
        for (std::size_t rest = i; rest < V; ++rest) {
            const float value = load(z + rest, 1)[0];
            top = value > top ? value : top;
        }
        const float wanted = load(z + target, 1)[0];
        for (i = 0; i < V; i += kLanes) store(scratch + i, exp(load(z + i, V - i) - top));
        for (std::size_t past = V; past < i; ++past) scratch[past] = 0.0f;
        for (i = 0; i < V; i += kLanes) total += load(scratch + i);
        const float all_of_it = sum(total);
        nats[row] = weight == 0.0f ? 0.0f : weight * (__builtin_logf(all_of_it) + top - wanted);
        scratch[target] -= all_of_it;
        const float scale = weight / all_of_it;
        for (i = 0; i < V; i += kLanes) store(z + i, load(scratch + i) * scale, V - i);
    }
}

template <class X>
void fold(const float* weight, const float* gain, X* out, std::size_t D, std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
        for (std::size_t i = 0; i < D; i += kLanes) {
            Lanes value = load(weight + row * D + i, D - i);
            if (gain) value *= load(gain + i, D - i);
            store(out + row * D + i, value, D - i);
        }
    }
}

template <class X>
void unfold(const X* folded, const float* weight, const float* gain, float* grad, float* gains, std::size_t D,
            std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
        for (std::size_t i = 0; i < D; i += kLanes) {
            const std::size_t at = row * D + i;
            Lanes value = load(folded + at, D - i);
            if (gain) {
                store(gains + i, load(gains + i, D - i) + value * load(weight + at, D - i), D - i);
                value *= load(gain + i, D - i);
            }
            store(grad + at, load(grad + at, D - i) + value, D - i);
        }
    }
}

template <class X>
constexpr Kernels<X> all_kernels() {
    return {norm<X>,         norm_back<X>, heads<X>,       heads_back<X>,    mix<X>,  softmax<X>,
            softmax_back<X>, swiglu<X>,    swiglu_back<X>, cross_entropy<X>, fold<X>, unfold<X>};
}

}  // namespace
}  // namespace glassmill::train
