#!/bin/bash
# The corpus of a recipe on a Slurm cluster: bash docs/slurm.sh web.toml 64 corpus.inputs=/data/crawl
# Five jobs, each after the one before: the shards are laid out, judged by an array job, looked through for duplicates,
# finished by a second array job, published. The folder of the runs and the inputs are on a file system that all nodes see.
# After a failure run it again: every job skips what is done.
# Above corpus.dedup.one_task documents the search for duplicates is array jobs too, about 20: JOIN=20 bash docs/slurm.sh ...
# Those too many find nothing to do; if they were too few, run it again.
set -euo pipefail
recipe=$1 tasks=$2 words=("${@:3}")
rounds=(judge)
for ((number = 1; number <= ${JOIN:-0}; number++)); do rounds+=("join-$number"); done
rounds+=(finish)

last=
submit() { # job name, sbatch options, --, command
  local options=()
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  last=$(sbatch --parsable --kill-on-invalid-dep=yes ${last:+--dependency=afterok:$last} "${options[@]}" --wrap "$(printf '%q ' "$@")$suffix")
}

stage=(glassmill corpus "$recipe" "${words[@]}" run.executor=slurm)
for round in "${rounds[@]}"; do
  suffix= submit --job-name=glassmill --cpus-per-task=4 --mem=16G -- "${stage[@]}"
  suffix='--task $SLURM_ARRAY_TASK_ID' \
    submit --job-name="glassmill-$round" --array="0-$((tasks - 1))" --cpus-per-task=2 --mem=4G -- \
    glassmill corpus "$recipe" "${words[@]}" --tasks "$tasks"
done
suffix= submit --job-name=glassmill --cpus-per-task=4 --mem=16G -- "${stage[@]}"
echo "submitted; the last job is $last (squeue -j $last)"
