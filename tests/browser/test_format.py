"""Numbers as the page writes them, and elements as it builds them."""

from playwright.sync_api import Page

from tests.browser.conftest import Visit

THIN = "\u202f"

CASES = [
    ("integer", [0], "0"),
    ("integer", [999], "999"),
    ("integer", [1234567.4], f"1{THIN}234{THIN}567"),
    ("integer", [-1234], f"-1{THIN}234"),
    ("integer", [None], "–"),
    ("number", [0], "0"),
    ("number", [0.123456], "0.123"),
    ("number", [12345.6], f"12{THIN}300"),
    ("number", [123456.7], f"123{THIN}457"),
    ("number", [1234.56, 6], "1234.56"),
    ("number", [8.75e-8], "8.75e-8"),
    ("number", [-2.5e20], "-2.50e20"),
    ("percent", [0.9702602], f"97{THIN}%"),
    ("duration", [0], f"0{THIN}ms"),
    ("duration", [2.5e-5], f"25{THIN}µs"),
    ("duration", [0.001239], f"1.24{THIN}ms"),
    ("duration", [3.14159], f"3.14{THIN}s"),
    ("duration", [600], f"10{THIN}min"),
    ("bytes", [512], f"512{THIN}B"),
    ("bytes", [36864], f"36{THIN}KiB"),
    ("bytes", [1024**3 * 1.5], f"1.5{THIN}GiB"),
    ("bytes", [0], f"0{THIN}B"),
    ("ago", [0, 4_000], "just now"),
    ("ago", [0, 61_000], "1 minute ago"),
    ("ago", [0, 7_300_000], "2 hours ago"),
    ("ago", [0, 3 * 86_400_000], "3 days ago"),
    ("count", [1, "row"], "1 row"),
    ("count", [3, "class", "classes"], "3 classes"),
]


def test_numbers_are_written_for_people(visit: Visit) -> None:
    page = visit()
    found = page.evaluate(
        """async (cases) => {
          const format = await import("./page/format.js");
          return cases.map(([name, given]) => format[name](...given.map((each) => each ?? NaN)));
        }""",
        [[name, given] for name, given, _ in CASES],
    )
    assert list(zip(CASES, found, strict=True)) == [(case, case[2]) for case in CASES]


def test_elements_hold_texts_as_texts(visit: Visit) -> None:
    page: Page = visit()
    found = page.evaluate(
        """async () => {
          const { el, svg, clear } = await import("./page/dom.js");
          let clicks = 0;
          const node = el("button", {
            class: "a", "data-x": 1, hidden: false, disabled: true, title: null, onclick: () => (clicks += 1),
            style: { "--width": "3px", color: "red" },
          }, "<b>", 0, null, false, [el("i", {}, "x"), ["y"]]);
          const options = ["1", "2"].map((value) => el("option", { value }, value));
          const select = el("select", { value: "2" }, options);
          node.disabled = false;
          node.click();
          return [node.outerHTML, clicks, select.value, svg("path", { d: "M0 0" }).namespaceURI,
            clear(node, "z").textContent];
        }"""
    )
    html = '<button class="a" data-x="1" style="--width: 3px; color: red;">&lt;b&gt;0<i>x</i>y</button>'
    assert found == [html, 1, "2", "http://www.w3.org/2000/svg", "z"]
