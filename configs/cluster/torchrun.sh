#!/bin/sh
# One run on several machines without a scheduler. Start it on every machine, with the same first three words:
#   torchrun.sh NODES GPUS HEAD NODE_RANK configs/training/base_navsim_recipe.yaml [key=value ...]
# HEAD is the name or address of machine 0, NODE_RANK this machine's number. After a failure all processes start again, up to
# three times, from the newest checkpoint.
set -eu
nodes=$1 gpus=$2 head=$3 node_rank=$4 config=$5
shift 5
exec torchrun --nnodes "$nodes" --nproc-per-node "$gpus" --node-rank "$node_rank" \
    --master-addr "$head" --master-port "${MASTER_PORT:-29500}" --max-restarts 3 \
    -m diffdrive.cli.main train --config "$config" --resume auto nodes="$nodes" devices="$gpus" progress_bar=false "$@"
