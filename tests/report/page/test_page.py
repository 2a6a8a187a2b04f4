"""The page as a file: what it says, that it is safe, and that it needs nothing else."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_cells import made_comparison
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segbench.colours import class_colours
from segbench.report.figures.registry import LEGIBLE, best_of, drawings
from segbench.report.figures.sheets import most_disputed
from segbench.report.page.details import PICTURED
from segbench.report.page.images import image_data, mask_uri
from segbench.report.page.page import Figure, write_page
from segbench.report.sections.comparison import Comparison, Entry, Pair, Section

EVIL = "<img src=x onerror=alert(1)>"
EVIL_CLASS = "</script><script>alert('&\"1')</script>"


class Elements(HTMLParser):
    """All elements and the text of a page, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[Any]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for each, attrs in self.found if each == tag]


def written(comparison: Comparison, path: Path, **more: Any) -> str:
    write_page(comparison, path, **more)
    return path.read_text(encoding="utf-8")


def squeezed(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    folder = tmp_path_factory.mktemp("page")
    return made_comparison(folder / "mine"), folder / "mine" / "report" / "index.html"


@pytest.fixture(scope="module")
def html(made: tuple[Comparison, Path]) -> str:
    return written(*made, downloads=["table.csv"])


def test_everything_compared_is_on_the_page(made: tuple[Comparison, Path], html: str) -> None:
    comparison, _ = made
    page, (section,) = Elements(html), comparison.sections
    ids = {attrs["id"] for _, attrs in page.found if "id" in attrs}
    goals = [a["href"] for a in page.named("a")]
    assert {goal[1:] for goal in goals if goal and goal.startswith("#")} <= ids
    assert "table.csv" in goals
    for entry in section.entries:
        assert entry.label in page.text
        for cell in entry.cells:
            assert f"../{cell.name}" in page.text
    for said in (pair.sentence for pair in section.pairs):
        assert said in page.text
    for said in (*section.notes, *section.methods, comparison.command):
        assert said in page.text
    assert "SegbenchError: not enough memory: try data.batch_size=4" in page.text
    assert len([i for i in ids if i]) == len([a for _, a in page.found if "id" in a])  # no twins


def test_the_same_records_make_the_same_page(made: tuple[Comparison, Path], html: str) -> None:
    assert written(*made, downloads=["table.csv"]) == html


def test_nothing_is_fetched_and_only_its_own_script_may_run(html: str) -> None:
    page = Elements(html)
    policy = page.named("meta")[1]["content"] or ""
    script = re.search(r"<script>(.*)</script>", html, re.S)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    sources = [value for _, a in page.found for name, value in a.items() if name == "src"]
    assert len(sources) == 14 * 12  # of each finished cell three images of four pictures
    assert all(str(value).startswith("data:image/webp;base64,") for value in sources)
    assert all(a["href"] == "data:," for a in page.named("link"))
    style = "".join(re.findall(r"<style>(.*?)</style>", html, re.S))
    assert "url(" not in style
    assert "@import" not in style


def test_names_from_records_are_text(tmp_path: Path) -> None:
    comparison = made_comparison(
        tmp_path / "mine", (EVIL, "b"), ("c",), (0,), 4, ("background", EVIL_CLASS)
    )
    comparison.names = [EVIL]
    comparison.failures = [(EVIL, EVIL_CLASS)]
    section = comparison.sections[0]
    section.notes = section.methods = [f"{EVIL} https://a.org/{EVIL_CLASS}"]
    cell = section.entries[0].cells[0]
    cell.record["error"] = cell.record["command"] = EVIL_CLASS
    cell.record["environment"]["device"] = EVIL
    figure = Figure(f'"{EVIL}', "<svg></svg>", EVIL_CLASS)
    html = written(comparison, tmp_path / "index.html", figures=[[figure]], downloads=[EVIL])
    page = Elements(html)
    assert [each.get("type") for each in page.named("script")] == ["application/json", None]
    assert not [a for _, a in page.found if any(name.startswith("on") for name in a)]
    assert all(str(a.get("src", "data:")).startswith("data:") for a in page.named("img"))
    links = [str(a["href"]) for a in page.named("a")]
    assert "https://a.org/" in links
    assert not [link for link in links if "<" in link or "script:" in link]
    assert page.text.count(EVIL_CLASS) >= 5
    assert page.text.count(EVIL) >= 5


def test_addresses_in_captions_are_links(made: tuple[Comparison, Path]) -> None:
    figure = Figure("a", "<svg></svg>", "After doi:10.1000/182, and https://example.org/a.")
    links = [a["href"] for a in Elements(written(*made, figures=[[figure]])).named("a")]
    assert {"https://doi.org/10.1000/182", "https://example.org/a"} <= set(links)


def test_svgs_keep_their_ids_apart(made: tuple[Comparison, Path]) -> None:
    svg = '<?xml version="1.0"?><svg><path id="a"/><use href="#a" fill="url(#a)"/></svg>'
    html = written(*made, figures=[[Figure("<one>", svg), Figure("two", svg)]])
    assert (
        'aria-label="&lt;one&gt;"><path id="s1f0-a"/><use href="#s1f0-a" fill="url(#s1f0-a)"/>'
        in html
    )
    assert '<path id="s1f1-a"/>' in html
    assert "<?xml" not in html


def test_large_pictures_scroll_and_small_ones_fit(made: tuple[Comparison, Path]) -> None:
    pictures = [f'<img width="{width}" src="data:,">' for width in (1600, 1601)]
    html = written(*made, figures=[[Figure("a", picture) for picture in pictures]])
    assert '<img width="1600"' in html
    assert '<img class="wide" width="1601"' in html


def entry(label: str, mean: float) -> Entry:
    values = np.full((1, 3), mean)
    return Entry(label, {"algorithm": label}, [], [0], values, values.mean(axis=1), mean, mean, 0.5)


def plain(*labels: str) -> Comparison:
    """A comparison without cells, as of a table from elsewhere."""
    entries = [entry(label, 0.9 - 0.1 * k) for k, label in enumerate(labels)]
    section = Section("task", "", ["x", "y", "z"], [], entries)
    return Comparison(["table"], "value", ["algorithm"], [], [section])


@pytest.mark.parametrize(
    ("different", "said"),
    [
        ([True, True], "It is better than each of the other 2."),
        ([False, False], "None of the other 2 can be told from it on these cases."),
        ([False, True], "It cannot be told from b; it is better than 1 other."),
        ([False, None], "It cannot be told from b. 1 could not be tested against it."),
    ],
)
def test_the_answer_in_words(tmp_path: Path, different: list[bool | None], said: str) -> None:
    comparison = plain("a", "b", "c")
    section = comparison.sections[0]
    for k, each in enumerate(different):
        if each is not None:
            numbers = (3, 0.1, 0.0, 0.2, 0.01, np.nan, 0.5, 0.5, 0.1)
            section.pairs.append(Pair(0, k + 1, *numbers, each, "words"))
    text = squeezed(written(comparison, tmp_path / "index.html"))
    assert "a has the highest value of these runs: 0.9000" in text
    assert said in text.replace(" ; it", "; it").replace(" .", ".")


def test_a_table_from_elsewhere_has_neither_cells_nor_costs(tmp_path: Path) -> None:
    html = written(plain("a", "b"), tmp_path / "index.html")
    assert "3 cases" in html
    text = squeezed(html.partition("<footer")[0])
    assert not [word for word in ("cells", "memory", "FLOPs", "split") if word in text]


def test_nothing_finished_is_said(tmp_path: Path) -> None:
    comparison = plain("a")
    comparison.sections[0].entries[0].means = np.empty(0)
    text = squeezed(written(comparison, tmp_path / "index.html"))
    assert "No cell has finished, so there is nothing to compare yet." in text


def test_several_sections_are_ranked_together(tmp_path: Path) -> None:
    comparison = plain("a", "b")
    comparison.sections += plain("b", "a").sections
    html = written(comparison, tmp_path / "index.html")
    assert "never combined in one test" in html
    assert comparison.across_note in squeezed(html)
    rows = re.findall(r"<tr><th scope=\"row\">([ab])</th>(.*?)</tr>", html, re.S)
    across = [
        (label, squeezed(rest.replace("</td>", " ")).split())
        for label, rest in rows
        if "rank" in rest
    ]
    assert across == [
        ("a", ["1.50", "0.9000", "rank", "1", "0.8000", "rank", "2"]),
        ("b", ["1.50", "0.8000", "rank", "2", "0.9000", "rank", "1"]),
    ]


def test_panels_are_cut_into_their_pictures(made: tuple[Comparison, Path]) -> None:
    """A wide picture in a square tile: what is white around it goes."""
    comparison, path = made
    html = written(comparison, path)
    cell = comparison.sections[0].entries[0].done[0]
    with Image.open(cell.folder / "panels" / "test.png") as sheet:
        expected = np.asarray(sheet.convert("RGB"), float)[44 : 44 + 192, 6 : 6 + 256]
    sources = re.findall(r'<img src="data:image/webp;base64,([^"]+)" alt="image of best', html)
    with Image.open(io.BytesIO(base64.b64decode(sources[0]))) as tile:
        shown = np.asarray(tile, float)
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).mean() < 12  # noise, of which WebP keeps little


