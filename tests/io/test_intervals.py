import numpy as np
import pytest

from chromweave.errors import AssemblyError, FileFormatError, SchemaError
from chromweave.genome import Assembly
from chromweave.io import intervals
from chromweave.io.intervals import read_bed, read_narrowpeak, read_tss
from chromweave.schemas import BED, NARROWPEAK, TSS

HG19, HG38 = Assembly.named("hg19"), Assembly.named("hg38")


@pytest.fixture
def put(tmp_path):
    def put(text, name="a.bed"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return put


def test_pairs_are_at_hand():
    assert intervals.read_bedpe.__module__ == "chromweave.io.pairs"
    assert intervals.write_bedpe.__module__ == "chromweave.io.pairs"


# -- BED ------------------------------------------------------------------------------------------------


def test_a_bed_of_three_columns(put):
    table = read_bed(put("track name=x\nchr1\t10\t20\n2\t0\t5\nMT\t1\t2\n"), HG38)
    assert table.to_dict("list") == {
        "chrom": ["chr1", "chr2", "chrM"],
        "start": [10, 0, 1],
        "end": [20, 5, 2],
    }
    BED.check(table, "x")


def test_a_bed_of_six_columns(put):
    table = read_bed(put("#chrom\tstart\tend\nchr1\t10\t20\ta\t0.5\t+\nchr1\t30\t40\tb\t.\t-\textra\n"), HG38)
    assert table["name"].tolist() == ["a", "b"]
    assert np.array_equal(table["score"], [0.5, np.nan], equal_nan=True)
    assert table["strand"].tolist() == ["+", "-"]


def test_a_score_that_is_text(put):
    assert read_bed(put("chr1\t10\t20\ta\thigh\n"), HG38)["score"].isna().all()


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("chr1\t20\t10", SchemaError, "line 2 has start 20 and end 10"),
        ("chr1\t10\tend", SchemaError, "line 2 has 'end' as end"),
        ("chr1\t10", SchemaError, "line 2 has 2 columns; a BED file needs at least 3"),
        ("chr1\t10\t300000001", AssemblyError, "line 2 ends at 300,000,001, beyond chr1"),
        ("chr1\t-5\t10", SchemaError, "line 2 has start -5"),
    ],
)
def test_bad_lines_are_named(put, line, kind, said):
    with pytest.raises(kind, match=said):
        read_bed(put(f"chr1\t1\t2\n{line}\n"), HG38)


def test_unknown_chromosomes(put, heard):
    assert len(read_bed(put("chr1\t1\t2\nchrUn_X\t1\t2\n"), HG38)) == 1
    assert "1 of 2 lines left out" in heard[0]
    with pytest.raises(AssemblyError, match="no line is on a chromosome of hg38; the file has chrUn_X"):
        read_bed(put("chrUn_X\t1\t2\n"), HG38)


@pytest.mark.parametrize("read", [read_bed, read_narrowpeak, read_tss])
def test_no_file(read, tmp_path):
    (tmp_path / "empty").touch()
    for name, said in (("none", "no such file"), ("", "is a directory"), ("empty", "is empty")):
        with pytest.raises(FileFormatError, match=said):
            read(tmp_path / name, HG38)


# -- narrowPeak -----------------------------------------------------------------------------------------

PEAK = "chr1\t100\t200\tp1\t900\t.\t7.5\t-1\t3.2\t40\n"


def test_narrowpeak(put):
    table = read_narrowpeak(put(PEAK), HG38)
    assert table.iloc[0].tolist() == ["chr1", 100, 200, "p1", 900, ".", 7.5, -1, 3.2, 40]
    assert list(table.columns) == list(NARROWPEAK.required)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("chr1\t100\t200\tp\t900\t.\t7\t1\t1", "line 2 has 9 columns; a narrowPeak file needs at least 10"),
        ("chr1\t100\t200\tp\t900\t.\tx\t1\t1\t4", "line 2 has 'x' as signal, which is no number"),
        ("chr1\t100\t200\tp\t900\t.\t.\t1\t1\t4", "line 2 has '.' as signal"),
        ("chr1\t100\t200\tp\t900\t.\t7\t1\t1\t100", "line 2 has its summit outside the peak"),
        ("chr1\t200\t100\tp\t900\t.\t7\t1\t1\t4", "line 2 has start 200 and end 100"),
    ],
)
def test_bad_peaks_are_named(put, line, said):
    with pytest.raises(SchemaError, match=said):
        read_narrowpeak(put(f"{PEAK}{line}\n"), HG38)


