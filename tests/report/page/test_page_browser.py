"""The page in a real browser: Debian's chromium, headless; skipped where there is none.

SEGBENCH_REQUIRE=browser makes that a failure.
"""

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from engines import lacks
from made_cells import made_comparison

from segbench.report.page.page import Figure, write_page

if not importlib.util.find_spec("selenium"):
    lacks("browser", "selenium is not installed")
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
EVIL = "<img src=x onerror=document.title='evil'>"
# of each visible text too little contrast with what lies under it (WCAG 2.2, 1.4.3)
FAINT = """
const part = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
const colour = (text) => text.match(/[\\d.]+/g).map(Number);
const under = (e) => {
  for (; e; e = e.parentElement) {
    const c = colour(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c;
  }
  return [255, 255, 255];
};
const found = [];
const walk = document.createTreeWalker(arguments[0], NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !e.checkVisibility()) continue;
  const inSvg = e.closest("svg");
  const ink = colour(inSvg ? getComputedStyle(e).fill : getComputedStyle(e).color);
  const both = [light(ink), light(under(e))].sort((a, b) => b - a);
  const ratio = (both[0] + 0.05) / (both[1] + 0.05);
  found.push([ratio, walk.currentNode.data.trim().slice(0, 40)]);
}
return found;
"""
Driver = Any


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser or not shutil.which("chromedriver"):
        lacks("browser", "no chromium with its chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the page of a made-up comparison lies; one of its models has an evil name."""
    folder = tmp_path_factory.mktemp("page") / "mine"
    losses = ("bce", "dice", "focal", "tversky", "lovasz")
    comparison = made_comparison(folder, ("unet", EVIL), losses, (0, 1))
    svg = "<svg viewBox='0 0 900 90'><text y='50' fill='currentColor'>text</text></svg>"
    path = folder / "report" / "index.html"
    write_page(comparison, path, [[Figure("A figure", svg, "Its caption.")]])
    return path.as_uri()


@pytest.fixture
def opened(driver: Driver, page: str) -> Iterator[Driver]:
    """The page, fresh, 1280 pixels wide and light; afterwards the console must be empty."""
    look(driver, 1280, "light")
    driver.get("about:blank")
    driver.get(page)
    driver.execute_script("localStorage.clear()")
    driver.refresh()
    yield driver
    assert driver.get_log("browser") == []


def look(driver: Driver, width: int, scheme: str) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in wanted.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def one(driver: Driver, css: str) -> Any:
    return driver.find_element(By.CSS_SELECTOR, css)


def until(driver: Driver, true: Callable[[Driver], Any]) -> Any:
    return WebDriverWait(driver, 5, 0.02).until(true)


def dialog(driver: Driver) -> Any:
    return until(driver, lambda d: one(d, "dialog[open]"))


def closed(driver: Driver) -> bool:
    return bool(until(driver, lambda d: not d.find_elements(By.CSS_SELECTOR, "dialog[open]")))


def column(driver: Driver, head: str) -> tuple[Any, list[float]]:
    """A head of the table of entries, and what its column sorts by, from the top."""
    heads = driver.find_elements(By.CSS_SELECTOR, ".entries thead tr:last-child th")
    place = [each.text.split("\u2009")[0].strip() for each in heads].index(head)
    values = driver.execute_script(
        "return [...document.querySelectorAll('.entries tbody tr')]"
        ".map((row) => row.cells[arguments[0]].dataset.value)",
        place,
    )
    return heads[place], [float(value) if value else None for value in values]


def test_nothing_leaves_the_page_and_names_do_nothing(opened: Driver) -> None:
    fetched = opened.execute_script(
        "return performance.getEntriesByType('resource').map((each) => each.name)"
    )
    assert [name for name in fetched if not name.startswith("data:")] == []
    assert EVIL in one(opened, "main").text
    assert "evil" not in opened.title
    blocked = "const s = document.createElement('script'); s.text = 'window.ran = 1';"
    opened.execute_script(f"{blocked} document.body.append(s)")
    assert opened.execute_script("return window.ran") is None  # the policy holds
    assert "Content Security Policy" in opened.get_log("browser")[0]["message"]


def test_a_click_on_a_head_sorts_and_says_so(opened: Driver) -> None:
    head, before = column(opened, "training time")
    head.find_element(By.TAG_NAME, "button").click()
    head, values = column(opened, "training time")
    known = [value for value in before if value is not None]
    assert values[: len(known)] == sorted(known)
    assert values[len(known) :] == [None] * (len(before) - len(known)) != []  # last
    assert head.get_attribute("aria-sort") == "ascending"
    assert "training time, ascending" in one(opened, "#status").get_attribute("textContent")


def test_the_keyboard_sorts_and_turns_the_order(opened: Driver) -> None:
    head, before = column(opened, "mean ± SD")
    known = sorted(value for value in before if value is not None)
    button = head.find_element(By.TAG_NAME, "button")
    button.send_keys(Keys.ENTER)  # what is better when higher has its highest first
    head, values = column(opened, "mean ± SD")
    assert values[: len(known)] == known[::-1]
    assert head.get_attribute("aria-sort") == "descending"
    button.send_keys(Keys.SPACE)
    head, values = column(opened, "mean ± SD")
    assert values[: len(known)] == known
    assert head.get_attribute("aria-sort") == "ascending"
    assert len(opened.find_elements(By.CSS_SELECTOR, "[aria-sort]")) == 1


@pytest.mark.parametrize("best", [".grid a.best", ".entries .best a"])
def test_enter_opens_an_entry_and_escape_gives_the_focus_back(opened: Driver, best: str) -> None:
    link = one(opened, best)
    link.send_keys(Keys.ENTER)
    shown = dialog(opened)
    assert f"#{shown.get_attribute('id')}" == link.get_attribute("hash")
    assert opened.execute_script("return arguments[0].contains(document.activeElement)", shown)
    assert len(shown.find_elements(By.CSS_SELECTOR, "figure svg")) == 1  # the curves of all seeds
    pictures = shown.find_elements(By.TAG_NAME, "img")
    assert len(pictures) == 24  # of each seed three images of four pictures
    opened.execute_script("arguments[0].scrollIntoView()", pictures[-1])
    until(opened, lambda _: pictures[-1].get_property("naturalWidth") == 256)
    one(opened, "dialog[open] h3").send_keys(Keys.ESCAPE)
    assert closed(opened)
    until(opened, lambda _: opened.switch_to.active_element == link)  # by the event that follows
    assert "#" not in opened.current_url


def test_a_click_on_a_row_opens_it_and_close_closes(opened: Driver) -> None:
    row = one(opened, ".entries tbody tr:nth-child(2)")
    name = row.find_element(By.TAG_NAME, "a").text
    row.find_element(By.CSS_SELECTOR, "td:nth-child(3)").click()
    assert dialog(opened).find_element(By.TAG_NAME, "h3").text == name
    one(opened, "dialog[open] form button").click()
    assert closed(opened)


def test_an_address_opens_a_cell_and_arrows_go_on(opened: Driver, page: str) -> None:
    failed = one(opened, "#unwell dt a")
    address = failed.get_attribute("hash")
    opened.get("about:blank")
    opened.get(page + address)
    shown = dialog(opened)
    assert "not enough memory" in shown.text
    assert opened.switch_to.active_element.get_attribute("id") == address[1:]
    one(opened, "dialog[open] .steps a").click()
    until(opened, lambda d: dialog(d) != shown)
    assert len(opened.find_elements(By.CSS_SELECTOR, "dialog[open]")) == 1
    opened.back()
    until(opened, lambda d: dialog(d) == shown)


def test_pairs_of_one_entry(opened: Driver) -> None:
    def sentences() -> list[str]:
        said = opened.find_elements(By.CSS_SELECTOR, ".sentences li span:last-child")
        return [f" {each.text}" for each in said if each.text]

    select = Select(one(opened, ".pairs select"))
    name = select.options[3].text
    assert select.first_selected_option.text == select.options[1].text  # of many, the best one's
    select.select_by_index(0)
    every = sentences()
    select.select_by_index(3)
    shown = sentences()
    assert shown == [each for each in every if f" {name} " in each]
    assert 0 < len(shown) < len(every)
    assert f"{len(shown)} pairs shown" == one(opened, "#status").get_attribute("textContent")
    opened.find_element(By.CSS_SELECTOR, ".pairs summary").click()
    rows = opened.find_elements(By.CSS_SELECTOR, ".pairs tbody tr")
    assert len([row for row in rows if row.is_displayed()]) == len(shown)


@pytest.mark.parametrize("entry", [False, True])
def test_nothing_is_wider_than_a_phone(opened: Driver, entry: bool) -> None:
    look(opened, 375, "light")
    if entry:
        one(opened, ".grid a").send_keys(Keys.ENTER)
        dialog(opened)
    widths = "const e = arguments[0]; return [e.scrollWidth, e.clientWidth, innerWidth]"
    for element in (one(opened, "html"), *([dialog(opened)] if entry else [])):
        scroll, client, window = opened.execute_script(widths, element)
        assert scroll <= client <= window == 375


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(opened: Driver, scheme: str) -> None:
    look(opened, 1280, scheme)
    found = opened.execute_script(FAINT, one(opened, "body"))
    one(opened, ".grid a").send_keys(Keys.ENTER)
    found += opened.execute_script(FAINT, dialog(opened))
    assert len(found) > 200
    assert [each for each in found if each[0] < 4.5] == []
    paper = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(","))) < 150) == (scheme == "dark")