@pytest.mark.parametrize(
    ("size", "boxes", "pictures"),
    [
        ((50, 40), None, 1),
        (None, None, 0),
        ((50, 40), "[[[0, 0, 60, 9]]]", 0),
        ((50, 40), "[[[-9, 0, 9, 9]]]", 0),
        ((50, 40), "[1]", 0),
        ((50, 40), "half", 0),
    ],
)
def test_other_panels_are_shown_whole_and_damaged_ones_not(
    tmp_path: Path, size: tuple[int, int] | None, boxes: str | None, pictures: int
) -> None:
    comparison = made_comparison(tmp_path / "mine", ("a",), ("b",), (0,), 4)
    panel = comparison.sections[0].entries[0].cells[0].folder / "panels" / "test.png"
    if size:
        known = PngInfo()
        if boxes:
            known.add_text("tiles", boxes)
        Image.new("RGB", size).save(panel, pnginfo=known)
    else:
        panel.write_bytes(b"half a picture")
    page = Elements(written(comparison, tmp_path / "index.html"))
    shown = [each for each in page.named("img") if "src" in each]  # not those that a script fills
    assert len(shown) == pictures


def test_a_hundred_cells_would_fit_into_10_megabytes(tmp_path: Path) -> None:
    names = tuple("abcd"), tuple("wxyz"), (0, 1)
    comparison = made_comparison(tmp_path / "mine", *names, broken=False)
    assert len(written(comparison, tmp_path / "index.html")) < 32 * 80_000  # figures: 2 MB


