"""The section Models: what is live, what is not and why, and how it follows the folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from playwright.sync_api import expect

from tests import graphs
from tests.browser.conftest import LOOKS_EVERY, Changing, Visit
from tests.browser.looks import every_look, faults, overflow, shoot
from tests.processes import Server, serve


def test_it_says_what_is_live_and_why_the_rest_is_not(visit: Visit, changing: Changing) -> None:
    page = visit("#/models", server=changing.server)
    digits = page.get_by_role("article", name="Model digits")
    expect(digits).to_contain_text("default")
    expect(digits).to_contain_text("64 features")
    expect(digits).to_contain_text("asked: auto")
    expect(digits).to_contain_text("213\u202fKiB")
    expect(digits.get_by_role("row", name="2 not live")).to_contain_text("Protobuf parsing failed")
    expect(page.get_by_role("article", name="Model broken")).to_contain_text("there is no such file")
    expect(page.get_by_role("article", name="Model diabetes")).to_contain_text("latest")
    for name in ("digits", "tensors<b>", "visits"):
        page.get_by_role("article", name=f"Model {name}").locator("summary").click()
    expect(digits).to_contain_text("test accuracy")
    expect(digits).to_contain_text("pixel_7_7")
    expect(page.get_by_role("article", name="Model tensors<b>")).to_contain_text("any × 2 × 2")
    expect(page.get_by_role("article", name="Model visits")).to_contain_text("Oslo, Köln, 北京")
    for look in every_look(page):
        shoot(page, look, "models-trouble")
        assert overflow(page) == 0
        assert faults(page) == []


def test_it_follows_models_that_come_change_and_go(visit: Visit, changing: Changing) -> None:
    page = visit("#/models", server=changing.server, clock=True)
    digits = page.get_by_role("article", name="Model digits")
    digits.locator("summary").click()
    graphs.put(graphs.linear(np.eye(5, dtype="f4"), np.zeros(5, "f4")), changing.folder, "newcomer")
    changing.wait_for('"features":5', there=True)
    page.clock.run_for(LOOKS_EVERY)
    newcomer = page.get_by_role("article", name="Model newcomer")
    expect(newcomer).to_contain_text("5 features")
    graphs.put(graphs.linear(np.eye(7, dtype="f4"), np.zeros(7, "f4")), changing.folder, "newcomer", 2)
    changing.wait_for('"features":7', there=True)
    page.clock.run_for(LOOKS_EVERY)
    expect(newcomer).to_contain_text("7 features")
    shutil.rmtree(changing.folder / "newcomer")
    changing.wait_for("newcomer", there=False)
    page.clock.run_for(LOOKS_EVERY)
    expect(newcomer).to_have_count(0)
    expect(digits.locator("details")).to_have_attribute("open", "")


def test_an_empty_folder_says_what_to_do(visit: Visit, tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        page = visit("", server=server)
        expect(page.get_by_text("foldserve train --dataset digits")).to_be_visible()
        for look in every_look(page):
            shoot(page, look, "models-none")
            assert faults(page) == []


def test_one_of_many_models_is_found_by_its_name(visit: Visit, odd: Server) -> None:
    page = visit("", server=odd)
    expect(page.get_by_role("article")).to_have_count(14)
    page.get_by_label("Find a model").fill("Breast")
    expect(page.get_by_role("article")).to_have_count(1)
