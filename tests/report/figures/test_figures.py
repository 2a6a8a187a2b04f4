"""Figures: whole, repeatable, drawn from the right numbers, and quiet about what is missing."""

import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from made_cells import made_cells, made_comparison
from PIL import Image

from segbench.report.compare.build import compare_cells
from segbench.report.figures.cost_figures import cost, pareto_front, place_labels
from segbench.report.figures.curve_figures import curves
from segbench.report.figures.drawing import COLOURS, INK, MARKERS, entry_styles, svg_text
from segbench.report.figures.pair_figures import alike_groups, mean_ranks, pairs, ranks
from segbench.report.figures.registry import FIGURES, drawings, write_figures
from segbench.report.figures.score_figures import boxes, class_scores, stability
from segbench.report.plain import compare_table
from segbench.report.sections.comparison import Comparison, Entry, Pair, Section
from segbench.text.numbers import share_text

KINDS = {kind.name: kind for kind in FIGURES if kind.draw}
CLASSES = ("background", "cell1", "cell2")
ELSEWHERE = ("sizes", "tuning", "reliability")  # of learning curves, searches, probabilities


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return made_comparison(tmp_path_factory.mktemp("made") / "group", classes=CLASSES, images=12)


def entry(label: str, values: Any, **options: str) -> Entry:
    values = np.atleast_2d(np.array(values, float))
    return Entry(label, options, seeds=[*range(len(values))], values=values, means=values.mean(1))


def section(*entries: Entry, told: Any = ()) -> Section:
    count = range(len(entries))
    made = [
        Pair(i, j, 9, 0.1 * (j - i), 0, 1, 0.5, np.nan, 0, 0.5, 0.1, (i, j) in told, "")
        for i, j in combinations(count, 2)
    ]
    images = [f"image{k}" for k in range(entries[0].values.shape[1])]
    return Section("data", "", images, [], list(entries), made)


def table(folder: Path, rows: str) -> Comparison:
    path = folder / "scores.csv"
    path.write_text("task,algorithm,case,value\n" + rows)
    return compare_table(path, replicates=50)


def texts(figure: Any) -> list[str]:
    return [text for _, text in re.findall(r"<text([^>]*)>([^<]*)</text>", svg_text(figure))]


def test_files_are_whole_and_can_stand_in_one_page(made: Comparison, tmp_path: Path) -> None:
    (drawn,) = write_figures(made, tmp_path)
    assert list(drawn) == [kind for kind in KINDS if kind not in ELSEWHERE]
    names = {f"{kind}-synthetic.{end}" for kind in drawn for end in ("svg", "png")}
    assert {path.name for path in tmp_path.iterdir()} == names
    ids: list[str] = []
    for kind, each in drawn.items():
        root = ElementTree.fromstring(each.svg)
        own = [node.get("id", "") for node in root.iter() if node.get("id")]
        wanted = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", each.svg))
        assert wanted == set(own)
        ids += own
        assert root.get("role") == "img"
        assert "synthetic" in root.get("aria-label", "")
        assert "<style" not in each.svg
        assert "metadata" not in each.svg
        assert INK not in each.svg
        assert "currentColor" in each.svg
        assert (each.title, each.caption) == (KINDS[kind].title, KINDS[kind].caption)
        text = each.files[0].read_text()
        assert text == each.svg.replace("currentColor", "black")
        with Image.open(each.files[1]) as picture:
            assert picture.getpixel((0, 0))[:3] == (255, 255, 255)  # type: ignore[index]
    assert len(ids) == len(set(ids)) > 20


def test_the_same_comparison_gives_the_same_bytes(tmp_path: Path) -> None:
    made = made_comparison(tmp_path / "group", ("unet",), images=6, seeds=(0,))
    write_figures(made, tmp_path / "one")
    write_figures(made, tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_text_is_text_and_no_colours_are_red_and_green(made: Comparison) -> None:
    figure = stability(made.sections[0], made)
    assert "unet · dice" in texts(figure)
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg_text(figure)))
    assert used <= {colour.lower() for colour in COLOURS}