def test_images_are_listed_by_disagreement_and_names_end_no_script(tmp_path: Path) -> None:
    comparison = made_comparison(tmp_path / "mine", ("a", "b"), ("c",), (0, 1), 9)
    section = comparison.sections[0]
    wanted = most_disputed(section)
    place = section.images.index(wanted[3])
    section.images[place] = "</script><b>"
    text = image_data(section, comparison, sections=1)
    assert text is not None
    assert "<" not in text
    told = json.loads(text)
    assert [name for name, _ in told["images"]] == [*wanted[:3], "</script><b>", *wanted[4:]]
    means = [entry.values.mean(axis=0)[place] for entry in section.scored]
    assert told["images"][3][1] == [f"{mean:.4f}" for mean in means]
    assert told["pictures"][3] is None  # of no image of that name
    assert len(told["pictures"][0]["masks"]) == len(section.scored) + 1  # and the truth
    assert image_data(section, comparison, sections=10**6) is not None  # without pictures
    section.images = []
    assert image_data(section, comparison, sections=1) is None


def test_a_mask_has_the_colours_of_its_classes_and_no_background() -> None:
    uri = mask_uri(np.array([[0, 1], [2, 255]], np.uint8), class_colours(["a", "b", "c"]))
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as opened:
        pixels = np.asarray(opened.convert("RGBA"))
    colours = class_colours(["a", "b", "c"]).colours
    assert pixels[..., 3].tolist() == [[0, 150], [150, 0]]
    assert pixels[0, 1, :3].tolist() == list(colours[1])
    assert pixels[1, 0, :3].tolist() == list(colours[2])


def test_many_entries_make_a_small_page(tmp_path: Path) -> None:
    models = [f"net{k:02d}" for k in range(60)]
    made = made_comparison(tmp_path / "many", models, ["dice"], [0, 1], images=6, broken=False)
    (section,) = made.sections
    assert len(section.pairs) == 60 * 59 / 2
    html = written(made, tmp_path / "many" / "report" / "index.html")
    elements = Elements(html)
    pairs = [attrs for tag, attrs in elements.found if tag == "li" and "data-pair" in attrs]
    shown = {tuple(map(int, str(attrs["data-pair"]).split())) for attrs in pairs}
    best = {(p.better, p.worse) for p in section.pairs if 0 in (p.better, p.worse)}
    among = {(p.better, p.worse) for p in section.pairs if max(p.better, p.worse) < LEGIBLE}
    assert shown == best | among
    assert f"pairs.csv holds all {len(section.pairs)}" in squeezed(html)
    assert len(elements.named("dialog")) == 60  # each entry has its details
    strips = [attrs for attrs in elements.named("figure") if attrs.get("class") == "strip"]
    assert len(strips) == 3 * PICTURED  # best, median and worst image of the first cells
    assert squeezed(html).count("this page shows those of the first") == 120 - PICTURED
    assert len(html) < 4_000_000


def test_figures_of_many_entries_draw_the_best(tmp_path: Path) -> None:
    models = [f"net{k:02d}" for k in range(LEGIBLE + 5)]
    made = made_comparison(tmp_path / "many", models, ["dice"], [0], images=6, broken=False)
    (section,) = made.sections
    best = best_of(section, LEGIBLE)
    assert best.entries == section.entries[:LEGIBLE]
    assert len(best.pairs) == LEGIBLE * (LEGIBLE - 1) / 2
    assert best_of(best, LEGIBLE) is best
    found = next(each for each in drawings(section, made) if each.name == "stability")
    assert f"The best {LEGIBLE} of {LEGIBLE + 5} entries." in found.caption
    figure = found.draw()
    assert figure is not None
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [entry.label for entry in best.entries]
