"""The section Folding: the graph before and after, what became of each normalisation, the certificate."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.looks import every_look, faults, overflow, shoot
from tests.processes import Server


def test_it_shows_both_graphs_the_fates_and_the_certificate(visit: Visit) -> None:
    page = visit("#/folding/diabetes")
    before = page.get_by_role("img", name="The graph before folding")
    after = page.get_by_role("img", name="The graph after folding")
    expect(before).to_have_accessible_name(
        "The graph before folding: features (Input), standardiser (Normalisation), linear1 (Gemm), "
        "norm1 (BatchNorm), node_relu (Relu), linear2 (Gemm), norm2 (BatchNorm), node_relu_1 (Relu), "
        "head (Gemm), target_scale (Normalisation), value (Output)."
    )
    expect(after).not_to_have_accessible_name("norm1")
    expect(after.locator(".faded")).to_have_count(3)
    expect(after).to_contain_text("folded into linear1")
    expect(after).to_contain_text("only its shift stays")
    expect(page.get_by_role("row", name="norm2 BatchNorm")).to_contain_text("Back into linear2")
    certificate = page.get_by_role("region", name="The certificate")
    expect(certificate).to_contain_text("66 rows that training never saw and 4\u202f030 points between those")
    expect(certificate).to_contain_text("the ratio is 0.952")
    for look in every_look(page):
        shoot(page, look, "folding")
        assert overflow(page) == 0
        assert faults(page) == []


def test_a_file_of_others_shows_the_graph_that_runs(visit: Visit, odd: Server) -> None:
    page = visit("#/folding/%3Cb%3Eother", server=odd)
    expect(page.get_by_role("main")).to_contain_text("a file that foldserve did not write")
    graph = page.get_by_role("img", name="The graph: x (Input), z (Gemm), y (Softmax), y (Output).")
    expect(graph).to_be_visible()
    for look in every_look(page):
        shoot(page, look, "folding-foreign")
        assert faults(page) == []
