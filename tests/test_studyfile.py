"""Study files: what YAML would misread is refused by line, and numbers are numbers."""

import pytest
import yaml

from mammosynth.errors import InputError
from mammosynth.studyfile import refuse_misread, with_numbers


def written(folder, text):
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gans: [sngan]\nquality: {}\ngans: [cgan]\n", "gans stands twice, in lines 1 and 3"),
        ("quality:\n  filter: {copies: true}\n  filter: {labels: true}\n", "filter stands twice, in lines 2 and 3"),
        ("- {a: 1}\n- {b: 1, c: 2,\n   b: 3}\n", "b stands twice, in lines 2 and 3"),
        ("seeds: [010]\n", "line 1: YAML reads 010 as 8"),
        ("checkpoint_minutes: 1:30\n", "line 1: YAML reads 1:30 as 90"),
        ("databases:\n  - 2024-05-01\n", "line 2: YAML reads 2024-05-01 as 2024-05-01"),
        ("generators:\n  on: {method: sngan}\n", "line 2: YAML reads the name on as True"),
        ("sources:\n  17: {reader: busi}\n", "line 2: YAML reads the name 17 as 17"),
    ],
)
def test_what_yaml_reads_otherwise_than_a_person_is_refused_by_line(text, message, tmp_path):
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        refuse_misread([path])
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_all_is_told_at_once(tmp_path):
    path = written(tmp_path, "seeds: [08, 010]\ngans: [a]\ngans: [b]\ngans: [c]\n")
    with pytest.raises(InputError) as caught:
        refuse_misread([path])
    assert str(caught.value).count("stands twice") == 2
    assert "010" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: &base {steps: 3}\nb: {<<: *base, width: 4}\nc: {<<: *base, width: 5}\n",
        "steps: 10_000\nrate: 0.5\nzero: 0\nnone: null\nyes_no: yes\nquoted: '010'\nminus: -3\n",
        "",
        '{"json": {"works": [1, 2.5]}}',
    ],
)
def test_what_is_plain_passes(text, tmp_path):
    refuse_misread([written(tmp_path, text), tmp_path / "not there.yaml"])


def test_exponents_are_numbers_and_whole_ones_whole():
    text = "{learning_rate: 1e-4, steps: 1e4, list: [2E-3, .5e1], name: e4, sources: {mine: {root: 1e4}}}"
    config = with_numbers(yaml.safe_load(text))
    assert config == {
        "learning_rate": 1e-4, "steps": 10_000, "list": [2e-3, 5], "name": "e4", "sources": {"mine": {"root": "1e4"}},
    }  # fmt: skip
    assert isinstance(config["steps"], int)
