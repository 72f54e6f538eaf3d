"""One self-contained HTML page: values in, one file out, nothing fetched from anywhere.

Every text is escaped here and nowhere else; images travel as data URIs; a content security policy in the
page itself forbids anything external.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlsplit

import numpy as np

from ..errors import ConfigError, OutputError
from ..files import atomic_path
from .template import PAGE, STYLE

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas as pd

__all__ = [
    "MOST_BYTES",
    "Cell",
    "Figure",
    "Link",
    "Report",
    "Section",
    "Table",
    "figure_from",
    "render",
    "table_from",
    "write_report",
]

MOST_BYTES = 15_000_000
"""A page larger than this is refused: a browser, or a mail, would choke on it."""

_CSS_PIXELS_PER_INCH = 96
_RIM = 6  # CSS pixels of white around a picture, for dark pages
_MIMES = ("image/png", "image/svg+xml")


@dataclass(frozen=True)
class Link:
    """A hyperlink in a table: `href` is a path relative to the page, or an http(s) address."""

    text: str
    href: str

    def __post_init__(self) -> None:
        scheme = urlsplit(self.href).scheme.lower()
        if scheme not in ("", "http", "https"):
            raise ConfigError(
                f"link {self.href!r}: only relative paths and http(s) addresses, not {scheme}:."
            )


Cell = str | int | float | bool | Link | None
"""What a table holds; None and NaN are shown as a dash."""


@dataclass(frozen=True)
class Figure:
    """A picture.

    Parameters
    ----------
    caption
        What it shows, in full sentences; also read to those who cannot see it.
    image
        The bytes of a PNG or SVG file.
    mime
        ``"image/png"`` or ``"image/svg+xml"``.
    width
        CSS pixels at which it is shown at 100 %; it shrinks on a narrow screen.
    """

    caption: str
    image: bytes
    mime: str = "image/png"
    width: int = 960

    def __post_init__(self) -> None:
        if self.mime not in _MIMES:
            raise ConfigError(f"figure {self.caption!r}: {self.mime} is not one of {', '.join(_MIMES)}.")


@dataclass(frozen=True)
class Table:
    """A table with a caption; columns that hold numbers only are set to the right."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, 1):
            if len(row) != len(self.columns):
                raise ConfigError(
                    f"table {self.caption!r}: row {number} has {len(row)} cells, "
                    f"but there are {len(self.columns)} columns."
                )


@dataclass(frozen=True)
class Section:
    """A part of a report under its own heading.

    Parameters
    ----------
    title
        Its heading.
    anchor
        Its name in the page's address; letters, digits and hyphens.
    prose
        Paragraphs of plain text.
    figures, tables
        Shown after the prose, figures first.
    """

    title: str
    anchor: str
    prose: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", self.anchor):
            raise ConfigError(
                f"section {self.title!r}: anchor {self.anchor!r} must be letters, digits, hyphens."
            )

    @property
    def empty(self) -> bool:
        """Whether there is nothing below the heading."""
        return not (self.prose or self.figures or self.tables)


@dataclass(frozen=True)
class Report:
    """A page: what was done, how, and what came out.

    Parameters
    ----------
    title
        Its heading.
    summary
        Paragraphs of plain text at the top.
    provenance
        Name -> value: version, command, commit, time, machine, ... (as `provenance.describe_process` gives);
        None, lists and mappings are written out.
    sections
        Parts in order; None and empty ones are left out, so that a caller can pass what it has.
    """

    title: str
    summary: tuple[str, ...]
    provenance: Mapping[str, object]
    sections: Sequence[Section | None]

    @property
    def shown(self) -> tuple[Section, ...]:
        """The sections that have something to show.

        Raises
        ------
        ConfigError
            Two of them have one anchor.
        """
        shown = tuple(section for section in self.sections if section is not None and not section.empty)
        anchors = [section.anchor for section in shown]
        twice = sorted({anchor for anchor in anchors if anchors.count(anchor) > 1})
        if twice:
            raise ConfigError(f"report {self.title!r}: two sections are called {', '.join(twice)}.")
        return shown


def figure_from(
    picture: matplotlib.figure.Figure,
    caption: str,
    *,
    dpi: float = 160,
    kind: Literal["png", "svg"] = "png",
) -> Figure:
    """Turn a matplotlib figure into one of a report; text has its nominal size at 100 %.

    Parameters
    ----------
    picture
        The figure.
    caption
        What it shows.
    dpi
        Pixels per inch of a PNG (96 of them fill an inch of an ordinary screen).
    kind
        ``"svg"`` for lines and text, ``"png"`` for maps and many points.
    """
    from ..plot.style import image_bytes

    return Figure(
        caption,
        image_bytes(picture, kind, dpi),
        "image/png" if kind == "png" else "image/svg+xml",
        round(picture.get_figwidth() * _CSS_PIXELS_PER_INCH),
    )


def table_from(
    frame: pd.DataFrame, caption: str, *, columns: Sequence[str] | None = None, most: int = 20
) -> Table:
    """Turn the first `most` rows of a data frame into a table; the caption says how many there are.

    Raises
    ------
    ConfigError
        A column asked for is not there.
    """
    names = [str(name) for name in (frame.columns if columns is None else columns)]
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ConfigError(
            f"table {caption!r}: no column {', '.join(missing)}; "
            f"there are {', '.join(map(str, frame.columns))}."
        )
    if len(frame) > most:
        caption = f"{caption.rstrip('.')} (the first {most} of {len(frame):,})."
    cells = [[_plain(value) for value in frame[name].iloc[:most]] for name in names]
    return Table(caption, tuple(names), tuple(zip(*cells, strict=True)))