def test_the_button_turns_the_colours_and_is_remembered(opened: Driver) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    before, button = opened.execute_script(paper), one(opened, "#theme")
    assert button.text == "Dark"
    button.click()
    dark = opened.execute_script(paper)
    assert dark != before
    opened.refresh()
    assert opened.execute_script(paper) == dark
    assert one(opened, "#theme").text == "Light"


def test_without_scripts_everything_is_there(opened: Driver, page: str) -> None:
    opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened.get("about:blank")
        html = Path(page.removeprefix("file://")).read_text(encoding="utf-8")
        address = html.partition('<dialog id="')[2].partition('"')[0]
        opened.get(f"{page}#{address}")
        assert one(opened, f"#{address}").is_displayed()  # an entry, by its address
        assert all(e.text for e in opened.find_elements(By.CSS_SELECTOR, ".sentences li"))
        assert not one(opened, "#theme").is_displayed()
    finally:
        opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_headings_are_in_order_and_tables_have_names(opened: Driver) -> None:
    levels = opened.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3, h4')].map((h) => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(b - a for a, b in pairwise(levels)) == 1
    nameless = "return document.querySelectorAll('table:not(:has(> caption))').length"
    assert opened.execute_script(nameless) == 0
    scopeless = "return document.querySelectorAll('th:not([scope])').length"
    assert opened.execute_script(scopeless) == 0


