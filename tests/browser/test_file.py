"""The section File: tables in, predictions out; ONNX files where the operator allows it."""

from __future__ import annotations

import csv
import io
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.looks import every_look, faults, overflow, shoot
from tests.processes import Server
from tests.service.routes.test_fold import with_norm

_FOLDS = 30_000
"""A process begins, and imports onnx."""

_DROP = """([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name));
  const field = document.querySelector(".file-field");
  for (const kind of ["dragenter", "drop"]) {
    field.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}"""

_SPLIT = """async ([text, rows, step]) => {
  const { split } = await import("./page/file/splitter.js");
  const bytes = new TextEncoder().encode(text);
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += step) yield bytes.slice(at, at + step);
  }
  const found = [];
  for await (const part of split(pieces(), () => ({ bytes: 1 << 20, rows }))) {
    found.push([part.first, part.rows, new TextDecoder().decode(part.bytes())]);
  }
  return found;
}"""


def rows(count: int) -> pl.DataFrame:
    """Rows for `diabetes`, no two alike."""
    names = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    values = [[(i * 37 + k * 11) % 97 / 10 for i in range(count)] for k in range(len(names))]
    return pl.DataFrame(dict(zip(names, values, strict=True)))


def written(table: pl.DataFrame, **options: Any) -> bytes:
    file = io.BytesIO()
    table.write_parquet(file, **options)
    return file.getvalue()


def choose(page: Page, name: str, content: bytes) -> None:
    page.locator("#file-input").set_input_files({"name": name, "mimeType": "", "buffer": content})


@contextmanager
def frozen(page: Page, server: Server, call: str) -> Iterator[None]:
    """A server that stands still once a call is sent: the network takes it, and nobody answers."""

    def freeze(route: Route) -> None:
        os.killpg(server.process.pid, signal.SIGSTOP)
        route.continue_()

    page.route(call, freeze)
    try:
        yield
    finally:
        os.killpg(server.process.pid, signal.SIGCONT)
        page.unroute(call)


def downloaded(page: Page) -> list[list[str]]:
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert download.value.suggested_filename.endswith("-predictions.csv")
    return list(csv.reader(io.StringIO(Path(download.value.path()).read_text())))


def test_a_long_csv_is_predicted_in_order_and_downloaded(visit: Visit, server: Server) -> None:
    page = visit("#/file/diabetes", refusals=True, anew=False)
    table = rows(4_500)
    choose(page, "rows.csv", table.write_csv().encode())
    expect(page.get_by_role("heading", name="4\u202f500 predictions for rows.csv")).to_be_visible()
    found = downloaded(page)
    body = {"inputs": [list(row) for row in table.rows()[2_900:2_950]]}
    answer = page.request.post(f"{server.address}/models/diabetes/predict", data=body).json()
    assert found[0] == ["prediction"]
    assert len(found) == 4_501
    assert [float(row[0]) for row in found[2_901:2_951]] == pytest.approx(answer["predictions"], rel=1e-5)
    page.get_by_role("button", name="Last").click()
    expect(page.get_by_text("Rows 4\u202f476 to 4\u202f500 of 4\u202f500")).to_be_visible()
    expect(page.get_by_role("row", name="4\u202f500")).to_contain_text(found[-1][0])


def test_parquet_of_a_classifier_shows_labels_and_probabilities(visit: Visit) -> None:
    page = visit("#/file/digits", anew=False)
    expected = page.evaluate("async () => (await fetch('models/digits/examples/rows.parquet')).status")
    assert expected == 200
    address = page.evaluate("new URL('models/digits/examples/rows.parquet', document.baseURI).href")
    choose(page, "rows.parquet", page.request.get(address).body())
    expect(page.get_by_role("columnheader", name="p(9)")).to_be_visible()
    for look in every_look(page):
        shoot(page, look, "file-table")
        assert overflow(page) == 0
        assert faults(page) == []


