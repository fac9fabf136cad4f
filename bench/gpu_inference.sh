#!/bin/bash
# Claim: on a GPU the decoder with CUDA graphs gives the CPU decoder's tokens; how fast, at three sizes.
#
#     bash bench/gpu_inference.sh          under 8 minutes on one GPU
#     bash bench/gpu_inference.sh --dry    the same with tiny shapes, on whatever is here
#
# Prints one line of JSON a check. First the tokens: greedy, in float32, against the native decoder (torch's where it was
# not built), with the largest difference between the logits. Then tokens per second in bfloat16 with random weights:
# prefill of 512, and 1, 8 and 32 rows, with graphs and, as a ratio, without any (the same model in the torch decoder),
# and the share of this device's measured read bandwidth that one row uses. A check that fails makes the exit code 1.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
export PYTHONPATH=src${PYTHONPATH:+:$PYTHONPATH}
if [ "${1:-}" = --dry ]; then
  exec "$python" bench/gpu_inference.py --dry
fi
timeout 470 "$python" bench/gpu_inference.py
