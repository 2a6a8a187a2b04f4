"""The code blocks of CONTRIBUTING.md: files to write, changes to make, commands to run."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
_PATH = re.compile(r"# ([\w/.]+)(?:, (.*))?")


def section(title: str) -> str:
    """The text below a heading of CONTRIBUTING.md."""
    found = re.search(rf"^### {title}\n(.*?)(?=^#|\Z)", _text(), re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def _text() -> str:
    """The guide, its headings alone beginning a line with `#` and letters."""
    lines = (ROOT / "CONTRIBUTING.md").read_text().splitlines(keepends=True)
    inside, kept = False, []
    for line in lines:
        inside ^= line.startswith("```")
        kept.append(" " + line if inside and line.startswith("#") else line)
    return "".join(kept)


def write_files(title: str, folder: Path) -> list[Path]:
    """Write or change below ``folder`` what the blocks of a section say."""
    written = []
    for kind, block in _BLOCK.findall(section(title)):
        if kind == "sh":
            continue
        head, _, code = block.strip("\n").partition("\n")
        found = _PATH.match(head.strip())
        assert found, head
        file = folder / found[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        code = code.replace("\n #", "\n#") + "\n"
        file.write_text(_placed(file, code, (found[2] or "").strip()))
        written.append(file)
    return written


def _placed(file: Path, code: str, where: str) -> str:
    """The file's text with a recipe's code at its place."""
    if not where:
        return code
    text = file.read_text()
    last = re.fullmatch(r"last entry of (\w+)", where)
    if last:
        at = text.index("\n)", text.index(f"\n{last[1]} = (")) + 1
        return text[:at] + code + text[at:]
    after = re.fullmatch(r'after "(.*?)"(?: in (\w+))?', where)
    assert after, where
    start = re.search(rf"^(?:class|def) {after[2]}\b" if after[2] else "", text, re.MULTILINE)
    assert start, where
    line = re.compile(rf"^ *{re.escape(after[1])}.*\n", re.MULTILINE).search(text, start.end())
    assert line, where
    at = line.end()
    return text[:at] + code + text[at:]


def commands(title: str) -> list[str]:
    """The command lines of a section."""
    return [
        line
        for kind, block in _BLOCK.findall(section(title))
        if kind == "sh"
        for line in block.strip().splitlines()
    ]
