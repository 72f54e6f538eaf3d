#!/usr/bin/env bash
# Every command of docs/tutorial.md, in its order: docs/tutorial.sh [DATA [OUT]]
# OUT/results.txt keeps what the commands print, OUT/messages.txt their progress.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
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

chromweave graph train $OUT/graph --store $OUT/GM12878_HIC001.store --resolution 40000 --chrom chr21 --repeats 3
chromweave graph train $OUT/graph_log1p --store $OUT/GM12878_HIC001.store --resolution 40000 --chrom chr21 --repeats 3 \
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

python "$here/tutorial_figures.py" "$OUT" "$DATA" --figures "$here/figures"
