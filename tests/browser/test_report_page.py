"""The report in a real browser. Set SCREENSHOTS to a folder to keep what it looks like."""

import json
import os
from pathlib import Path

import pytest
from conftest import EVIL

APS = (
    "[...document.querySelectorAll('#rows .row')].map("
    "row => parseFloat(row.getAttribute('aria-label').match(/AP ([0-9.]+)/)[1]))"
)
FOCUSED = "[...document.querySelectorAll('#rows .row')].indexOf(document.activeElement)"


def choose(browser, name, value):
    browser.run(
        f"(() => {{ const box = document.getElementById({json.dumps(name)});"
        f"box.type === 'checkbox' ? box.checked = {json.dumps(value)} "
        f": box.value = {json.dumps(value)};"
        "box.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def labels(browser):
    return browser.run(
        "[...document.querySelectorAll('#rows .row')].map(row => row.getAttribute('aria-label'))"
    )


def count(browser):
    return browser.run("document.getElementById('count').textContent")


def test_the_page_opens_from_disk_without_fault_and_asks_for_nothing_else(opened, report):
    assert opened.run("document.title") == "Tiny on Toy: toy"
    assert len(labels(opened)) == 20
    assert opened.faults() == []
    assert opened.requested() == [report.as_uri()]


def test_every_picture_is_shown(opened):
    assert opened.run("document.querySelectorAll('#rows img').length") == 20 * 6
    assert opened.run(
        "[...document.querySelectorAll('img')].every(image => image.complete && image.naturalWidth)"
    )


def test_the_worst_query_comes_first_and_the_order_can_be_turned(opened):
    worst = opened.run(APS)
    assert worst == sorted(worst)
    choose(opened, "order", "best")
    best = opened.run(APS)
    assert best == sorted(best, reverse=True)
    assert best[0] > worst[0]
    choose(opened, "order", "path")
    places = [label.split(",")[0] for label in labels(opened)]
    assert [place.split("/")[0] for place in places[2:5]] == [f"query {EVIL}", *["query 0001"] * 2]
    assert opened.faults() == []


def test_filters_leave_the_queries_that_fit(opened):
    choose(opened, "direction", "visible_to_infrared")
    assert all("/rgb/" in label for label in labels(opened))
    choose(opened, "camera", "2")
    assert "of 21 queries" in count(opened)
    assert all("/D2-" in label for label in labels(opened))
    choose(opened, "identity", "0007")
    assert [label.split(",")[0] for label in labels(opened)] == ["query 0007/rgb/D2-T2"]
    choose(opened, "identity", "nobody")
    assert count(opened) == "no query is left by these filters"
    assert opened.faults() == []


def test_only_wrong_firsts_shows_no_query_whose_first_is_right(opened):
    choose(opened, "order", "best")
    choose(opened, "wrong", True)
    shown = labels(opened)
    assert shown
    assert not any(label.endswith("rank 1") for label in shown)
    signs = opened.run(
        "[...document.querySelectorAll('.row')].map(row => row.querySelector('.sign').textContent)"
    )
    assert set(signs) == {"✗"}


def test_green_is_the_identity_of_the_query_and_red_another(opened):
    shots = opened.run(
        "[...document.querySelectorAll('.row')].flatMap(row => {"
        "const pid = row.getAttribute('aria-label').match(/query ([^/]*)/)[1];"
        "return [...row.querySelectorAll('.nearest .shot')].map(shot => "
        "[shot.title.startsWith(pid + '/'), shot.classList.contains('match'),"
        " getComputedStyle(shot.querySelector('img')).borderTopColor]) })"
    )
    assert all(same == match for same, match, _ in shots)
    colors = {
        match: {color for _, kind, color in shots if kind == match} for match in (True, False)
    }
    assert len(colors[True]) == len(colors[False]) == 1
    assert colors[True] != colors[False]


def test_arrow_keys_go_from_query_to_query_and_over_the_end_of_a_page(opened):
    opened.run("document.querySelector('#rows .row').focus()")
    opened.press("ArrowDown")
    opened.press("ArrowDown")
    opened.press("ArrowUp")
    assert opened.run(FOCUSED) == 1
    opened.press("End")
    assert opened.run(FOCUSED) == 19
    opened.press("ArrowDown")
    assert opened.run(FOCUSED) == 0
    assert "page 2 of 4" in count(opened)
    opened.press("ArrowUp")
    assert opened.run(FOCUSED) == 19
    opened.press("PageDown")
    opened.press("PageDown")
    opened.press("PageDown")
    assert "61 to 63 of 63 queries, page 4 of 4" in count(opened)
    assert opened.run("document.getElementById('next').disabled")
    assert opened.run("document.querySelectorAll('#rows [tabindex=\"0\"]').length") == 1


def test_a_name_that_is_markup_stays_a_text(opened):
    choose(opened, "identity", EVIL)
    assert len(labels(opened)) == 3
    assert "onerror" in labels(opened)[0]
    assert opened.run("document.querySelectorAll('img[src=\"x\"]').length") == 0
    assert opened.run("document.title") == "Tiny on Toy: toy"


def test_the_map_is_colored_by_identity_and_brings_one_out(opened):
    fills = "new Set([...document.querySelectorAll('.point')].map(p => getComputedStyle(p).fill))"
    assert opened.run(f"{fills}.size") == 2
    choose(opened, "color", "identity")
    assert opened.run(f"{fills}.size") > 15
    choose(opened, "bring", "0003")
    assert opened.run("document.querySelectorAll('.point:not(.faint)').length") == 6


def test_colors_follow_the_system_and_the_button(opened):
    paper = "getComputedStyle(document.body).backgroundColor"
    light = opened.run(paper)
    opened.resize(1280, 900, "dark")
    dark = opened.run(paper)
    assert light != dark
    opened.run("document.getElementById('theme').click()")
    assert opened.run(paper) == light
    opened.run("document.getElementById('theme').click()")
    opened.resize(1280, 900, "light")
    assert opened.run(paper) == dark
    opened.run("document.getElementById('theme').click()")
    assert opened.run(paper) == light


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_reaches_over_the_edge(opened, width):
    opened.resize(width, 800)
    assert opened.run("document.documentElement.scrollWidth") <= width


def test_it_can_be_looked_at(opened, tmp_path):
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (width, colors) in {
        "light": (1280, "light"),
        "dark": (1280, "dark"),
        "phone": (390, "light"),
    }.items():
        opened.resize(width, 900, colors)
        opened.picture(folder / f"{name}.png")
        assert (folder / f"{name}.png").stat().st_size > 10_000