def images(driver: Driver) -> list[list[str]]:
    """The texts of the rows of the table of images."""
    rows = driver.find_elements(By.CSS_SELECTOR, ".images tbody tr")
    return [[each.text for each in row.find_elements(By.XPATH, "./*")] for row in rows]


def test_images_come_by_the_disagreement_of_two_entries(opened: Driver) -> None:
    block = one(opened, ".images")
    assert block.is_displayed()
    rows = images(opened)
    gaps = [abs(float(row[3])) for row in rows]
    assert len(rows) == 12
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0
    for row in rows:
        assert float(row[3]) == pytest.approx(float(row[1]) - float(row[2]), abs=2e-4)
    left, right = (Select(one(opened, f".images select.{side}")) for side in ("left", "right"))
    assert [each.text for each in right.options][-1] == "truth"
    right.select_by_visible_text("truth")
    scores = [float(row[1]) for row in images(opened)]
    assert scores == sorted(scores)  # the worst of the left one first
    assert {row[2] for row in images(opened)} == {"–"}
    left.select_by_index(2)
    assert [float(row[1]) for row in images(opened)] != scores


def test_the_boundary_and_the_choice_work_by_keyboard(opened: Driver) -> None:
    stack, bar = one(opened, ".images .stack"), one(opened, ".images input[type=range]")
    clips = (
        "return [...document.querySelectorAll('.stack img:not(.whole)')]"
        ".map((e) => getComputedStyle(e).clipPath)"
    )
    middle = opened.execute_script(clips)
    bar.send_keys(Keys.HOME)
    assert opened.execute_script(clips) != middle
    at = "return arguments[0].style.getPropertyValue('--at')"
    assert opened.execute_script(at, stack) == "0%"
    pictures = "return [...document.querySelectorAll('.stack img')].map((e) => e.src)"
    before = opened.execute_script(pictures)
    assert all(each.startswith("data:image/") for each in before)
    button = opened.find_elements(By.CSS_SELECTOR, ".images tbody button")[3]
    button.send_keys(Keys.ENTER)
    assert opened.execute_script(pictures) != before
    pressed = opened.find_elements(By.CSS_SELECTOR, ".images [aria-pressed=true]")
    assert [each.text for each in pressed] == [button.text]
    assert button.text in one(opened, ".slider figcaption").text


