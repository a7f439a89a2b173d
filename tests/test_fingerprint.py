"""Folders below a root that may not be looked into: they end no plan, and are named before anything is read."""

import os

import pytest

from mammosynth.databases import open_source
from mammosynth.errors import InputError
from mammosynth.fingerprint import fingerprint, refuse_unreadable


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root with one image, and a folder that this user may not look into, even if the user is root."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images/one.png").write_bytes(b"1")
    look = os.scandir

    def scandir(folder):
        if os.path.basename(folder) in ("locked", "lost+found"):
            raise PermissionError(13, "Permission denied", folder)
        return look(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    return tmp_path


@pytest.mark.parametrize("name", ["locked", "images/locked", "lost+found"])
def test_a_folder_that_may_not_be_looked_into_ends_no_plan(root, name):
    before = fingerprint(str(root))
    (root / name).mkdir()
    assert fingerprint(str(root)) not in ("", before)


@pytest.mark.parametrize("name", ["locked", "images/locked"])
def test_it_is_named_when_the_database_is_read(root, name):
    (root / name).mkdir()
    with pytest.raises(InputError, match=f"{root / name} may not be looked into: give yourself the right"):
        open_source("mine", {"reader": "table", "modality": "ultrasound", "root": str(root)})


def test_what_a_file_system_keeps_at_its_root_is_no_image(root):
    (root / "lost+found").mkdir()
    refuse_unreadable(root)


def test_a_root_that_may_not_be_looked_into_is_named(root):
    (root / "locked").mkdir()
    assert fingerprint(str(root / "locked"))
    with pytest.raises(InputError, match="locked may not be looked into"):
        refuse_unreadable(root / "locked")
