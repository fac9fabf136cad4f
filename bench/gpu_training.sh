#!/bin/bash
# Claim: the loop that trains on a CPU trains on a GPU to the same loss curve; how fast, at three sizes.
#
#     bash bench/gpu_training.sh          under 8 minutes on one GPU
#     bash bench/gpu_training.sh --dry    the same with tiny shapes, on whatever is here
#
# Prints one line of JSON a check: the largest difference between the two loss curves, the tokens per second and the
# share of this device's *measured* matrix peak, peak memory, and the resumed run's hash beside the undisturbed one's.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
export PYTHONPATH=src${PYTHONPATH:+:$PYTHONPATH}
if [ "${1:-}" = --dry ]; then
  exec "$python" bench/gpu_training.py --dry
fi
timeout 470 "$python" bench/gpu_training.py
