"""Results follow code: a digest changes with what is computed, and with nothing else."""

import shutil
from pathlib import Path

import pytest

from mammosynth import code

ROOT = Path(__file__).parents[1]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that may be changed."""
    shutil.copytree(ROOT / "mammosynth", tmp_path / "mammosynth", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", tmp_path / "mammosynth")
    return tmp_path / "mammosynth"


def digest(name: str) -> str:
    for cached in (code.digest, code._tree, code._imported, code._sum):
        cached.cache_clear()
    return code.digest(code.module(name))


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("gans/objectives.py", '"""', '"""Otherwise said: '),
        ("gans/objectives.py", "\nimport", "\n# a comment\nimport"),
        ("gans/training.py", "has collapsed, all its", "has collapsed: all its"),
        ("gans/training.py", '"resumes at step %d of %d"', '"goes on at step %d of %d"'),
        ("gans/training.py", "\n\n\n", "\n\n\n\n\n"),
        ("errors.py", "SHOWN = 20", "SHOWN = 10"),
        ("progress.py", "LOG_INTERVAL = 10.0", "LOG_INTERVAL = 5.0"),
        ("classifiers/network.py", "GAIN, OFFSET = 10.0", "GAIN, OFFSET = 9.0"),
        ("gans/__init__.py", "METHODS = {", 'METHODS = {"more": Method("mammosynth.gans.more:More", "More"),'),
        ("networks/__init__.py", "NETWORKS = _declared()", "NETWORKS = _declared() | {}"),
        ("networks/squeezenet.py", "[104.0, 117.0", "[103.0, 117.0"),
    ],
)  # fmt: skip
def test_what_changes_no_trained_gan_changes_no_digest(package, file, before, after):
    earlier = digest("mammosynth.gans.training")
    change(package / file, before, after)
    assert digest("mammosynth.gans.training") == earlier


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("gans/training.py", "COLLAPSED = 0.02", "COLLAPSED = 0.03"),
        ("gans/augment.py", "def ", "def x"),
        ("adam.py", "EPSILON = 1e-8", "EPSILON = 1e-7"),
        ("arrays/distances.py", "return", "return 1.0 *"),
        ("imageset.py", "np.uint8", "np.int16"),
        ("networks/features.py", "BATCH = 8", "BATCH = 4"),
    ],
)
def test_what_changes_a_trained_gan_changes_its_digest_however_far_away_it_stands(package, file, before, after):
    earlier = digest("mammosynth.gans.training")
    change(package / file, before, after)
    assert digest("mammosynth.gans.training") != earlier


def test_a_gan_of_its_own_file_leaves_the_others_as_they_are(package):
    earlier = {name: digest(f"mammosynth.gans.{name}") for name in ("cyclegan", "wgan_gp", "sngan")}
    change(package / "gans/cyclegan.py", "POOL = 50", "POOL = 51")
    changed = {name for name in earlier if digest(f"mammosynth.gans.{name}") != earlier[name]}
    assert changed == {"cyclegan"}


def test_a_network_of_its_own_file_leaves_gans_that_do_not_see_it_as_they_are(package):
    names = ("gans.projected_gan", "gans.sngan", "networks.squeezenet", "networks.efficientnet_lite0")
    earlier = {name: digest(f"mammosynth.{name}") for name in names}
    for file, before, after, expected in (
        ("efficientnet_lite0", "BLOCKS = (2,", "BLOCKS = (1,", {"gans.projected_gan", "networks.efficientnet_lite0"}),
        ("squeezenet", "[104.0, 117.0", "[103.0, 117.0", {"networks.squeezenet"}),
    ):
        change(package / f"networks/{file}.py", before, after)
        assert {name for name in names if digest(f"mammosynth.{name}") != earlier[name]} == expected
        change(package / f"networks/{file}.py", after, before)


def test_a_classifier_of_its_own_file_leaves_the_others_as_they_are(package):
    names = ("training", "resnet18", "resnet50")
    earlier = {name: digest(f"mammosynth.classifiers.{name}") for name in names}
    change(package / "classifiers/resnet18.py", 'architecture = "resnet18"', 'architecture = "resnet34"')
    change(
        package / "classifiers/__init__.py", "METHODS = {", 'METHODS = {"more": Method("mammosynth.more:More", "More"),'
    )
    assert {name for name in names if digest(f"mammosynth.classifiers.{name}") != earlier[name]} == {"resnet18"}


def test_reports_show_the_titles_of_gans(package):
    earlier = digest("mammosynth.findings.names"), digest("mammosynth.quality.assess")
    change(package / "gans/__init__.py", '"WGAN-GP"', '"WGAN with a penalty"')
    assert digest("mammosynth.findings.names") != earlier[0]
    assert digest("mammosynth.quality.assess") == earlier[1]


def test_templates_count(package):
    earlier = digest("mammosynth.report.page"), digest("mammosynth.gans.training")
    change(package / "report/page.html.jinja", "<section", "<section ")
    assert digest("mammosynth.report.page") != earlier[0]
    assert digest("mammosynth.gans.training") == earlier[1]
