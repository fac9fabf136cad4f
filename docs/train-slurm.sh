#!/bin/bash
# A training on several nodes of a Slurm cluster: sbatch --nodes 4 --gpus-per-node 8 docs/train-slurm.sh web.toml train.steps=20000
# One torchrun a node; the nodes find each other through the first. The runs and the tokens are on a file system that
# all nodes see. A process that dies is replaced. Before the time is up Slurm sends SIGTERM: the run saves, the job is
# queued again, and continues where it was, on as many nodes as it gets.
#SBATCH --job-name=glassmill-train
#SBATCH --ntasks-per-node=1
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
set -euo pipefail
processes=${PROCESSES:-${SLURM_GPUS_ON_NODE:-1}}
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

again() {  # the steps get the signal and save, then the job is queued again
  scancel --signal=TERM "$SLURM_JOB_ID"
  wait "$training" || true
  scontrol requeue "$SLURM_JOB_ID"
}
trap again TERM
srun torchrun --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "$processes" --max-restarts 10 \
  --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$first:29500" \
  -m glassmill train "$@" &
training=$!
wait "$training"
