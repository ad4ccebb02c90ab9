"""What the comparison of servers found, as a table, a JSON file, a picture, and a section of the
documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import section

BARE, OURS = "bare ASGI on uvicorn", "foldserve"
Report = dict[str, Any]


def write(report: Report, results: Path) -> None:
    """Print the tables; write serving.json, serving.md and serving.png, and the section of the page."""
    text = "\n".join(_lines(report))
    print(text)
    results.mkdir(exist_ok=True)
    suffix = "-quick" if report["quick"] else ""
    (results / f"serving{suffix}.json").write_text(json.dumps(report, indent=2) + "\n")
    (results / f"serving{suffix}.md").write_text(text + "\n")
    plot(report, results / f"serving{suffix}.png")
    if not report["quick"]:
        section.write("performance.md", "bench-serving", text)


def _lines(report: Report) -> Iterator[str]:
    windows = f"medians of {report['rounds']} windows of {report['seconds']:g} s"
    yield f"{report['machine']}; {report['when']}; {windows}."
    for title, table in report["tables"].items():
        yield f"\n**{title}, JSON**\n"
        yield "| server | requests/s | ÷ bare | foldserve is | p50 µs | p99 µs | spread |"
        yield "|---|---|---|---|---|---|---|"
        yield from _rows(table)
    yield "\n**Other measurements of foldserve**\n"
    yield "| what | measured |"
    yield "|---|---|"
    yield from (f"| {what} | {value} |" for what, value in _facts(report["lines"]))
    if report["left_out"]:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in report["left_out"].items())
        yield f"\nLeft out: {reasons}."


def _rows(table: Report) -> Iterator[str]:
    for name, one in sorted(table.items(), key=lambda item: -item[1]["rate"]):
        of_bare = one["rate"] / table[BARE]["rate"]
        times = table[OURS]["rate"] / one["rate"]
        tail = f"{one['p50']:,.0f} | {one['p99']:,.0f} | {one['spread']:.0%}"
        yield f"| {name} | {one['rate']:,.0f} | {of_bare:.3f} | {times:.2f} × | {tail} |"


def _facts(lines: Report) -> Iterator[tuple[str, str]]:
    served, alone = lines["binary"]["rows per second"], lines["binary"]["session.run alone"]
    of_loop = f"{served / alone:.2f} of `session.run` in a loop ({alone:,.0f})"
    yield "`/v2/…/infer`, binary, 256 rows", f"{served:,.0f} rows/s, {of_loop}"
    rate, without = lines["heavy"]["rate, batching"], lines["heavy"]["rate, no batching"]
    more = f"{rate / without:.2f} × without batching ({without:,.0f})"
    yield "heavy model, 1 row, 16 connections", f"{rate:,.0f} requests/s, {more}"
    lone, unbatched = lines["heavy"]["p50, batching"], lines["heavy"]["p50, no batching"]
    more = f"{lone / unbatched:.2f} × without batching ({unbatched:,.0f})"
    yield "heavy model, one connection, p50", f"{lone:,.0f} µs, {more}"
    one, two = lines["workers"]["1 workers"], lines["workers"]["2 workers"]
    more = f"{two / one:.2f} × one worker ({one:,.0f})"
    yield "two workers on two cores, client on the same cores", f"{two:,.0f} requests/s, {more}"
    yield "process start to first answered prediction", f"{lines['start']['seconds']:.2f} s"
    before, after = lines["memory"]["MB at the start"], lines["memory"]["MB after 100,000 requests"]
    yield "resident memory", f"{before:.0f} MB at the start, {after:.0f} MB after 100,000 requests"


def plot(report: Report, file: Path) -> None:
    """Requests a second beside the ceiling, a panel for one row and one for 256."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    titles = [title for title in ("1 row", "256 rows") if title in report["tables"]]
    figure, axes = plt.subplots(1, len(titles), figsize=(11, 3.6), layout="constrained", squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        table = report["tables"][title]
        ceiling = table[BARE]["rate"]
        names = sorted((n for n in table if n != BARE), key=lambda n: table[n]["rate"])
        rates = [table[name]["rate"] for name in names]
        colours = ["#2b6cb0" if name == OURS else "#b8c0cc" for name in names]
        bars = axis.barh(names, rates, color=colours)
        for bar, rate in zip(bars, rates, strict=True):
            inside = rate > 0.6 * ceiling  # beside its bar the number would stand on the ceiling's line
            place = {"ha": "right", "color": "white"} if inside else {"ha": "left"}
            axis.text(rate, bar.get_y() + 0.4, f" {rate:,.0f} ", va="center", fontsize=8, **place)
        axis.axvline(ceiling, color="#c05621", linewidth=1.5)
        words = f"bare application\n{ceiling:,.0f} "
        axis.text(ceiling, 0, words, color="#c05621", fontsize=8, ha="right", va="center")
        axis.set_xlim(0, ceiling * 1.12)
        axis.set_title(f"{title} a request, JSON, 16 connections, one core", fontsize=10)
        axis.set_xlabel("requests per second")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)
    plt.close(figure)
