"""Arguments that Hydra cannot read: one line with the form to type, and that form works."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from segbench.config.quoting import find_unread, how_to_type, quoted_form

Run = Callable[..., int]
TEXTS = [
    "e/réseau",
    "größe 1",
    "a#b",
    "a[b",
    "a]b",
    "a=b",
    "a;b&c",
    "(a)",
    "it's",
    'say "x"',
    "both ' and \"",
    "back\\slash's",
    "end\\#\\",
    "~/x",
    "f(x)",
    "日本",
    "a!b",
    "<b>",
    "a'b\"c#",
    "{a",
    "a|b^c`d`",
    "$HOME#",
]
KEYS = ["data.root", "run", "input", "output", "name", "+data.new", "data.split.test", "data"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("text", TEXTS)
def test_the_form_to_type_is_read_as_the_text(key: str, text: str) -> None:
    word = f"{key}={text}"
    assert find_unread(["-m", "seed=0", word]) == word or text in ("back\\slash's", "a|b^c`d`")
    form = quoted_form(word)
    assert form is not None
    typed = how_to_type(word, multirun=False).rpartition("with quotes: ")[2]
    for word in (form, shlex.split(typed)[0]):  # as the shell hands it on
        assert OverridesParser.create().parse_override(word).value() == text


@pytest.mark.parametrize(
    ("word", "multirun", "expected"),
    [
        ("x=[größe,b]", False, ["größe", "b"]),
        ("x=[a b.jpg, é#.jpg ,2]", False, ["a b.jpg", "é#.jpg", 2]),
        ("x=[[é,1],[b]]", False, [["é", 1], ["b"]]),
        ("x=[a]#", False, "[a]#"),
        ("x=é,b", False, "é,b"),
    ],
)
def test_lists_keep_their_shape(word: str, multirun: bool, expected: object) -> None:
    form = quoted_form(word, multirun)
    assert form is not None
    assert OverridesParser.create().parse_override(form).value() == expected


def test_several_values_of_a_sweep_are_quoted_for_themselves() -> None:
    form = quoted_form("data.root=é,b c,[x,ß]", multirun=True)
    assert form == 'data.root="é",b c,[x,"ß"]'
    values = OverridesParser.create().parse_override(form).value().list
    assert [str(getattr(value, "text", value)) for value in values[:2]] == ["é", "b c"]


def test_what_no_quotes_help() -> None:
    assert "cannot be the name of an option" in how_to_type("data.größe=3", False)
    assert "in a YAML file" in how_to_type("data.palette={größe: [0,0,0]}", False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("data.root=e/réseau",), """error: data.root=e/réseau: cannot be read as it is; with """),
        (("name=a#b",), """'name="a#b"'"""),
        (("-m", "name=é,b"), """'name="é",b'"""),
        (("check", "data.root=x[y"), """'data.root="x[y"'"""),
        (("compare", "name=é"), """'name="é"'"""),
        (("predict", "run=é", "input=b"), """'run="é"'"""),
        (("predict", "run=b", "input=a=b"), """'input="a=b"'"""),
        (("predict", "run=b", "input=b", "output=é"), """'output="é"'"""),
        (("evaluate", "run=é"), """'run="é"'"""),
        (("evaluate", "run=[é,b]"), """'run=["é",b]'"""),
        (("export", "run=é"), """'run="é"'"""),
        (("data.root=a,b",), """several values take -m; as one text: 'data.root="a,b"'"""),
        (("name=1.5",), """name=1.5: expected text; quote it: 'name="1.5"'"""),
        (("name=[x]",), "expected text; quote it"),
        (("predict", "run=2024", "input=b"), "run=2024: no such folder"),
    ],
)
def test_every_command_shows_it(
    segbench: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert segbench(*words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert error.startswith("error: ")


def test_the_quoted_form_is_a_folders_name(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segbench("data=folder", 'data.root="e/ré seau"')
    assert "data.root=e/ré seau: no such folder" in capsys.readouterr().err