def test_wrong_columns_and_files_are_named(visit: Visit) -> None:
    page = visit("#/file/diabetes", refusals=True, anew=False)
    choose(page, "wrong.csv", rows(3).rename({"bmi": "<b>bmi"}).write_csv().encode())
    alert = page.get_by_role("main").get_by_role("alert")
    expect(alert).to_contain_text("<b>bmi")
    expect(alert).to_contain_text("wrong.csv: ")
    shoot(page, next(every_look(page)), "file-wrong")
    choose(page, "notes.txt", b"hello")
    expect(alert).to_contain_text("neither CSV nor Parquet nor ONNX")
    choose(page, "broken.parquet", b"PAR1 nothing")
    expect(alert).to_contain_text("broken.parquet: ")
    choose(page, "empty.csv", b"")
    expect(alert).to_contain_text("empty.csv is empty")
    bad = rows(2_500).write_csv().splitlines(keepends=True)
    bad[2_301] = bad[2_301].replace(",", ",x", 1)
    choose(page, "late.csv", "".join(bad).encode())
    expect(alert).to_contain_text("row 2300")


def test_columns_that_the_model_does_not_know_are_left_out_with_one_key(visit: Visit) -> None:
    page = visit("#/file/diabetes", anew=False)
    sent: list[str] = []
    page.on(
        "request", lambda request: sent.append(request.post_data or "") if "/predict" in request.url else None
    )
    known = rows(2_100)
    notes = [f'{i}, "é"\n,' for i in range(2_100)]
    table = known.insert_column(0, pl.Series("id", range(2_100))).insert_column(
        4, pl.Series("<i>note", notes)
    )
    choose(page, "more.csv", b"\xef\xbb\xbf" + table.write_csv().encode())
    expect(page.get_by_role("main").get_by_role("alert")).to_have_text(
        "more.csv: diabetes does not know the columns id, <i>note. Nothing was sent yet."
        "Leave out 2 unknown columns and go on"
    )
    assert sent == []
    for look in every_look(page):
        shoot(page, look, "file-unknown")
        assert overflow(page) == 0
        assert faults(page) == []
    page.locator("#file-input").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("in the order of the file. Left out: id, <i>note.")).to_be_visible()
    assert "".join(text.removeprefix(sent[0][: sent[0].index("\n") + 1]) for text in sent) == rows(
        2_100
    ).write_csv(include_header=False)
    found = downloaded(page)
    choose(page, "known.csv", rows(2_100).write_csv().encode())
    expect(page.get_by_role("heading", name="2\u202f100 predictions for known.csv")).to_be_visible()
    assert downloaded(page) == found


def test_parquet_is_sent_without_the_columns_that_are_left_out(visit: Visit) -> None:
    page = visit("#/file/diabetes", anew=False)
    table = rows(500)
    choose(page, "rows.parquet", written(table))
    expect(page.get_by_role("link", name="Download CSV")).to_be_visible()
    expected = downloaded(page)
    secret = pl.Series("note", [f"secret {i}" for i in range(500)])
    nested = pl.Series("nested", [{"a": i, "b": [str(i)]} for i in range(500)])
    wide = table.insert_column(2, nested).with_columns(secret, id=pl.int_range(500, eager=True) % 9)
    sent: list[bytes | None] = []

    def look(route: Route) -> None:
        sent.append(route.request.post_data_buffer)
        route.continue_()

    page.route("**/predict", look)
    for compression, group in (("zstd", 120), ("uncompressed", None)):
        choose(page, "wide.parquet", written(wide, compression=compression, row_group_size=group))
        page.get_by_role("button", name="Leave out 3 unknown columns and go on").click()
        expect(page.get_by_text("Left out: nested, note, id.")).to_be_visible()
        assert downloaded(page) == expected
        body = sent.pop()
        assert body is not None
        assert pl.read_parquet(body).equals(rows(500))
        assert b"secret" not in body
    page.unroute_all()


def test_a_dropped_file_can_be_cancelled(visit: Visit) -> None:
    page = visit("#/file/diabetes", anew=False)
    waiting: list[Route] = []
    page.route("**/predict", lambda route: waiting.append(route))
    page.evaluate(_DROP, ["rows.csv", rows(5).write_csv()])
    expect(page.get_by_role("progressbar", name="Progress of rows.csv")).to_be_visible()
    for look in every_look(page):
        shoot(page, look, "file-progress")
        assert faults(page) == []
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("rows.csv: cancelled")).to_be_visible()
    for route in waiting:
        route.abort()
    page.unroute_all()


