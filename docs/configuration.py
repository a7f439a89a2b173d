"""Writes configuration.md from the schema and the default study: `python docs/configuration.py`."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from mammosynth import classifiers, gans  # noqa: E402
from mammosynth.declared import Method  # noqa: E402

HEAD = """# The configuration, key by key

*Made from [the schema](../workflow/schemas/config.schema.yaml), [the default study](../config.yaml) and what GANs and
classifiers declare, by `python docs/configuration.py`; do not edit it. Settings of one database alone:
[readers](readers.md).*

A study file is laid over the default study. The default is what holds where your file leaves a key out. `{name}` stands
for a name of your choice. A key that does not exist, or a name that nothing defines, is refused before anything runs.
"""
COLUMNS = ("key", "what it says", "default", "bounds")


def page() -> str:
    """The page as it should be."""
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    study = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    parts = [HEAD]
    for key, said in schema["properties"].items():
        rows = list(_rows(said, schema, study.get(key, said.get("default"))))
        rows += DECLARED[key](schema) if key in DECLARED else []
        parts += [f"## {key}\n", f"{said['description']}\n"] if rows else [f"## {key}\n"]
        parts.append(_table(rows or [_row(key, said, schema, study.get(key), key in schema["required"])]))
    return "\n".join(parts)


def _rows(said: dict[str, Any], schema: dict[str, Any], study: Any, path: str = "") -> Iterator[tuple[str, ...]]:
    """A row for each key below *said*; study: what the default study says there."""
    named = said.get("additionalProperties")
    if isinstance(named, dict):  # the default study's entries are examples, and no defaults
        yield from _rows(named, schema, {}, f"{path}{{name}}.")
    for key, below in said.get("properties", {}).items():
        given = (study or {}).get(key)
        if "properties" in below:
            yield _row(path + key, below, schema, None, key in said.get("required", ()))
            yield from _rows(below, schema, given, f"{path}{key}.")
        else:
            yield _row(path + key, below, schema, given, key in said.get("required", ()))


def _own_rows(methods: Mapping[str, Method], schema: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row for each setting that one method alone has."""
    for method, entry in methods.items():
        for key, declared in entry.own.items():
            said = {**declared, "description": f"Of {method} alone: {declared['description']}."}
            yield _row(f"{{name}}.{key}", said, schema, None, "default" not in declared)


def _rows_of_classifiers(schema: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row for each setting that classifiers declare: of several, then of one alone."""
    for key, declared in classifiers.SHARED.items():
        having = [method for method, entry in classifiers.METHODS.items() if key in entry.takes]
        said = {**declared, "description": f"{declared['description']}. Of {', '.join(having)}."}
        yield _row(f"{{name}}.{key}", said, schema, None, False)
    yield from _own_rows(classifiers.METHODS, schema)


# What stands in no schema, by the key that it is below.
DECLARED: dict[str, Callable[[dict[str, Any]], Iterator[tuple[str, ...]]]] = {
    "generators": lambda schema: _own_rows(gans.METHODS | gans.ELSEWHERE, schema),
    "classifiers": _rows_of_classifiers,
}


def _row(key: str, said: dict[str, Any], schema: dict[str, Any], study: Any, required: bool) -> tuple[str, ...]:
    said = _resolved(said, schema)
    default = said.get("default") if study is None else study
    known = study is not None or ("default" in said and "properties" not in said)
    return (
        f"`{key}`",
        " ".join(said.get("description", "").split()),
        f"`{_spelled(default)}`" if known else "required" if required else "",
        bounds(said, schema),
    )


def bounds(said: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a value may be, in words."""
    said = _resolved(said, schema)
    if "const" in said:
        return f"only `{_spelled(said['const'])}`"
    if "enum" in said:
        return "one of " + ", ".join(dict.fromkeys(f"`{value}`" for value in said["enum"]))
    kinds = said.get("type", "")
    kind, *others = [kinds] if isinstance(kinds, str) else kinds
    words = {"string": "text", "boolean": "`true` or `false`", "object": "keys below"}.get(kind, kind)
    if kind == "array":
        least = said.get("minItems", 0)
        words = f"list{' of at least ' + str(least) if least else ''}: {bounds(said['items'], schema)}"
        words += ", each once" if said.get("uniqueItems") else ""
    least, most = said.get("minimum"), said.get("maximum")
    if least is not None and most is not None:
        words += f", {least} to {most}"
    else:
        words += f", at least {least}" if least is not None else ""
        words += f", at most {most}" if most is not None else ""
    if "exclusiveMinimum" in said:
        words = words.replace(kind, f"{kind} above {said['exclusiveMinimum']}", 1)
    return words + "".join(f", or `{other}`" for other in others)


def _resolved(said: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A key's schema with what it refers to filled in."""
    name = said.get("$ref", "").removeprefix("#/$defs/")
    return schema["$defs"][name] | said if name else said


def _spelled(value: Any) -> str:
    """A value as YAML has it, on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=float("inf")).split("\n")[0]


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
