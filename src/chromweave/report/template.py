"""The frame of a page and its style: light and dark, narrow and wide, screen and paper."""

from string import Template

__all__ = ["PAGE", "STYLE"]

STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --soft: #55565a; --paper: #ffffff; --panel: #f4f5f7;
  --rule: #d5d7db; --link: #00558a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ea; --soft: #b0b2b8; --paper: #17181b; --panel: #222429; --rule: #3b3e45;
    --link: #7cc4f0; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0 auto; max-width: 1080px; padding: 2rem 1.5rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial,
  "DejaVu Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .8rem; }
h2 { font-size: 1.3rem; margin: 0 0 .7rem; }
p { max-width: 75ch; margin: 0 0 .8rem; overflow-wrap: break-word; }
a { color: var(--link); }
section { margin-top: 2.6rem; padding-top: 1.4rem; border-top: 1px solid var(--rule); }
nav { background: var(--panel); border-radius: 8px; padding: .9rem 1.2rem; margin: 1.2rem 0; }
nav h2 { font-size: 1rem; margin: 0 0 .3rem; }
nav ol { margin: 0; padding-left: 1.4rem; columns: 16rem auto; }
.figures { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 0 2rem; margin-left: -6px; }
figure { margin: .5rem 0; padding: 6px; max-width: 100%; break-inside: avoid; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px;
  outline: 6px solid #fff; outline-offset: -1px; }
figcaption { max-width: 85ch; margin: .7rem 6px 0; color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; margin: 1.3rem 0; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .45rem; color: var(--soft); }
th, td { padding: .28rem .75rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--rule); }
thead th { border-bottom: 2px solid var(--soft); white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
.provenance { width: 100%; }
.provenance th { width: 10rem; font-weight: 600; white-space: nowrap; }
.provenance td { overflow-wrap: anywhere; }
@media (max-width: 640px) { body { padding: 1rem .8rem 3rem; } th, td { padding: .25rem .45rem; } }
@media print { :root { --ink: #000; --soft: #333; --paper: #fff; --panel: #fff; --rule: #bbb; --link: #000; }
  body { max-width: none; padding: 0; font-size: 10.5pt; } nav { padding-left: 0; }
  h2 { break-after: avoid; } tr { break-inside: avoid; } .scroll { overflow: visible; } }
"""

PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="generator" content="chromweave">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header>
<h1>$title</h1>
$summary
$provenance
</header>
$contents
<main>
$sections
</main>
</body>
</html>
"""
)