# -- TSS ------------------------------------------------------------------------------------------------


def test_tss_tables(put):
    table = read_tss(put("chr\ttss\tname\nchr1\t817370\tFAM87B\n2\t0\tX\n"), HG38)
    assert table.to_dict("list") == {"chrom": ["chr1", "chr2"], "tss": [817370, 0], "name": ["FAM87B", "X"]}
    table = read_tss(put("chrom\ttss\tstrand\tgene\ttpm\nchr1\t5\t+\tA\t1.5\nchr1\t6\t-\tB\t\n"), HG38)
    assert list(table.columns) == ["chrom", "tss", "name", "strand", "expression"]
    assert table["strand"].tolist() == ["+", "-"]
    assert np.array_equal(table["expression"], [1.5, np.nan], equal_nan=True)


def test_gff_starts_are_counted_from_one(put):
    text = (
        "##gff-version 3\n"
        "chr1\tx\tgene\t101\t200\t.\t+\t.\tID=g1;gene_name=A\n"
        "chr1\tx\texon\t101\t150\t.\t+\t.\tID=e1\n"
        'chr1\tx\tgene\t101\t200\t.\t-\t.\tgene_id "g2"; gene_type "x";\n'
    )
    table = read_tss(put(text, "a.gff"), HG38)
    assert table.to_dict("list") == {
        "chrom": ["chr1"] * 2,
        "tss": [100, 199],
        "name": ["A", "g2"],
        "strand": ["+", "-"],
    }


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (
            "chr\ttss\tvalue2\nchr1\t5\t6\n",
            SchemaError,
            "needs the column name; its header has chr, tss, value2",
        ),
        ("chr1\t5\tA\n", SchemaError, "needs the column chrom, tss, name; its header has nothing"),
        ("chr\ttss\tname\nchr1\tx\tA\n", SchemaError, "line 2 has 'x' as tss"),
        ("chr\ttss\tname\nchr1\t5\n", SchemaError, "line 2 has 2 columns"),
        (
            "chr\ttss\tname\nchr1\t248956422\tA\n",
            AssemblyError,
            "line 2 has position 248,956,422, outside chr1",
        ),
        ("chr\ttss\tname\nchr1\t-1\tA\n", AssemblyError, "line 2 has position -1"),
        ("chr\ttss\tname\nchrV\t1\tA\n", AssemblyError, "no line is on a chromosome of hg38"),
        ("chr1\tx\texon\t1\t2\t.\t+\t.\tID=a\n", SchemaError, "has no feature gene, .*; it has exon"),
        ("chr1\tx\tgene\t1\t2\t.\t+\t.\tnote=a\n", SchemaError, "line 1 names no gene"),
    ],
)
def test_bad_tss(put, text, kind, said):
    with pytest.raises(kind, match=said):
        read_tss(put(text), HG38)


# -- real files -----------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_real_tss(real_data):
    folder = real_data / "k562_chr22_hg38"
    assert len(read_tss(folder / "tss_K562.tsv", HG38)) == 20_625
    table = read_tss(folder / "K562.gene_expression.tsv", HG38)
    assert len(table) == 517
    assert table["name"][0] == "DUXAP8"
    assert table["expression"].isna().any()
    table = TSS.check(read_tss(real_data / "truth_hg19" / "gencode.v19.TSS.chr20-22.gff", HG19), "x")
    assert len(table) == 9192
    assert table.iloc[0].tolist() == ["chr20", 10007298, "ENSG00000227906.3", "-"]


@pytest.mark.real_data
def test_real_beds(real_data, heard):
    assert len(read_bed(real_data / "gm12878_chr21_hichip_hg38" / "GM12878.TADs.bed", HG38)) == 96
    assert heard == []
    path = real_data / "truth_hg19" / "GM12878" / "GSE63525_GM12878_subcompartments.bed.gz"
    table = read_bed(path, HG19)  # bins of 100 kb, the last of each chromosome standing out
    assert len(table) == 4064
    assert table.loc[table["chrom"] == "chr19", "end"].max() == HG19.length("chr19")
    assert "22 intervals cut" in heard[0]
    with pytest.raises(AssemblyError, match="Is the file of another assembly"):
        read_bed(path, HG38)
