// The same loop compiled for several processors; the best one that this machine has is taken when it is called.
#pragma once

#if defined(__GNUC__)
#define GLASSMILL_INLINE [[gnu::always_inline]] inline
#else
#define GLASSMILL_INLINE inline
#endif

// GLASSMILL_FOR_EACH_PROCESSOR(name, body, (int a, int b), (a, b)) defines `void name(int a, int b)`, which calls
// `body<bytes>(a, b)` as the compiler made it for AVX-512, for AVX2, or for any processor, with the bytes of a vector
// that suits it. `body` must be GLASSMILL_INLINE.
#if defined(__GNUC__) && defined(__x86_64__)
#define GLASSMILL_FOR_EACH_PROCESSOR(name, body, parameters, arguments)                                         \
    [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl")]] void name##_avx512 parameters { body<32> arguments; } \
    [[gnu::target("avx2")]] void name##_avx2 parameters { body<32> arguments; }                                 \
    void name##_any parameters { body<16> arguments; }                                                          \
    void name parameters {                                                                                      \
        static const int best = __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&     \
                                        __builtin_cpu_supports("avx512bw")                                      \
                                    ? 2                                                                         \
                                    : __builtin_cpu_supports("avx2") != 0;                                      \
        best == 2 ? name##_avx512 arguments : best ? name##_avx2 arguments : name##_any arguments;              \
    }
#else
#define GLASSMILL_FOR_EACH_PROCESSOR(name, body, parameters, arguments) \
    void name parameters { body<16> arguments; }
#endif
