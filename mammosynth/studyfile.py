"""Study files as a person reads them, where YAML would read them otherwise: refused, or understood."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mammosynth.errors import InputError, Problems

# A number to people, and to YAML 1.1 a string, as it wants a point in it.
EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
# Numbers and dates to YAML 1.1 that people write otherwise, or do not mean: 010 is 8 to it, and 1:30 is 90.
MISREAD = {
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0[0-9_]+|[0-9_]+(:[0-9]+)+)"),
    "tag:yaml.org,2002:float": re.compile(r"[-+]?[0-9_]+(:[0-9.]+)+"),
    "tag:yaml.org,2002:timestamp": re.compile(r".*"),
}
# Keys of earlier versions, and what is to be written now.
RENAMED = {
    "classifier": "define classifiers by name (classifiers: {resnet18: {method: resnet18, steps: 2000}}), and list "
    "those to train (classify_with: [resnet18])",
}


def refuse_misread(files: Iterable[str | Path]) -> None:
    """Raise one InputError that names file and lines of each key that stands twice, and of what YAML reads otherwise.

    Of a doubled key YAML keeps the last value without a word. Files that do not exist are left to Snakemake.
    """
    problems = Problems()
    for file in files:
        if Path(file).is_file():
            with open(file, encoding="utf-8") as text:
                _check(yaml.compose(text, yaml.SafeLoader), file, problems)
    problems.refuse()


def refuse_renamed(config: Mapping[str, Any]) -> None:
    """Raise InputError that names the keys in whose place one of an earlier version stood."""
    for key, mend in RENAMED.items():
        if key in config:
            raise InputError(f"config: {key} is now spelled otherwise: {mend}")


def with_numbers(value: Any) -> Any:
    """A configuration in which ``1e-4`` is a number wherever a setting may be one: not below ``sources``."""
    if isinstance(value, dict):
        return {key: item if key == "sources" else with_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_numbers(item) for item in value]
    if isinstance(value, str) and EXPONENT.fullmatch(value):
        number = float(value)
        return int(number) if number.is_integer() else number
    return value


def _check(node: yaml.Node | None, file: str | Path, problems: Problems) -> None:
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            with problems.gathered():
                _refuse_key(key, lines, file)
            lines.setdefault(key.value, _line(key))
            _check(value, file, problems)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check(item, file, problems)
    elif isinstance(node, yaml.ScalarNode) and node.style is None:
        with problems.gathered():
            if node.tag in MISREAD and MISREAD[node.tag].fullmatch(node.value):
                read = yaml.safe_load(node.value)
                where = f"{file}, line {_line(node)}"
                raise InputError(f'{where}: YAML reads {node.value} as {read}: write that, or quote it, "{node.value}"')


def _refuse_key(key: yaml.Node, lines: dict[str, int], file: str | Path) -> None:
    if key.tag == "tag:yaml.org,2002:merge":
        return
    if key.value in lines:
        raise InputError(
            f"{file}: {key.value} stands twice, in lines {lines[key.value]} and {_line(key)}, and YAML would keep the "
            "second alone: join them below one"
        )
    if key.tag != "tag:yaml.org,2002:str":
        raise InputError(
            f"{file}, line {_line(key)}: YAML reads the name {key.value} as {yaml.safe_load(key.value)}: "
            f'quote it, "{key.value}"'
        )


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