def test_drawing_leaves_no_trace(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parents[2] / "helpers")!r}]
import segbench.report.figures.registry, segbench.report.figures.sheets
assert not {{"matplotlib", "torch"}} & set(sys.modules)
import matplotlib
matplotlib.rcParams["font.size"] = 3
before = matplotlib.rcParams.copy()
from pathlib import Path
from made_cells import made_comparison
made = made_comparison(Path({str(tmp_path)!r}) / "group", images=8, seeds=(0,))
segbench.report.figures.registry.write_figures(made, Path({str(tmp_path)!r}) / "report")
assert matplotlib.rcParams.copy() == before
assert not {{"matplotlib.pyplot", "torch"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], timeout=120)
    assert done.returncode == 0


def test_class_scores_are_means_over_seeds(made: Comparison) -> None:
    part = made.sections[0]
    first = part.scored[0]
    found = class_scores(part, first, "iou")
    assert list(found) == list(CLASSES)
    rows = pd.concat([cell.scores for cell in first.done])
    wanted = rows[rows["class"] == "cell2"].groupby("id")["iou"].mean().reindex(part.images)
    assert found["cell2"] == pytest.approx(wanted.to_numpy(), nan_ok=True)
    assert np.isnan(found["cell2"]).any()  # an image without the class is among them
    assert list(class_scores(part, first, "dice/cell1")) == ["cell1"]


def test_box_plots_show_medians_and_means(made: Comparison) -> None:
    part = made.sections[0]
    figure = boxes(part, made)
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == list(CLASSES)
    for axes, name in zip(figure.axes, CLASSES, strict=True):
        values = [class_scores(part, each, "iou")[name] for each in part.scored]
        (bars,) = [each for each in axes.collections if each.get_label() == "median"]
        medians = [path.vertices[0, 0] for path in bars.get_paths()]
        assert medians == pytest.approx([np.nanmedian(each) for each in values])
        (marks,) = axes.lines
        assert marks.get_xdata() == pytest.approx([np.nanmean(each) for each in values])
        dots = axes.collections[0].get_offsets()
        assert len(dots) == sum(np.isfinite(each).sum() for each in values)  # few: all are drawn


def test_of_many_images_only_outliers_are_dots(tmp_path: Path) -> None:
    values = [*np.linspace(0.4, 0.6, 70), 0.0, 1.0]  # no other is 1.5 boxes away
    made = table(tmp_path, "".join(f"t,a,{k},{value}\n" for k, value in enumerate(values)))
    figure = boxes(made.sections[0], made)
    assert figure is not None
    dots = figure.axes[0].collections[0].get_offsets()
    assert sorted(x for x, _ in np.asarray(dots).tolist()) == [0, 1]


def test_a_score_that_images_do_not_have_is_boxed_as_iou(tmp_path: Path) -> None:
    cells = made_cells(tmp_path / "group", images=6, seeds=(0,))
    made = compare_cells(cells, ["group"], score="iou_dataset", replicates=50)
    figure = boxes(made.sections[0], made)
    assert "IoU of an image" in texts(figure)
    assert ranks(made.sections[0], made) is None


def test_intervals_and_shares_are_printed(made: Comparison) -> None:
    part = made.sections[0]
    figure = stability(part, made)
    assert figure is not None
    words = texts(figure)
    for each in part.scored:
        assert f"{each.mean:.4f}" in words
        assert share_text(each.first) in words
    spans = [line.get_segments()[0] for line in figure.axes[0].collections if len(line.get_paths())]
    assert [tuple(span[:, 0]) for span in spans] == [
        pytest.approx((each.low, each.high)) for each in part.scored
    ]
    assert len(figure.axes[0].patches) == sum(each.like_best for each in part.scored)