def test_a_search_finds_images(opened: Driver) -> None:
    name = images(opened)[0][0]
    search = one(opened, ".images input[type=search]")
    search.send_keys(name.upper())
    assert [row[0] for row in images(opened)] == [name]
    assert "1 of 1 images found among 20" in one(opened, ".images caption").text
    assert one(opened, "#status").get_attribute("textContent") == "1 images found"
    search.send_keys("no such")
    assert images(opened) == []
    assert not one(opened, ".slider").is_displayed()


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_nothing_is_wider_than_its_window(opened: Driver, width: int) -> None:
    look(opened, width, "dark")
    found = opened.execute_script("return document.documentElement.scrollWidth")
    assert found <= width


def test_on_paper_nothing_is_cut(opened: Driver) -> None:
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    look(opened, 700, "light")  # pixels, about an A4 page without its margins
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        cut = (
            "return [...document.querySelectorAll('main .scroll, main figure')].filter((e) => "
            "e.checkVisibility() && (getComputedStyle(e).overflowX === 'auto' || "
            "e.tagName === 'FIGURE' && getComputedStyle(e).breakInside !== 'avoid')).length"
        )
        assert opened.execute_script(cut) == 0
        assert not one(opened, ".images").is_displayed()
        found = opened.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
        assert found["data"].startswith("JVBERi")  # a PDF
    finally:
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_long_tables_have_pages_and_a_filter(driver: Driver, tmp_path: Path) -> None:
    models = [f"net{k:02d}" for k in range(60)]
    made = made_comparison(tmp_path / "many", models, ["dice"], [0], images=4, broken=False)
    path = tmp_path / "many" / "report" / "index.html"
    write_page(made, path)
    driver.get(path.as_uri())
    table = driver.find_element(By.CSS_SELECTOR, "table.entries")
    bar = table.find_element(By.XPATH, "../preceding-sibling::p[1]")
    previous, following = bar.find_elements(By.TAG_NAME, "button")

    def shown() -> list[str]:
        rows = table.find_elements(By.CSS_SELECTOR, "tbody tr")
        return [row.find_element(By.TAG_NAME, "th").text for row in rows if row.is_displayed()]

    def click(element: Driver) -> None:
        driver.execute_script("arguments[0].click()", element)

    assert "1 to 50 of 60" in bar.text
    assert len(shown()) == 50
    assert not previous.is_enabled()
    click(following)
    assert "51 to 60 of 60" in bar.text
    assert len(shown()) == 10
    assert not following.is_enabled()
    search = bar.find_element(By.TAG_NAME, "input")
    search.send_keys("NET1")
    assert "1 to 10 of 10" in bar.text
    assert all(name.startswith("net1") for name in shown())
    search.send_keys(Keys.BACKSPACE * 4)
    click(following)
    click(table.find_element(By.CSS_SELECTOR, "thead tr:last-child th button"))  # sorts by name
    assert "1 to 50 of 60" in bar.text
    assert [name.split()[0] for name in shown()] == models[:50]
    assert [each for each in driver.get_log("browser") if each["level"] == "SEVERE"] == []
