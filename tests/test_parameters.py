"""Parameter files come from the first source that has the right bytes, and from no other."""

import hashlib
import re
import tarfile
import zipfile

import pytest
import quality_for_tests
from quality_for_tests import DECLARATIONS, skip_without_index

from mammosynth.errors import InputError
from mammosynth.parameters import cache, cached, obtain

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SETUP = "from setuptools import setup\nsetup(name='toyweights', version='1.0')\n"


def declare(*sources, sha256=SHA256):
    return {"file": "toy.bin", "sha256": sha256, "sources": list(sources)}


def member(sha256="0" * 64):
    return {"package": "toyweights==1.0", "member": "toyweights/toy.bin", "archive": sha256}


@pytest.fixture
def address(tmp_path):
    path = tmp_path / "served.bin"
    path.write_bytes(CONTENT)
    return {"address": path.as_uri()}


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index of our own: pip looks into this folder and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_wheel(folder):
    path = folder / "toyweights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("toyweights/toy.bin", CONTENT)
        wheel.writestr("toyweights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toyweights\nVersion: 1.0\n")
        wheel.writestr("toyweights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("toyweights-1.0.dist-info/RECORD", "")
    return path


def make_source_archive(folder):
    path = folder / "toyweights-1.0.tar.gz"
    content = folder.parent / "toyweights-1.0"
    (content / "toyweights").mkdir(parents=True)
    (content / "toyweights/toy.bin").write_bytes(CONTENT)
    (content / "setup.py").write_text(SETUP)
    (content / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: toyweights\nVersion: 1.0\n")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(content, "toyweights-1.0")
    return path


def test_declarations_are_complete():
    assert {"niqe", "brisque", "efficientnet_lite0", "squeezenet", "inception"} <= set(DECLARATIONS)
    for name, declaration in DECLARATIONS.items():
        assert set(declaration) == {"file", "sha256", "what", "licence", "sources"}, name
        assert re.fullmatch("[0-9a-f]{64}", declaration["sha256"])
        for source in declaration["sources"]:
            assert set(source) in ({"package", "member", "archive"}, {"address"}), name


def test_the_local_folder_comes_first(tmp_path, address):
    (tmp_path / "toy.bin").write_bytes(CONTENT)
    assert obtain("toy", declare(address), tmp_path / "out", tmp_path) == f"folder {tmp_path}"
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_a_wrong_checksum_is_passed_over(tmp_path, address):
    (tmp_path / "toy.bin").write_bytes(b"other weights")
    assert obtain("toy", declare(address), tmp_path / "out", tmp_path) == f"address {address['address']}"
    assert (tmp_path / "out").read_bytes() == CONTENT


@pytest.mark.parametrize("make", [make_wheel, make_source_archive])
def test_a_member_of_a_package_that_is_not_installed(tmp_path, index, make):
    sha256 = hashlib.sha256(make(index).read_bytes()).hexdigest()
    obtain("toy", declare(member(sha256)), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_an_archive_of_another_checksum_is_not_opened(tmp_path, index):
    make_source_archive(index)
    with pytest.raises(InputError, match=r"(?i)hash"):
        obtain("toy", declare(member("1" * 64)), tmp_path / "out")


def test_nothing_obtainable_is_one_error_that_says_what_to_do(tmp_path, index, address):
    with pytest.raises(InputError) as caught:
        obtain(
            "toy",
            declare(member(), {"address": "http://localhost:9/toy.bin"}, address, sha256="f" * 64),
            tmp_path / "out",
            tmp_path / "nowhere",
        )
    message = str(caught.value)
    for part in ("parameter file toy", "nowhere: no such folder", "toyweights==1.0", "localhost:9", SHA256, "toy.bin"):
        assert part in message
    assert "under parameters" in message
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("name", ["niqe", "brisque", "efficientnet_lite0", "squeezenet"])
def test_what_the_default_study_needs_is_to_be_had_from_packages(name, tmp_path):
    packages = [source for source in DECLARATIONS[name]["sources"] if "package" in source]
    try:
        obtain(name, DECLARATIONS[name] | {"sources": packages}, tmp_path / "out")
    except InputError as error:
        skip_without_index(error)
    assert hashlib.sha256((tmp_path / "out").read_bytes()).hexdigest() == DECLARATIONS[name]["sha256"]


@pytest.mark.parametrize(("answers", "outcome"), [(True, InputError), (False, pytest.skip.Exception)])
def test_a_broken_declaration_is_skipped_only_without_an_index(monkeypatch, address, answers, outcome):
    monkeypatch.setattr(quality_for_tests, "index_answers", lambda: answers)
    monkeypatch.setitem(DECLARATIONS, f"broken {answers}", declare(address, sha256="f" * 64))
    with pytest.raises(outcome, match="its sha256 is"):
        quality_for_tests.parameter_file(f"broken {answers}")


def test_a_file_kept_without_a_study_is_another_versions_no_longer(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache() / "parameters"
    folder.mkdir(parents=True)
    kept = []
    for content in (CONTENT, b"of a later version"):
        (folder / "weights.pth").write_bytes(content)
        declaration = {"file": "weights.pth", "sha256": hashlib.sha256(content).hexdigest(), "sources": []}
        kept.append(cached("net", declaration))
        assert kept[-1].read_bytes() == content
    assert kept[0].read_bytes() == CONTENT
