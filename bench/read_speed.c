// How fast THREADS threads together read memory, in GB/s: read_speed THREADS, best of ten.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SIZE ((size_t)192 << 20)

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void* read_all(void* memory) {
    const uint64_t* words = memory;
    uint64_t sums[32] = {0};
    for (size_t i = 0; i < SIZE / 8; i += 32) {
        for (int k = 0; k < 32; ++k) sums[k] += words[i + k];
    }
    for (int k = 1; k < 32; ++k) sums[0] += sums[k];
    return (void*)(uintptr_t)sums[0];
}

int main(int count, char** given) {
    const int threads = count > 1 ? atoi(given[1]) : 1;
    void* memory[64];
    double best = 1e9;
    for (int i = 0; i < threads; ++i) {
        memory[i] = aligned_alloc(2 << 20, SIZE);
        madvise(memory[i], SIZE, MADV_HUGEPAGE);
        memset(memory[i], i, SIZE);
    }
    for (int round = 0; round < 10; ++round) {
        pthread_t running[64];
        const double begin = now();
        for (int i = 0; i < threads; ++i) pthread_create(&running[i], NULL, read_all, memory[i]);
        for (int i = 0; i < threads; ++i) pthread_join(running[i], NULL);
        if (now() - begin < best) best = now() - begin;
    }
    printf("%.1f\n", threads * (SIZE * 1e-9) / best);
}
