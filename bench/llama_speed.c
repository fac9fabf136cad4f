// Speed of llama.cpp: prefill of 512 tokens, and decode of 1, 8 and 32 rows after 32 tokens, in tokens per second.
// llama_speed LIBRARIES MODEL.gguf THREADS      prints: prefill b1 b8 b32, medians of five
// THREADS = 0 is one thread, and its time on the processor: comparable on a machine that has other work.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ggml-backend.h"
#include "llama.h"

static int busy;

static double now(void) {
    struct timespec time;
    clock_gettime(busy ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}
static int by_size(const void* a, const void* b) {
    const double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}
static void quiet(enum ggml_log_level level, const char* text, void* data) {
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
    (void)data;
}

static void read_tokens(struct llama_context* context, int rows, int start, int count) {
    struct llama_batch batch = llama_batch_init(rows * count, 0, 1);
    for (int row = 0; row < rows; ++row) {
        for (int i = 0; i < count; ++i, ++batch.n_tokens) {
            const int n = batch.n_tokens;
            batch.token[n] = 100 + (start + i) * 37 % 1000, batch.pos[n] = start + i;
            batch.n_seq_id[n] = 1, batch.seq_id[n][0] = row, batch.logits[n] = i == count - 1;
        }
    }
    if (llama_decode(context, batch)) exit(3);
    llama_synchronize(context);
    llama_batch_free(batch);
}

int main(int count, char** given) {
    if (count != 4) return 2;
    busy = atoi(given[3]) == 0;
    llama_log_set(quiet, NULL);
    ggml_backend_load_all_from_path(given[1]);
    struct llama_model* model = llama_model_load_from_file(given[2], llama_model_default_params());
    if (!model) return 1;
    const int batches[] = {0, 1, 8, 32};
    for (int which = 0; which < 4; ++which) {
        const int rows = batches[which] ? batches[which] : 1, steps = which < 2 ? 24 : 8;
        struct llama_context_params params = llama_context_default_params();
        params.n_ctx = which ? rows * 128 : 1024, params.n_batch = params.n_ubatch = 512, params.n_seq_max = rows;
        params.n_threads = params.n_threads_batch = busy ? 1 : atoi(given[3]);
        double seconds[5];
        struct llama_context* context = llama_init_from_model(model, params);
        if (!context) return 1;
        for (int round = -1; round < 5; ++round) {
            llama_memory_clear(llama_get_memory(context), true);
            if (which) {
                read_tokens(context, rows, 0, rows > 8 ? 16 : 32);
            }
            const double begin = now();
            if (which) {
                for (int i = 0; i < steps; ++i) read_tokens(context, rows, (rows > 8 ? 16 : 32) + i, 1);
            } else {
                read_tokens(context, 1, 0, 512);
            }
            if (round >= 0) seconds[round] = now() - begin;
        }
        qsort(seconds, 5, sizeof *seconds, by_size);
        printf("%.1f ", (which ? rows * steps : 512) / seconds[2]);
        llama_free(context);
    }
    printf("\n");
}