def _plain(value: object) -> Cell:
    """A numpy or pandas scalar as the plain value it stands for."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | int | float | Link):
        return value
    return None if type(value).__name__ in ("NAType", "NaTType") else str(value)


def write_report(path: str | Path, report: Report) -> Path:
    """Write `report` to `path` as one HTML file, whole or not at all, and return the path.

    Raises
    ------
    OutputError
        The file cannot be written, or would be larger than `MOST_BYTES`.
    """
    path = Path(path)
    page = render(report).encode()
    if len(page) > MOST_BYTES:
        raise OutputError(
            f"{path}: the report would have {len(page) / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:.0f}; "
            "draw a smaller region or lower the dpi."
        )
    with atomic_path(path) as temporary:
        temporary.write_bytes(page)
    return path


def render(report: Report) -> str:
    """The page of `report` as HTML5."""
    sections = report.shown
    return PAGE.substitute(
        title=_text(report.title),
        style=STYLE,
        summary=_paragraphs(report.summary),
        contents=_contents(sections),
        provenance=_provenance(report.provenance),
        sections="\n".join(map(_section, sections)),
    )


def _text(value: object) -> str:
    return escape(str(value), quote=True)


def _paragraphs(paragraphs: Iterable[str]) -> str:
    return "\n".join(f"<p>{_text(paragraph)}</p>" for paragraph in paragraphs)


def _contents(sections: Sequence[Section]) -> str:
    items = "".join(f'<li><a href="#{s.anchor}">{_text(s.title)}</a></li>' for s in sections)
    return f'<nav aria-label="Contents"><h2>Contents</h2><ol>{items}</ol></nav>' if items else ""


def _provenance(values: Mapping[str, object]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_text(name.replace("_", " "))}</th><td>{_text(_written_out(value))}</td></tr>'
        for name, value in values.items()
    )
    caption = "<caption>How this page was made</caption>"
    return f'<table class="provenance">{caption}<tbody>{rows}</tbody></table>' if rows else ""


def _written_out(value: object) -> str:
    if value is None:
        return "not known"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_written_out(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(map(_written_out, value))
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def _section(section: Section) -> str:
    parts = [
        _paragraphs(section.prose),
        _figures(section.figures),
        *map(_table, section.tables),
    ]
    body = "\n".join(part for part in parts if part)
    return f'<section id="{section.anchor}">\n<h2>{_text(section.title)}</h2>\n{body}\n</section>'


def _figures(figures: Sequence[Figure]) -> str:
    return '<div class="figures">' + "\n".join(map(_figure, figures)) + "</div>" if figures else ""


def _figure(figure: Figure) -> str:
    data, caption = base64.b64encode(figure.image).decode(), _text(figure.caption)
    return (
        f'<figure style="width: {figure.width + 2 * _RIM}px">'
        f'<img src="data:{figure.mime};base64,{data}" width="{figure.width}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    numeric = [_is_numeric(row[i] for row in table.rows) for i in range(len(table.columns))]
    classes = [' class="number"' if is_number else "" for is_number in numeric]
    decimals = [_decimals(row[i] for row in table.rows) for i in range(len(table.columns))]
    head = "".join(
        f'<th scope="col"{kind}>{_text(name)}</th>' for name, kind in zip(table.columns, classes, strict=True)
    )
    rows = "\n".join(
        "<tr>"
        + "".join(f"<td{k}>{_cell(c, d)}</td>" for c, k, d in zip(row, classes, decimals, strict=True))
        + "</tr>"
        for row in table.rows
    )
    rows = rows or f'<tr><td colspan="{max(len(table.columns), 1)}">none</td></tr>'
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{_text(table.caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>"
    )


def _is_numeric(cells: Iterable[Cell]) -> bool:
    known = [cell for cell in cells if cell is not None]
    return bool(known) and all(isinstance(c, int | float) and not isinstance(c, bool) for c in known)


def _cell(cell: Cell, decimals: int | None) -> str:
    if isinstance(cell, Link):
        href = cell.href if urlsplit(cell.href).scheme else quote(cell.href, safe="/#.")
        return f'<a href="{_text(href)}">{_text(cell.text)}</a>'
    if cell is None or (isinstance(cell, float) and not np.isfinite(cell)):
        return "–" if cell is None or np.isnan(cell) else ("∞" if cell > 0 else "−∞")
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:.2e}" if decimals is None else f"{cell:,.{decimals}f}"
    return _text(cell)


def _decimals(cells: Iterable[Cell]) -> int | None:
    """Decimals that all fractions of a column are shown with; None where they need scientific notation."""
    sizes = [abs(c) for c in cells if isinstance(c, float) and np.isfinite(c) and c != 0]
    if not sizes:
        return 0
    if min(sizes) < 1e-3 or max(sizes) >= 1e6:
        return None
    return max(0, 3 - max(0, int(np.floor(np.log10(max(sizes))))))