def test_mean_ranks_by_hand() -> None:
    one, two, three = (
        entry("a", [0.9, 0.5, 0.7]),
        entry("b", [0.8, 0.5, 0.1]),
        entry("c", [1, 0, 0]),
    )
    three.values[0, 2] = np.nan  # so the third image ranks nobody
    found, images = mean_ranks([one, two, three])
    assert images == 2
    assert found.tolist() == [(2 + 1.5) / 2, (3 + 1.5) / 2, (1 + 3) / 2]


def test_groups_by_hand() -> None:
    entries = [entry(name, [0.5, 0.6]) for name in "abcd"]
    # a differs from c and d: b joins a and, apart from that, c and d
    assert alike_groups(section(*entries, told=[(0, 2), (0, 3)])) == [[0, 1], [1, 2, 3]]
    assert alike_groups(section(*entries)) == [[0, 1, 2, 3]]
    assert alike_groups(section(*entries, told=list(combinations(range(4), 2)))) == []


@pytest.mark.parametrize("seed", range(5))
def test_groups_join_just_those_that_do_not_differ(seed: int) -> None:
    rng = np.random.default_rng(seed)
    entries = [entry(str(k), [0.5, 0.6]) for k in range(12)]
    told = {pair for pair in combinations(range(12), 2) if rng.random() < 0.4}
    groups = alike_groups(section(*entries, told=told))
    joined = {pair for group in groups for pair in combinations(group, 2)}
    assert joined == set(combinations(range(12), 2)) - told


def test_ranks_draw_every_group(tmp_path: Path) -> None:
    entries = [entry(name, [1 - k / 10, 0.9 - k / 10]) for k, name in enumerate("abcd")]
    part = section(*entries, told=[(0, 2), (0, 3)])
    figure = ranks(part, Comparison(["x"], "iou", [], [], [part]))
    assert figure is not None
    dots = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert [list(line.get_ydata()) for line in dots] == [[0, 1], [1, 2, 3]]
    assert [text for text in texts(figure) if text in ("1.0", "2.0", "3.0", "4.0")] != []


def test_lower_is_better_turns_ranks_and_front(tmp_path: Path) -> None:
    cells = made_cells(tmp_path / "group", images=8, seeds=(0,))
    made = compare_cells(cells, ["group"], score="assd", replicates=50)
    part = made.sections[0]
    for k, each in enumerate(part.scored):  # the better, the dearer: all are on the front
        each.cost["parameters"] = 9e6 - 1e6 * k
    figure = cost(part, made)
    assert figure is not None
    (front,) = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    steps = np.asarray(front.get_ydata(), float)
    assert steps[::2] == pytest.approx([each.mean for each in reversed(part.scored)])
    figure = ranks(part, made)
    assert figure is not None
    drawn = [np.ravel(line.get_xdata())[0] for line in figure.axes[0].lines]
    values = np.array([each.values[0] for each in part.scored])
    values = values[:, ~np.isnan(values).any(axis=0)]
    assert sorted(drawn) == pytest.approx(sorted(pd.DataFrame(values).rank().mean(axis=1)))


def test_pairs_frame_what_differs() -> None:
    entries = [entry(name, [0.5, 0.6]) for name in "abc"]
    part = section(*entries, told=[(0, 2)])
    figure = pairs(part, Comparison(["x"], "iou", [], [], [part]))
    assert figure is not None
    (frame,) = figure.axes[0].lines
    assert (np.mean(frame.get_xdata()), np.mean(frame.get_ydata())) == pytest.approx(
        (2.45, 0.45), abs=0.1
    )
    assert {".100", ".200"} <= set(texts(figure))


def test_pareto_front_by_hand() -> None:
    costs = [1, 2, 3, 3, 4, 2, np.nan]
    scores = [0.5, 0.7, 0.7, 0.9, 0.8, 0.6, 1.0]
    assert pareto_front(costs, scores) == [0, 1, 3]
    assert pareto_front([1, 1], [0.5, 0.5]) == [0, 1]  # neither beats the other
    assert pareto_front([], []) == []


