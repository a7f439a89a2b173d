"""The documentation: links lead somewhere, commands and study files can be run, the reference follows the schema."""

import re
import runpy
import shlex
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from snakemake.cli import get_argument_parser
from snakemake.utils import update_config

from mammosynth import study
from mammosynth.classifiers.mixes import parse_mix
from mammosynth.commands import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md")]
PAGES += [ROOT / "benchmarks/README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
YOURS = re.compile(r"my_|/data/")  # what a reader writes, or has
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands(page: Path) -> list[list[str]]:
    """The words of each command on a page, in blocks and within sentences."""
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    lines += re.findall(r"`((?:mammosynth|snakemake|pip|pytest|python|pre-commit) [^`]+)`", prose(page))
    return [shlex.split(one, comments=True) for line in lines for one in line.split("&&")]


@cache
def rules() -> tuple[set[str], list[re.Pattern]]:
    """The names of the rules, and what their outputs are called."""
    names, outputs = set(), []
    for file in (ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")):
        text = file.read_text(encoding="utf-8")
        names |= set(re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.MULTILINE))
        for path in re.findall(r'"(results/[^"]+)"', text):
            outputs.append(re.compile(re.sub(r"\\{.*?\\}", "[^/]+", re.escape(path))))
    return names, outputs


@every_page
def test_links_lead_somewhere(page):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@every_page
def test_commands_name_what_exists(page):
    names, outputs = rules()
    for words in filter(None, commands(page)):
        program, *given = words
        files = []
        if program == "snakemake":
            asked = get_argument_parser().parse_args(given)
            files = [*(asked.configfile or []), *filter(None, [asked.workflow_profile])]
            assert {word.partition("=")[0] for word in asked.set_threads or {}} <= names, words
            assert all(t in names or any(o.fullmatch(t) for o in outputs) for t in asked.targets), words
        elif program == "pip":
            files = [file for option, file in pairwise(given) if option == "-r"]
        elif program == "python" and given[0] == "-m":
            ours = given[1].startswith(("benchmarks", "mammosynth."))
            files = [given[1].replace(".", "/") + ".py"] if ours else []
        elif program == "mammosynth":
            command = main.commands.get(given[0])
            known = {option for one in (command or main).params for option in one.opts} | {"--help"}
            assert command or given == ["--help"], words
            assert {word for word in given if re.match("--?[a-z]", word)} <= known, words
        elif program in ("python", "pytest"):
            files = [word for word in given if word.endswith(".py")]
        missing = [file for file in map(str, files) if not YOURS.match(file) and not (ROOT / file).exists()]
        assert not missing, f"{' '.join(words)}: {missing}"


@every_page
def test_paths_in_sentences_exist(page):
    """Of tracked files, that is: what a run makes is held by the rules' own names."""
    folders = "mammosynth|workflow|studies|profiles|envs|resources|tests|docs|benchmarks"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", prose(page))
    if page.name == "CONTRIBUTING.md":  # whose recipes' paths are below the package
        rooms = "|".join(path.name for path in (ROOT / "mammosynth").iterdir() if path.is_dir())
        named += [f"mammosynth/{path}" for path in re.findall(rf"`((?:{rooms})/[a-z_/]+\.\w+)`", prose(page))]
    assert [path for path in named if not (ROOT / path).exists()] == []


@every_page
def test_study_files_are_taken(page):
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    for block in blocks(page, "yaml"):
        config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
        update_config(config, yaml.safe_load(block))
        Draft202012Validator(schema).validate(config)
        study.resolve_generators(config)
        if "databases" in yaml.safe_load(block):
            assert set(config["databases"]) <= set(config["sources"])
        if "mixes" in yaml.safe_load(block):
            assert [parse_mix(mix, config["gans"]) for mix in config["mixes"]]


def test_the_reference_follows_the_schema():
    made = runpy.run_path(str(ROOT / "docs/configuration.py"))["page"]()
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == made, "run: python docs/configuration.py"


def test_the_reference_has_each_key_with_its_default_and_bounds():
    rows = (ROOT / "docs/configuration.md").read_text(encoding="utf-8").splitlines()
    cells = {row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:5]] for row in rows if "| `" in row}
    assert cells["`margin`"][1:] == ["`0.2`", "number, 0 to 1"]
    assert cells["`{name}.reader`"][1] == "required"
    assert cells["`{name}.conditioning`"][2] == "one of `projection`, `concat`"
    assert cells["`{name}.weights`"][1:] == ["`null`", "text, or `null`"]
    assert cells["`{name}.learning_rate`"][2] == "number above 0, at most 1"
    assert cells["`filter.naturalness`"][1:] == ["`null`", "number, 50 to 100, or `null`"]
    assert cells["`folds`"][1:] == ["`[0]`", "list of at least 1: integer, at least 0, each once"]
    assert all(said for said, _, _ in cells.values())


def test_the_readme_is_read_in_three_minutes_and_leads_to_all_pages():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.split()) <= 750
    linked = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", readme)}
    index = {f"docs/{link}" for link in re.findall(r"\]\(([^)\s#]+)\)", prose(ROOT / "docs/README.md"))}
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")} - {"docs/README.md"}
    assert pages <= index
    assert pages - {"docs/rules.md"} <= linked
