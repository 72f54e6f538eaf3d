import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromweave.errors import ConfigError, OutputError
from chromweave.plot.style import new_figure
from chromweave.report import page
from chromweave.report.page import (
    Figure,
    Link,
    Report,
    Section,
    Table,
    figure_from,
    render,
    table_from,
    write_report,
)

VOID = {"meta", "img", "br", "hr", "link", "input"}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Reader(HTMLParser):
    """Balanced tags, ids, references and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.sources, self.texts = [], [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        if tag == "a":
            self.links.append(attrs["href"])
        else:
            self.sources += [
                attrs[name] for name in ("src", "href", "srcset", "data", "action") if name in attrs
            ]
        assert not [name for name in attrs if name.startswith("on")], "a script in an attribute"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def report(*sections, title="A report", **provenance):
    return Report(title, ("What came out.",), provenance, sections)


def everything():
    table = Table("Numbers", ("name", "n", "x"), (("a", 1200, 0.5), ("b", 3, float("nan")), ("c", 0, 2.25)))
    return report(
        Section("Map", "map", ("Some prose.",), (Figure("A map", PNG, width=640),), (table,)),
        None,
        Section("Files", "files", tables=(Table("Files", ("file",), ((Link("a b.tsv", "out/a b.tsv"),),)),)),
        Section("Nothing", "nothing"),
        version="1.0",
        git_commit=None,
        packages={"numpy": "2.0", "torch": "2.13"},
        inputs=["x.mcool", "y.bw"],
    )


def test_a_page_is_balanced_and_complete():
    text = render(everything())
    reader = Reader(text)
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    assert {"title", "h1", "nav", "main", "figure", "figcaption", "caption"} <= set(reader.tags)
    assert reader.ids == ["map", "files"]
    assert reader.links == ["#map", "#files", "out/a%20b.tsv"]
    assert {"Some prose.", "What came out.", "git commit", "not known", "1,200"} <= set(reader.texts)
    assert {"numpy 2.0, torch 2.13", "x.mcool; y.bw"} <= set(reader.texts)


def test_nothing_comes_from_outside():
    text = render(everything())
    sources = Reader(text).sources
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"url\(|@import|<script|<link|<iframe", text)
    assert "default-src 'none'" in text


def test_the_image_survives():
    (source,) = Reader(render(everything())).sources
    assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == PNG


def test_missing_parts_are_no_sections():
    assert [section.anchor for section in everything().shown] == ["map", "files"]
    assert "nav" not in Reader(render(report())).tags


ATTACK = "<script>alert(\"K562 & 'IMR90'\")</script>"


def test_every_text_is_escaped():
    attacked = Report(
        ATTACK,
        (ATTACK,),
        {ATTACK: {ATTACK: [ATTACK]}},
        (
            Section(
                ATTACK,
                "a",
                (ATTACK,),
                (Figure(ATTACK, PNG),),
                (Table(ATTACK, (ATTACK, "file"), ((ATTACK, Link(ATTACK, f"./{ATTACK}")),)),),
            ),
        ),
    )
    text = render(attacked)
    reader = Reader(text)
    assert "<script" not in text
    assert "script" not in reader.tags
    assert sum(ATTACK in piece for piece in reader.texts) >= 9


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"])))
def test_any_name_of_a_cell_line_comes_through(name):
    reader = Reader(render(report(Section("s", "s", tables=(Table("t", ("c",), ((name,),)),)), title=name)))
    assert not name.strip() or name in reader.texts


def cells(*values):
    """The texts of one column's cells, and whether they are set as numbers."""
    text = render(report(Section("s", "s", tables=(Table("t", ("c",), tuple((v,) for v in values)),))))
    found = re.findall(r"<td( class=\"number\")?>([^<]*)</td>", text.split("<main>")[1])
    return [cell for _, cell in found], bool(found[0][0])


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.5, 0.123456, 1.0), ["0.500", "0.123", "1.000"]),
        ((12.5, 3.25), ["12.50", "3.25"]),
        ((1234.5, 2.0), ["1,234", "2"]),
        ((1e-9, 0.5), ["1.00e-09", "5.00e-01"]),
        ((1.0, float("nan"), None), ["1.000", "–", "–"]),
        ((float("inf"), -float("inf"), 1.0), ["∞", "−∞", "1.000"]),
        ((1_000_000, 3), ["1,000,000", "3"]),
        ((0.0, 0.0), ["0", "0"]),
    ],
)
def test_numbers_of_a_column_are_written_alike(values, shown):
    assert cells(*values) == (shown, True)


