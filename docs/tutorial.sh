#!/usr/bin/env bash
# Every command of docs/tutorial.md, in its order: docs/tutorial.sh [DATA [OUT]]
# Paths are seen from the repository's root; chromweave is on the PATH (make tutorial sees to it).
# OUT/results.txt keeps what the commands print, OUT/messages.txt their progress.
set -euo pipefail

cd "$(dirname "$0")/.."
DATA=${1:-../shared/data}
OUT=${2:-tutorial}
mkdir -p "$OUT"
: >"$OUT/results.txt"
: >"$OUT/messages.txt"

chromweave() {
    echo "\$ chromweave $*" | tee -a "$OUT/results.txt" "$OUT/messages.txt"
    command chromweave "$@" 2>>"$OUT/messages.txt" | tee -a "$OUT/results.txt" || {
        tail -n 3 "$OUT/messages.txt" >&2
        return 1
    }
}

# ---- 1. One cell line: K562, chr22 at 5 kb ----

K=$DATA/k562_chr22_hg38

chromweave build $OUT/K562.store --contacts $K/K562.chr22.mcool --resolution 5000 --resolution 25000 \
    --track ATAC=$K/K562.ATAC.bw --track DNase=$K/K562.DNase.bw --track H3K27ac=$K/K562.H3K27ac.bw
chromweave inspect $OUT/K562.store --verify

chromweave windows $OUT/windows/grid.parquet --store $OUT/K562.store --around grid --step 25000 \
    --split blocks --exclude chr22:19000000-23300000
chromweave windows $OUT/windows/loops.parquet --store $OUT/K562.store --around loops \
    --loops $K/K562.CTCF_ChIA-PET.bedpe --negatives strict --split blocks --exclude chr22:19000000-23300000

chromweave pretrain $OUT/pretrain --store $OUT/K562.store --windows $OUT/windows/grid.parquet \
    --track ATAC --track DNase --preset tiny
chromweave finetune $OUT/loop-model --task loops --from $OUT/pretrain --store $OUT/K562.store \
    --windows $OUT/windows/loops.parquet --config docs/tutorial_loops.toml
chromweave finetune $OUT/loop-model-from-scratch --task loops --track ATAC --track DNase \
    --store $OUT/K562.store --windows $OUT/windows/loops.parquet --config docs/tutorial_loops.toml

chromweave evaluate $OUT/evaluation --model $OUT/loop-model --store $OUT/K562.store \
    --windows $OUT/windows/loops.parquet --block 1000000
chromweave evaluate $OUT/evaluation-from-scratch --model $OUT/loop-model-from-scratch --store $OUT/K562.store \
    --windows $OUT/windows/loops.parquet --block 1000000

chromweave loops call $OUT/K562.loops.bedpe --model $OUT/loop-model --store $OUT/K562.store
chromweave loops call $OUT/K562.map-alone.bedpe --store $OUT/K562.store
chromweave loops validate $OUT/K562.loops.bedpe $K/K562.CTCF_ChIA-PET.bedpe --store $OUT/K562.store \
    --exclude chr22:19000000-23300000
chromweave loops validate $OUT/K562.loops.bedpe $K/K562.RAD21_ChIA-PET.washu.txt --store $OUT/K562.store \
    --exclude chr22:19000000-23300000
chromweave loops validate $OUT/K562.loops.bedpe $K/K562.CTCF_ChIA-PET.bedpe --store $OUT/K562.store \
    --exclude chr22:0-44938000
chromweave loops validate $OUT/K562.loops.bedpe $K/K562.RAD21_ChIA-PET.washu.txt --store $OUT/K562.store \
    --exclude chr22:0-44938000
chromweave loops validate $OUT/K562.map-alone.bedpe $K/K562.CTCF_ChIA-PET.bedpe --store $OUT/K562.store \
    --exclude chr22:19000000-23300000
chromweave loops validate $OUT/K562.map-alone.bedpe $K/K562.RAD21_ChIA-PET.washu.txt --store $OUT/K562.store \
    --exclude chr22:19000000-23300000

python -c "
from chromweave.genome import Assembly
from chromweave.io.intervals import read_bedpe, write_bedpe
loops = read_bedpe('$OUT/K562.loops.bedpe', Assembly.resolve('hg38'))
write_bedpe('$OUT/K562.loops.juicebox.bedpe', loops, style='juicebox')"

# ---- 2. Two cell lines: GM12878 and IMR90, chr21 and chr22 at 40 kb ----

G=$DATA/gm12878_imr90_chr21_22_hg19

