"""``docs/readers.md``: what the readers' files declare, for people.

python -m mammosynth.databases.catalogue > docs/readers.md
"""

import json
from collections.abc import Iterator
from typing import Any

from mammosynth.databases.database import Database, Setting
from mammosynth.databases.readers import READERS, database_of

TOP = """# The readers

Made by `python -m mammosynth.databases.catalogue` of what each reader's file in `mammosynth/databases/` declares; a
test holds it. How a layout is read is said at the top of that file. What holds for all readers is said in
[databases.md](databases.md), and which settings all sources have in `workflow/schemas/config.schema.yaml`.
"""


def describe() -> str:
    """The page, in Markdown."""
    return "\n".join([TOP, *(line for reader in READERS for line in _describe(reader, database_of(reader)))])


def _describe(reader: str, database: Database) -> Iterator[str]:
    title = f": {database.title}" if database.title else ""
    yield f"## `{reader}`{title}\n"
    told = {"licence": database.licence, "to be cited": database.citation, "tried on": database.tried}
    told["lesions"] = ", ".join(f"{count:,} {label}" for label, count in database.lesions.items())
    told["`download: true`"] = _origin(database)
    bits = database.near_duplicates
    told["`near_duplicates`, if left out"] = "null: not looked for" if bits is None else f"{bits} bits"
    told["phantoms"] = "in its layout" if database.phantoms else ""
    yield from (f"- {key}: {value}" for key, value in told.items() if value)
    yield from (_setting(name, setting) for name, setting in database.settings.items())
    yield ""


def _origin(database: Database) -> str:
    if database.request:
        return f"no: {database.request}"
    found = [f"<{file['address']}>{' (with checksum)' if 'sha256' in file else ''}" for file in database.files]
    idc = [f"the collection {database.idc['collection']} of the Imaging Data Commons"] if database.idc else []
    return ", ".join(idc + found)


def _setting(name: str, setting: Setting) -> str:
    needed = "required" if setting.required else f"{_write(setting.default)} if left out" if setting.default else ""
    told = "; ".join(filter(None, (_rule(setting.rule), needed)))
    return f"- setting `{name}` ({told}): {setting.description}"


def _rule(rule: Any) -> str:
    """A rule in words, as far as they are short."""
    if "enum" in rule:
        return f"one of {', '.join(dict.fromkeys(_write(value) for value in rule['enum']))}"
    if rule.get("type") == "array":
        return f"a list; each {_rule(rule['items'])}"
    if rule.get("type") == "object":
        return "; ".join(f"`{key}`: {_rule(value)}" for key, value in rule["properties"].items())
    bounds = {"at least": "minimum", "above": "exclusiveMinimum", "at most": "maximum", "below": "exclusiveMaximum"}
    return ", ".join(
        [rule.get("type", "anything"), *(f"{word} {rule[key]}" for word, key in bounds.items() if key in rule)]
    )


def _write(value: Any) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


if __name__ == "__main__":
    print(describe(), end="")