@pytest.mark.parametrize("seed", range(5))
def test_pareto_front_is_what_nothing_dominates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs, scores = rng.integers(0, 8, (2, 25))
    wanted = {
        k
        for k in range(25)
        if not (
            (costs <= costs[k])
            & (scores >= scores[k])
            & ((costs < costs[k]) | (scores > scores[k]))
        ).any()
    }
    assert set(pareto_front(costs, scores)) == wanted


def test_labels_cover_neither_points_nor_one_another() -> None:
    spots = np.array([[50.0, 50], [52, 60], [90, 50], [195, 50]])
    sizes = [np.array([40.0, 8])] * 4
    frame = np.array([[0.0, 0], [200, 100]])
    corners = place_labels(spots, range(4), sizes, frame, np.empty((0, 2)))
    boxes = [(spots[k] + corner, spots[k] + corner + sizes[k]) for k, corner in enumerate(corners)]
    for low, high in boxes:
        assert (low >= frame[0]).all()
        assert (high <= frame[1]).all()
        assert not ((spots > low) & (spots < high)).all(axis=1).any()
    for (a, b), (c, d) in combinations(boxes, 2):
        assert (b <= c).any() or (d <= a).any()


def test_costs_are_drawn_in_readable_units(made: Comparison) -> None:
    figure = cost(made.sections[0], made)
    words = texts(figure)
    assert {"parameters (millions)", "peak memory (GiB)", "training time (s)"} <= set(words)
    assert figure is not None
    first = made.sections[0].scored[0]
    places = [tuple(np.ravel(line.get_data())) for line in figure.axes[0].lines]
    assert (pytest.approx(first.cost["parameters"] / 1e6), pytest.approx(first.mean)) in places


def test_losses_share_an_axis_only_with_their_like(tmp_path: Path) -> None:
    made = made_comparison(tmp_path / "group", images=5, seeds=(0, 1), broken=False)
    part = made.sections[0]
    for each in part.entries:  # one loss falls by a factor of 1000
        for cell in each.done if each.options["loss"] == "dice" else []:
            cell.curves["val/loss"] = np.geomspace(1000, 1, len(cell.curves))
    figure = curves(part, made)
    assert figure is not None
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert set(panels) == {each.label for each in part.entries}
    by_loss: dict[str, set[Any]] = {}
    for each in part.entries:
        axes = panels[each.label]
        by_loss.setdefault(each.options["loss"], set()).add((axes.get_yscale(), axes.get_ylim()))
    assert [len(kinds) for kinds in by_loss.values()] == [1, 1]
    assert {kind: next(iter(each))[0] for kind, each in by_loss.items()} == {
        "bce": "linear",
        "dice": "log",
    }
    scores = [axes for axes in figure.axes if axes.get_visible() and not axes.get_title()]
    assert len({axes.get_ylim() for axes in scores}) == 1


def test_curves_mark_the_best_epoch_of_each_seed(made: Comparison) -> None:
    figure = curves(made.sections[0], made)
    assert figure is not None
    found = sorted(
        np.ravel(line.get_xdata())[0]
        for axes in figure.axes
        for line in axes.lines
        if line.get_marker() == "o"
    )
    cells = [cell for each in made.sections[0].scored for cell in each.done]
    assert found == sorted(cell.record["best_epoch"] for cell in cells)


def test_looks_tell_33_entries_apart() -> None:
    entries = [
        entry(f"{m} {k}", [0.5, 0.6], model=f"m{m}", loss=f"l{k}")
        for m in range(11)
        for k in range(3)
    ]
    made = Comparison(["x"], "iou", ["model"], ["loss"], [section(*entries)])
    found, legend = entry_styles(made)
    assert len(set(found.values())) == 33
    assert [name for name, _ in legend] == [*sorted(f"m{m}" for m in range(11)), "l0", "l1", "l2"]
    made.sections[0].entries = entries[::3]  # the loss does not vary
    found, legend = entry_styles(made)
    assert len({look.marker for look in found.values()}) == len(legend) == 11 <= len(MARKERS)