def test_an_onnx_file_shows_its_report_where_it_is_allowed(visit: Visit, server: Server) -> None:
    page = visit("#/file/diabetes", refusals=True, anew=False)
    choose(page, "net.onnx", with_norm().SerializeToString())
    expect(page.get_by_role("heading", name="Folding net.onnx")).to_be_visible(timeout=_FOLDS)
    expect(page.get_by_role("row", name="norm BatchNormalization")).to_contain_text("Back into dense")
    for look in every_look(page):
        shoot(page, look, "file-onnx")
        assert overflow(page) == 0
        assert faults(page) == []
    choose(page, "left.onnx", with_norm(used_twice=True).SerializeToString())
    left = page.get_by_role("row", name="norm BatchNormalization")
    expect(left).to_contain_text("is an output of the graph graph-output", timeout=_FOLDS)
    for look in every_look(page):
        shoot(page, look, "file-left")
        assert faults(page) == []
    choose(page, "bad.onnx", b"not a graph")
    expect(page.get_by_role("main").get_by_role("alert")).to_have_text(
        "bad.onnx: this is not an ONNX file", timeout=_FOLDS
    )


def test_a_server_that_does_not_fold_files_says_who_can_change_that(visit: Visit, odd: Server) -> None:
    page = visit("#/file/digits", server=odd)
    choose(page, "net.onnx", with_norm().SerializeToString())
    expect(page.get_by_role("main")).to_contain_text("start it with --fold-uploads")
    shoot(page, next(every_look(page)), "file-closed")


@pytest.mark.parametrize(
    ("upload", "held", "words"),
    [
        (("rows.parquet", written(rows(50))), "predict", "all sent; the server predicts"),
        (("net.onnx", with_norm().SerializeToString()), "fold", "all sent; the server folds"),
    ],
    ids=["parquet", "onnx"],
)
def test_while_the_server_works_the_seconds_are_counted_and_it_can_be_ended(
    visit: Visit, server: Server, upload: tuple[str, bytes], held: str, words: str
) -> None:
    page = visit("#/file/diabetes", server=server, clock=True)
    with frozen(page, server, f"**/{held}"):
        choose(page, *upload)
        name, _ = upload
        bar = page.get_by_role("progressbar", name=f"Progress of {name}")
        expect(page.get_by_role("main").get_by_role("status")).to_have_text(words)
        assert bar.evaluate("bar => [bar.position, getComputedStyle(bar).animationName]") == [-1, "none"]
        for seconds in ("1", "2", "3"):
            page.clock.run_for(1000)
            expect(page.get_by_role("timer")).to_have_text(f"{seconds}\u202fs")
        # axe waits by timers of the page.
        page.clock.resume()
        for look in every_look(page):
            shoot(page, look, f"file-waiting-{held}")
            assert overflow(page) == 0
            assert faults(page) == []
        page.emulate_media(reduced_motion="no-preference")
        assert bar.evaluate("bar => getComputedStyle(bar).animationName") == "file-wait"
        page.emulate_media(reduced_motion="reduce")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text(f"{name}: cancelled")).to_be_visible()


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_parts_are_tables_of_whole_rows(visit: Visit, step: int) -> None:
    page = visit("#/file/diabetes", anew=False)
    text = '\ufeffa,"b,\nc"\n1,"x\ny"\n2,""""\r\n3,5" pipe\n\n4,"ü,"\n5,z'
    assert page.evaluate(_SPLIT, [text, 2, step]) == [
        [0, 2, 'a,"b,\nc"\n1,"x\ny"\n2,""""\r\n'],
        [2, 3, 'a,"b,\nc"\n3,5" pipe\n\n4,"ü,"\n'],
        [5, 1, 'a,"b,\nc"\n5,z'],
    ]
    assert page.evaluate(_SPLIT, ["a\n1\n2\n3\n\n\n", 2, step]) == [[0, 2, "a\n1\n2\n"], [2, 1, "a\n3\n"]]
    assert page.evaluate(_SPLIT, ["a\n", 2, step]) == [[0, 0, "a\n"]]