def test_text_and_truth_are_no_numbers():
    assert cells(True, False) == (["yes", "no"], False)
    assert cells("a", 1) == (["a", "1"], False)


def test_a_table_without_rows_says_none():
    assert "none" in Reader(render(report(Section("s", "s", tables=(Table("t", ("a", "b"), ()),))))).texts


def test_table_from_a_frame():
    frame = pd.DataFrame(
        {
            "name": ["a", "b", "c"],
            "n": np.array([1, 2, 3]),
            "maybe": pd.array([1, None, 3], dtype="Int64"),
            "kind": pd.Categorical(["x", "y", "x"]),
            "ok": [True, False, True],
        }
    )
    table = table_from(frame, "Rows.", most=2)
    assert table.rows == (("a", 1, 1, "x", True), ("b", 2, None, "y", False))
    assert table.caption == "Rows (the first 2 of 3)."
    assert table_from(frame, "Rows.", columns=["n"]).rows == ((1,), (2,), (3,))
    assert table_from(frame.iloc[:0], "Rows.").rows == ()
    with pytest.raises(ConfigError, match="no column score; there are name, n"):
        table_from(frame, "Rows", columns=["score"])


@pytest.mark.parametrize(("kind", "mime"), [("png", "image/png"), ("svg", "image/svg+xml")])
def test_figure_from_keeps_its_size(kind, mime):
    picture = new_figure(5, 2)
    picture.add_subplot().set_title("a title")
    figure = figure_from(picture, "A caption", kind=kind)
    assert (figure.mime, figure.width, figure.caption) == (mime, 480, "A caption")
    assert 'width="480"' in render(report(Section("s", "s", figures=(figure,))))


def test_bad_values_are_refused():
    with pytest.raises(ConfigError, match="only relative paths and http"):
        Link("x", "javascript:alert(1)")
    with pytest.raises(ConfigError, match="only relative paths"):
        Link("x", "data:text/html,hello")
    with pytest.raises(ConfigError, match="text/html is not one of image/png"):
        Figure("x", b"", "text/html")
    with pytest.raises(ConfigError, match="row 2 has 1 cells, but there are 2 columns"):
        Table("t", ("a", "b"), ((1, 2), (1,)))
    with pytest.raises(ConfigError, match="must be letters, digits, hyphens"):
        Section("s", "two words")
    with pytest.raises(ConfigError, match="two sections are called s"):
        render(report(Section("1", "s", ("p",)), Section("2", "s", ("p",))))


def test_links_to_elsewhere_are_kept():
    table = Table("t", ("c",), ((Link("a page", "https://example.org/?a=1&b=2"),),))
    assert (
        Reader(render(report(Section("s", "s", tables=(table,))))).links[-1] == "https://example.org/?a=1&b=2"
    )


def test_write_report(tmp_path: Path):
    path = write_report(tmp_path / "new" / "report.html", everything())
    assert path.read_text(encoding="utf-8") == render(everything())
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_too_large_a_page_is_refused_and_the_old_one_kept(tmp_path: Path, monkeypatch):
    path = write_report(tmp_path / "report.html", report())
    before = path.read_bytes()
    monkeypatch.setattr(page, "MOST_BYTES", 1000)
    with pytest.raises(OutputError, match=r"report\.html: the report would have .* lower the dpi"):
        write_report(path, everything())
    assert path.read_bytes() == before


def test_a_folder_is_no_report(tmp_path: Path):
    with pytest.raises(OutputError, match="is a directory"):
        write_report(tmp_path, report())


def test_the_page_fits_paper_phones_and_the_dark():
    style = render(report())
    for query in ("print", "(max-width: 640px)", "(prefers-color-scheme: dark)"):
        assert f"@media {query}" in style
    assert 'name="viewport"' in style