def test_a_table_from_elsewhere_has_no_costs_and_curves(tmp_path: Path) -> None:
    rows = [
        f"t/1,{name},{k},{0.1 * k + 0.01 * len(name)}" for name in ("a", "bb") for k in range(9)
    ]
    made = table(tmp_path, "\n".join(rows))
    (drawn,) = write_figures(made, tmp_path / "report")
    assert list(drawn) == ["stability", "boxes", "ranks", "pairs"]
    assert drawn["boxes"].files[0].name == "boxes-t_1.svg"
    assert "value of an image" in drawn["boxes"].svg


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ("t,a,1,0.5\nt,a,2,0.6\n", ["stability", "boxes"]),  # one entry
        ("t,a,1,0.5\nt,b,1,0.6\n", ["stability", "boxes"]),  # one image
        (  # all equal
            "".join(f"t,{name},{k},0.5\n" for name in "abc" for k in range(4)),
            ["stability", "boxes", "ranks", "pairs"],
        ),
        (  # no image that all have a score of
            "t,a,1,0.5\nt,a,2,0.7\nt,a,3,NA\nt,b,1,NA\nt,b,2,NA\nt,b,3,0.4\n",
            ["stability", "boxes"],
        ),
    ],
    ids=["one entry", "one image", "all equal", "nothing in common"],
)
def test_little_is_drawn_without_warnings(rows: str, kinds: list[str], tmp_path: Path) -> None:
    made = table(tmp_path, rows)
    (drawn,) = write_figures(made, tmp_path / "report")
    assert set(kinds) <= set(drawn) <= {*kinds, "ranks", "pairs"}


@pytest.mark.parametrize("names", ["ab", "abc", "abcdefghijklmnopqrst"])
def test_nothing_is_cut_off(names: str, tmp_path: Path) -> None:
    rows = [
        f"t,a network of the kind {name},{k},{0.1 * k + 0.01 * ord(name)}"
        for name in names
        for k in range(6)
    ]
    made = table(tmp_path, "\n".join(rows))
    for drawing in drawings(made.sections[0], made):
        if (figure := drawing.draw()) is not None:
            box = figure.get_tightbbox()
            width, height = figure.get_size_inches()
            assert box.x0 > -0.03, drawing.name
            assert box.y0 > -0.03, drawing.name
            assert box.x1 < width + 0.03, drawing.name
            assert box.y1 < height + 0.03, drawing.name


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_cells_that_failed_are_left_out(seeds: tuple[int, ...], tmp_path: Path) -> None:
    cells = made_cells(tmp_path / "group", images=5, seeds=seeds, losses=("bce", "dice"))
    made = compare_cells(cells, ["group"], replicates=50)
    (drawn,) = write_figures(made, tmp_path / "report")
    assert list(drawn) == [kind for kind in KINDS if kind not in ELSEWHERE]
    assert not any("segnet · dice" in each.svg for each in drawn.values())
    failed = compare_cells([c for c in cells if c.status == "failed"], ["group"], replicates=50)
    assert write_figures(failed, tmp_path / "none") == [{}]


def test_names_may_hold_any_letters(tmp_path: Path) -> None:
    rows = [f"核 & <1>,$a$ {name} & 分割,{k},{0.1 * k}" for name in "ab" for k in range(9)]
    (drawn,) = write_figures(table(tmp_path, "\n".join(rows)), tmp_path / "report")
    for each in drawn.values():
        root = ElementTree.fromstring(each.svg)
        assert "核 & <1>" in root.get("aria-label", "")
    assert "$a$ b &amp; 分割" in drawn["boxes"].svg
    assert drawn["boxes"].files[1].name == "boxes-核____1_.png"
