"""``segbench schema``: JSON schemas of the YAML files, for editors that complete and check them."""

import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from segbench.commands.run import typed_words
from segbench.config.families import permitted_in_configs, resolve_target
from segbench.config.registry import CONF, config_dir, config_groups
from segbench.config.targets import OURS, signature_of
from segbench.errors import ConfigError
from segbench.text.screen import say

Schema = dict[str, Any]
DRAFT = "https://json-schema.org/draft/2020-12/schema"
# In place of any value: an interpolation, or the mark of a value that must be given.
REFERENCE: Schema = {"type": "string", "pattern": r"\$\{.*\}|^\?\?\?$"}
_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
_TARGET = re.compile(r"^_target_: (\S+)", re.MULTILINE)


def main() -> None:
    """Print the schema of the whole configuration, or of the files of a config group.

    Raises:
        ConfigError: there is no such group.
    """
    extra, asked = config_dir(sys.argv[1:]), typed_words()
    groups = config_groups(extra)
    if len(asked) > 1 or (asked and asked[0] not in groups):
        close = get_close_matches(asked[0], groups, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"schema {' '.join(asked)}: {hint}there are {', '.join(groups)}")
    found = group_schema(asked[0], extra) if asked else whole_schema(extra)
    say(json.dumps({"$schema": DRAFT, **found}, indent=2, ensure_ascii=False), keep="\n")


def whole_schema(extra: Path | None = None) -> Schema:
    """The schema of a whole configuration, as experiments and ``config.yaml`` hold it.

    Args:
        extra: the folder of the user's own YAML files.
    """
    groups = config_groups(extra)
    text = (CONF / "config.yaml").read_text(encoding="utf-8")
    properties: Schema = {}
    for key, value in yaml.safe_load(text).items():
        note = re.search(rf"^{key}: [^#\n]*# (.*)$", text, re.MULTILINE)
        properties[key] = {"default": value} | ({"description": note[1]} if note else {})
        if type(value) in (bool, int):
            properties[key]["type"] = _NAMES[type(value)]
    properties |= {group: {"anyOf": [_part(group, extra), {"type": "null"}]} for group in groups}
    properties["logger"] = {"type": ["object", "null"]}  # several, by their names
    properties["callbacks"] = {"type": ["object", "null"]}
    choices: Schema = {}
    for group, options in groups.items():
        one = {"anyOf": [{"enum": [*options, None]}, {"items": {"enum": options}}]}
        choices |= {f"{start}{group}": one for start in ("", "/", "override ", "override /")}
    properties["defaults"] = {"items": {"anyOf": [{"type": "string"}, {"properties": choices}]}}
    properties["hydra"] = {"type": "object"}
    return {"title": "segbench", "type": "object", "properties": properties}


def group_schema(group: str, extra: Path | None = None) -> Schema:
    """The schema of the YAML files of a config group, such as ``model``.

    Args:
        group: its name.
        extra: the folder of the user's own YAML files.
    """
    return {"title": f"segbench {group}", **_part(group, extra)}


def _part(group: str, extra: Path | None) -> Schema:
    if group in ("experiment", "callbacks", "logger"):  # files of several nodes
        return {"type": "object"}
    targets = _targets(group, extra)
    own: Schema = {"defaults": {"type": "array"}, "_partial_": {"type": "boolean"}}
    name = {"type": "string", "description": "the class that is built", "examples": list(targets)}
    cases = [
        {
            "if": {"properties": {"_target_": {"const": target}}, "required": ["_target_"]},
            "then": {"properties": arguments},
        }
        for target, arguments in targets.items()
    ]
    found: Schema = {"type": ["object", "null"], "properties": {"_target_": name, **own}}
    return found | ({"allOf": cases} if cases else {})


def _targets(group: str, extra: Path | None) -> dict[str, Schema]:
    """The classes that the files of a group name, each with its arguments' schemas."""
    found: dict[str, Schema] = {}
    for folder in filter(None, (CONF, extra)):
        for file in sorted((folder / group).glob("*.yaml")):
            for target in _TARGET.findall(file.read_text(encoding="utf-8")):
                if target not in found:
                    found[target] = _arguments(target, group)
    return dict(sorted(found.items()))


def _arguments(target: str, group: str) -> Schema:
    """The schemas of a target's arguments; empty where its package is not installed."""
    try:
        built = resolve_target("schema", target, permitted_in_configs())
        parameters, hints = signature_of(built)
    except (ConfigError, ImportError, TypeError, ValueError, NameError):
        return {}
    told = _described(built)
    made = {}
    for name, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        schema = _typed(hints.get(name), OURS.get(f"{group}.{name}", ()))
        if name in told:
            schema["description"] = told[name]
        if type(parameter.default) in _NAMES:
            schema["default"] = parameter.default
        made[name] = schema
    return made


def _typed(hint: Any, ours: tuple[Any, ...]) -> Schema:
    """The schema of an annotation, and of further values that segbench replaces."""
    parts = _alternatives(hint)
    more = [{"enum": list(ours)}] if ours else []
    return {"anyOf": [*parts, *more, REFERENCE]} if parts and {} not in parts else {}


def _alternatives(hint: Any) -> list[Schema]:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return [part for each in typing.get_args(hint) for part in _alternatives(each)]
    if origin is typing.Literal:
        return [{"enum": list(typing.get_args(hint))}]
    kind = origin or hint
    if kind in _NAMES:
        return [{"type": _NAMES[kind]}]
    if kind in (list, tuple, Sequence):
        return [{"type": "array"}]
    if kind in (dict, Mapping):
        return [{"type": "object"}]
    return [{}]  # any other class: whatever its YAML holds


def _described(target: Any) -> dict[str, str]:
    """What a docstring in Google's style says of each argument."""
    text = inspect.getdoc(target) or ""
    block = re.search(r"^Args:\n((?:[ ]{4,}.*\n?|\n)+)", text, re.MULTILINE)
    if block is None:
        return {}
    found = re.findall(r"^ {4}(\w+)[^:\n]*: ((?:.*\n?)(?: {8,}.*\n?)*)", block[1], re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in found}