chromweave build $OUT/GM12878_HIC001.store --contacts $G/GM12878_HIC001.mcool --resolution 40000 \
    --track CTCF=$G/GM12878.CTCF.bw --track RAD21=$G/GM12878.RAD21.bw \
    --track H3K27ac=$G/GM12878.H3K27ac.bw --track H3K4me3=$G/GM12878.H3K4me3.bw
chromweave build $OUT/GM12878_HIC002.store --contacts $G/GM12878_HIC002.mcool --resolution 40000 \
    --track CTCF=$G/GM12878.CTCF.bw --track RAD21=$G/GM12878.RAD21.bw \
    --track H3K27ac=$G/GM12878.H3K27ac.bw --track H3K4me3=$G/GM12878.H3K4me3.bw
chromweave build $OUT/IMR90_HIC050.store --contacts $G/IMR90_HIC050.mcool --resolution 40000 \
    --track CTCF=$G/IMR90.CTCF.bw --track RAD21=$G/IMR90.RAD21.bw \
    --track H3K27ac=$G/IMR90.H3K27ac.bw --track H3K4me3=$G/IMR90.H3K4me3.bw

chromweave graph train $OUT/graph --store $OUT/GM12878_HIC001.store --resolution 40000 --chrom chr21 --preset vgae-original --repeats 3
chromweave graph train $OUT/graph_log1p --store $OUT/GM12878_HIC001.store --resolution 40000 --chrom chr21 --preset vgae-original --repeats 3 \
    --edge-weight log1p

chromweave compartments $OUT/compartments/GM12878_HIC001.tsv --store $OUT/GM12878_HIC001.store \
    --resolution 40000 --phase-by H3K27ac
chromweave compartments $OUT/compartments/IMR90_HIC050.tsv --store $OUT/IMR90_HIC050.store \
    --resolution 40000 --phase-by H3K27ac

chromweave graph encode $OUT/encoded/GM12878_HIC001.h5ad --model $OUT/graph \
    --store $OUT/GM12878_HIC001.store --phase-by H3K27ac
chromweave graph encode $OUT/encoded/GM12878_HIC002.h5ad --model $OUT/graph \
    --store $OUT/GM12878_HIC002.store --phase-by H3K27ac
chromweave graph encode $OUT/encoded/IMR90_HIC050.h5ad --model $OUT/graph \
    --store $OUT/IMR90_HIC050.store --phase-by H3K27ac

chromweave graph umap $OUT/encoded/umap.tsv $OUT/encoded/GM12878_HIC001.h5ad \
    $OUT/encoded/GM12878_HIC002.h5ad $OUT/encoded/IMR90_HIC050.h5ad

chromweave compare $OUT/compare/lines $OUT/encoded/GM12878_HIC001.h5ad $OUT/encoded/IMR90_HIC050.h5ad
chromweave compare $OUT/compare/replicates $OUT/encoded/GM12878_HIC001.h5ad $OUT/encoded/GM12878_HIC002.h5ad

chromweave build $OUT/IMR90_map_only.store --contacts $G/IMR90_HIC050.mcool --resolution 40000 \
    --track CTCF=$G/GM12878.CTCF.bw --track RAD21=$G/GM12878.RAD21.bw \
    --track H3K27ac=$G/GM12878.H3K27ac.bw --track H3K4me3=$G/GM12878.H3K4me3.bw
chromweave graph encode $OUT/encoded/IMR90_map_only.h5ad --model $OUT/graph \
    --store $OUT/IMR90_map_only.store --phase-by H3K27ac
chromweave compare $OUT/compare/map_only $OUT/encoded/GM12878_HIC001.h5ad $OUT/encoded/IMR90_map_only.h5ad

chromweave graph encode $OUT/encoded/GM12878_HIC001.chr22.h5ad --model $OUT/graph \
    --store $OUT/GM12878_HIC001.store --chrom chr22 --phase-by H3K27ac
chromweave graph encode $OUT/encoded/GM12878_HIC002.chr22.h5ad --model $OUT/graph \
    --store $OUT/GM12878_HIC002.store --chrom chr22 --phase-by H3K27ac
chromweave graph encode $OUT/encoded/IMR90_HIC050.chr22.h5ad --model $OUT/graph \
    --store $OUT/IMR90_HIC050.store --chrom chr22 --phase-by H3K27ac
chromweave compare $OUT/compare/lines.chr22 $OUT/encoded/GM12878_HIC001.chr22.h5ad \
    $OUT/encoded/IMR90_HIC050.chr22.h5ad
chromweave compare $OUT/compare/replicates.chr22 $OUT/encoded/GM12878_HIC001.chr22.h5ad \
    $OUT/encoded/GM12878_HIC002.chr22.h5ad

# ---- Figures, and the one table the commands do not print ----

python docs/tutorial_figures.py $OUT $DATA
