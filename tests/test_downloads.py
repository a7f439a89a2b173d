"""Downloads: what a server does wrong is survived or told, and nothing cut, wrong or unsafe is ever taken for whole."""

import hashlib
import io
import shutil
import sys
import tarfile
import threading
import zipfile
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from databases_for_tests import phantoms
from workflow_for_tests import snakemake

from mammosynth import downloads
from mammosynth.databases import READERS, database_of
from mammosynth.downloads import Unobtainable, download, fetch, fetch_series, list_files, size, unpack
from mammosynth.errors import InputError

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CUT = 100_000
DATABASES = {reader: database_of(reader) for reader in READERS}


class Server(ThreadingHTTPServer):
    """Serves *content* under any name, or what *files* has for it; *script*: how each request in turn is answered."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.files, self.script, self.asked = CONTENT, {}, [], []
        self.tag, self.ranges = '"one"', True

    def address(self, name="file.bin"):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        how = self.server.script.pop(0) if self.server.script else "whole"
        self.server.asked.append(dict(self.headers))
        if isinstance(how, int):
            return self.send_error(how)
        content, start = self.server.files.get(self.path[1:], self.server.content), 0
        asked = self.headers["Range"]
        if asked and self.server.ranges and self.headers["If-Range"] == self.server.tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            begin = 7 if how == "elsewhere" else start
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if how == "page":
            self.send_header("Content-Type", "text/html; charset=utf-8")
        if self.server.tag:
            self.send_header("ETag", self.server.tag)
        if how != "no length":
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + CUT] if how == "cut" else content[start:])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(downloads, "PAUSE", 0.0)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "file.bin"


def ranges(server):
    return [asked.get("Range") for asked in server.asked]


def test_a_whole_file_is_fetched_and_nothing_else_left(server, target):
    fetch(server.address(), target, SHA256)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert "mammosynth" in server.asked[0]["User-Agent"]


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_cut_is_resumed(server, target, sha256):
    server.script = ["cut", "cut"]
    fetch(server.address(), target, sha256)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]


def test_a_server_that_ignores_ranges_sends_all_again(server, target):
    server.script, server.ranges = ["cut"], False
    fetch(server.address(), target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={CUT}-"]


def test_a_later_run_resumes_where_an_earlier_one_ended(server, target):
    server.script = ["cut"]
    with pytest.raises(Unobtainable, match=r"cut off after 100\.0 kB of 300\.0 kB"):
        fetch(server.address(), target, tries=1)
    assert not target.exists()
    fetch(server.address(), target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={CUT}-"]


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(server, target):
    server.script = ["cut"]
    with pytest.raises(Unobtainable):
        fetch(server.address(), target, tries=1)
    server.content, server.tag = CONTENT[::-1], '"two"'
    fetch(server.address(), target)
    assert target.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_without_a_tag_of_its_version_a_file_is_fetched_from_its_start(server, target, tag):
    server.script, server.tag = ["cut"], tag
    fetch(server.address(), target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None, None]


def test_a_tag_is_not_kept_beside_a_file_that_it_is_not_of(server, target):
    server.script = ["cut"]
    with pytest.raises(Unobtainable):
        fetch(server.address(), target, tries=1)
    server.script, server.tag = ["cut"], ""
    with pytest.raises(Unobtainable):
        fetch(server.address(), target, tries=1)
    server.content, server.tag = CONTENT[::-1], '"one"'
    fetch(server.address(), target)
    assert target.read_bytes() == CONTENT[::-1]


def test_an_answer_that_resumes_elsewhere_is_not_joined(server, target):
    server.script = ["cut", "elsewhere"]
    fetch(server.address(), target)
    assert target.read_bytes() == CONTENT
    assert ranges(server)[-1] is None


def test_a_part_longer_than_the_file_is_thrown_away(server, target):
    Path(f"{target}.part").write_bytes(CONTENT + b"more")
    Path(f"{target}.version").write_text(server.tag, encoding="utf-8")
    fetch(server.address(), target)
    assert target.read_bytes() == CONTENT


def test_busy_servers_are_asked_again(server, target):
    server.script = [500, 503, 429]
    fetch(server.address(), target)
    assert target.read_bytes() == CONTENT
    assert len(server.asked) == 4


def test_busy_servers_are_not_asked_for_ever(server, target):
    server.script = [500] * 99
    with pytest.raises(Unobtainable, match="HTTP 500"):
        fetch(server.address(), target)
    assert len(server.asked) == downloads.TRIES


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_not_there_is_asked_for_once(server, target, status):
    server.script = [status] * 9
    with pytest.raises(Unobtainable, match=f"HTTP {status}"):
        fetch(server.address(), target)
    assert len(server.asked) == 1
    assert not list(target.parent.iterdir())


def test_a_web_page_is_not_taken_for_the_file(server, target):
    server.script = ["page"]
    with pytest.raises(Unobtainable, match="a web page in place of the file"):
        fetch(server.address(), target)
    assert not list(target.parent.iterdir())


def test_a_wrong_checksum_leaves_nothing_behind(server, target):
    with pytest.raises(Unobtainable, match=f"its sha256 is {SHA256}, not {'0' * 64}"):
        fetch(server.address(), target, "0" * 64)
    assert len(server.asked) == 1
    assert not target.exists()
    assert not Path(f"{target}.part").exists()


def test_a_wrong_beginning_is_cured_by_a_fresh_start(server, target):
    Path(f"{target}.part").write_bytes(bytes(CUT))
    Path(f"{target}.version").write_text(server.tag, encoding="utf-8")
    fetch(server.address(), target, SHA256)
    assert target.read_bytes() == CONTENT


def test_without_a_length_only_a_checksum_or_an_archive_tells_the_end(server, target):
    server.script = ["no length"] * 2
    with pytest.raises(Unobtainable, match="does not say how long"):
        fetch(server.address(), target)
    fetch(server.address(), target, SHA256)
    assert target.read_bytes() == CONTENT


def test_no_server_is_one_message(target):
    with pytest.raises(Unobtainable, match="refused"):
        fetch("http://127.0.0.1:9/file.bin", target, tries=2)


def test_a_full_disk_is_noticed_before_it_is_full(server, target, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(Unobtainable, match=r"300\.0 kB are still to come, but .* has room for 1\.0 kB only"):
        fetch(server.address(), target)


def test_sizes_are_readable():
    assert [size(n) for n in (0, 999, 1500, 2.5e6, 82.5e9)] == ["0 bytes", "999 bytes", "1.5 kB", "2.5 MB", "82.5 GB"]


FILES = {"benign/benign (1).png": b"an image", "Größe.txt": b"12"}


def make_zip(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def make_tar(files, **entry):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in entry.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


MAKE = {"a.zip": make_zip, "a.tar.gz": make_tar}


def packed(tmp_path, name, content):
    (tmp_path / "out").mkdir()
    (tmp_path / name).write_bytes(content)
    return tmp_path / name, tmp_path / "out"


@pytest.mark.parametrize("name", MAKE)
def test_an_archive_is_unpacked(tmp_path, name):
    archive, out = packed(tmp_path, name, MAKE[name](FILES))
    unpack(archive, out)
    assert {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.*")} == FILES


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize(
    "member",
    ["../evil.png", "a/../../evil.png", "/evil.png", "..\\evil.png", "C:\\evil.png", "C:evil", "\\\\host\\x\\y"],
)
def test_a_path_that_leads_out_is_refused(tmp_path, name, member):
    archive, out = packed(tmp_path, name, MAKE[name]({member: b"evil"}))
    with pytest.raises(InputError, match="leads out of its folder"):
        unpack(archive, out)
    assert not list(out.iterdir())
    assert not list(tmp_path.rglob("evil*"))


def make_link_zip():
    entry = zipfile.ZipInfo("link")
    entry.external_attr = 0o120777 << 16
    return make_zip({entry: b"/etc/passwd"})


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.zip", make_link_zip),
        ("a.tar.gz", lambda: make_tar({"link": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd")),
        ("a.tar.gz", lambda: make_tar({"link": b""}, type=tarfile.LNKTYPE, linkname="../secret")),
        ("a.tar.gz", lambda: make_tar({"null": b""}, type=tarfile.CHRTYPE)),
    ],
    ids=["zip of a link", "symbolic link", "hard link", "device"],
)
def test_links_and_devices_are_refused(tmp_path, name, make):
    archive, out = packed(tmp_path, name, make())
    with pytest.raises(InputError, match="a link"):
        unpack(archive, out)
    assert not list(out.iterdir())


@pytest.mark.parametrize("name", MAKE)
def test_a_bomb_is_refused_before_it_is_written(tmp_path, name):
    archive, out = packed(tmp_path, name, MAKE[name]({"zeros": bytes(20_000_000)}))
    with pytest.raises(InputError, match="zip bomb"):
        unpack(archive, out)
    assert not list(out.iterdir())


def test_a_bomb_that_understates_its_size_writes_no_more_than_it_states(tmp_path):
    content = bytearray(make_zip({"zeros": bytes(20_000_000)}))
    for place in (content.index(b"PK\x03\x04") + 22, content.index(b"PK\x01\x02") + 24):
        content[place : place + 4] = (1000).to_bytes(4, "little")
    archive, out = packed(tmp_path, "a.zip", bytes(content))
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack(archive, out)
    assert sum(path.stat().st_size for path in out.iterdir()) <= 1000


def test_an_archive_without_room_is_refused(tmp_path, monkeypatch):
    archive, out = packed(tmp_path, "a.zip", make_zip({"noise": CONTENT}))
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match=r"for which .* has room"):
        unpack(archive, out)


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("change", ["cut", "flipped", "empty", "text"])
def test_a_broken_archive_is_refused(tmp_path, name, change):
    whole = MAKE[name]({"noise": CONTENT})
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    content = {"cut": whole[:middle], "flipped": flipped, "empty": b"", "text": b"<html>Sorry</html>"}[change]
    archive, out = packed(tmp_path, name, content)
    with pytest.raises(InputError, match=r"cannot be unpacked .*: delete it and run again"):
        unpack(archive, out)


@pytest.fixture
def declaration(server):
    server.files = {"images.zip": make_zip(FILES), "table.csv": b"a,b\n"}
    return {"title": "TOY", "files": [{"address": server.address(name)} for name in server.files]}


def test_a_database_is_laid_down_whole(tmp_path, declaration, server):
    root = tmp_path / "deep" / "toy"
    download(declaration, root)
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert names == {*FILES, "table.csv"}
    assert list(root.parent.iterdir()) == [root]
    list_files(root, tmp_path / "toy.csv")
    listed = pd.read_csv(tmp_path / "toy.csv")
    assert dict(zip(listed["file"], listed["bytes"])) == {name: (root / name).stat().st_size for name in names}


def test_a_database_that_is_there_is_left_alone(tmp_path, declaration, server):
    (tmp_path / "patients.csv").write_text("mine")
    download(declaration, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["patients.csv"]
    assert not server.asked


def test_a_database_of_which_one_file_fails_is_not_there_and_keeps_the_other(tmp_path, declaration, server):
    server.script = ["whole", 404]
    with pytest.raises(InputError) as caught:
        download(declaration, tmp_path / "toy")
    for text in ("TOY", server.address("table.csv"), "HTTP 404", "run again", str(tmp_path / "toy")):
        assert text in str(caught.value)
    assert not (tmp_path / "toy").exists()
    download(declaration, tmp_path / "toy")
    assert len(server.asked) == 3
    assert (tmp_path / "toy/table.csv").read_bytes() == b"a,b\n"


@pytest.mark.parametrize("how", ["cut", "broken"])
def test_a_database_whose_archive_is_cut_without_a_length_is_not_there(tmp_path, declaration, server, how):
    server.files["images.zip"] = server.files["images.zip"][:-30]
    server.script = ["no length"]
    with pytest.raises(InputError, match="cannot be unpacked"):
        download(declaration, tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


@pytest.mark.parametrize("name", ["udiat", "inbreast"])
def test_where_to_ask_and_where_to_put_it(tmp_path, name):
    with pytest.raises(InputError) as caught:
        download(DATABASES[name].download, tmp_path / name)
    for text in (DATABASES[name].title, "ask", "http", str(tmp_path / name), "root"):
        assert text in str(caught.value)
    (tmp_path / name).mkdir()
    download(DATABASES[name].download, tmp_path / name)


def test_declarations_are_complete():
    for name, database in DATABASES.items():
        if name not in ("rois", "table"):
            assert "" not in (database.title, database.licence, database.citation, database.tried), name
            assert ("files" in database.download) != ("request" in database.download), name
        for file in database.files:
            assert set(file) <= {"address", "sha256"}
            assert downloads.file_name(file["address"]).count("."), name


class Client:
    """Stands in for idc_index.IDCClient: the index that it bundles, and files in place of a bucket."""

    def __init__(self, fail=()):
        patients = [
            "Mass-Training_P_1_LEFT_CC",
            "Mass-Training_P_1_LEFT_CC_1",
            "Mass-Test_P_2_RIGHT_CC",
            "Calc-Test_P_3",
        ]
        self.index = pd.DataFrame(
            {
                "collection_id": ["cbis_ddsm"] * 4 + ["cmmd"],
                "PatientID": [*patients, "Mass-9"],
                "StudyInstanceUID": [f"1.{i}" for i in range(5)],
                "SeriesInstanceUID": [f"2.{i}" for i in range(5)],
                "SeriesDescription": ["full mammogram images", "ROI mask images"] * 2 + [""],
                "instanceCount": pd.array([1, 2, 1, 1, 1], dtype="Int64"),
                "series_size_MB": [0.03, 0.020002, 0.01, 0.04, 0.05],
            }
        )
        self.fail, self.asked = set(fail), []

    def download_from_selection(self, downloadDir, seriesInstanceUID, dirTemplate, show_progress_bar):
        assert dirTemplate == "%PatientID/%StudyInstanceUID/%SeriesInstanceUID"
        self.asked += seriesInstanceUID
        for row in self.index[self.index["SeriesInstanceUID"].isin(seriesInstanceUID)].itertuples():
            folder = Path(downloadDir, row.PatientID, row.StudyInstanceUID, row.SeriesInstanceUID)
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(row.instanceCount):
                bytes_ = round(row.series_size_MB * 1e6) // row.instanceCount
                (folder / f"{i}.dcm").write_bytes(bytes(bytes_ - (row.SeriesInstanceUID in self.fail)))


IDC = DATABASES["cbis_ddsm"].idc


def test_only_masses_are_fetched_and_their_size_is_told_first(tmp_path, caplog):
    client = Client()
    client.download_from_selection = lambda **_: pytest.fail(f"fetched after: {caplog.text}")
    with caplog.at_level("INFO"), pytest.raises(pytest.fail.Exception, match=r"3 series, 60\.0 kB; still to come: 3 "):
        fetch_series("CBIS-DDSM", IDC, tmp_path, client)
    client = Client()
    fetch_series("CBIS-DDSM", IDC, tmp_path, client)
    assert client.asked == ["2.0", "2.1", "2.2"]


def test_series_that_are_there_are_not_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "SERIES_AT_ONCE", 1)
    client = Client(fail=["2.2"])
    with pytest.raises(InputError, match=r"CBIS-DDSM: 1 of 3 series were not fetched whole .* run again"):
        fetch_series("CBIS-DDSM", IDC, tmp_path, client)
    client.fail, client.asked = set(), []
    fetch_series("CBIS-DDSM", IDC, tmp_path, client)
    assert client.asked == ["2.2"]
    fetch_series("CBIS-DDSM", IDC, tmp_path, client)
    assert client.asked == ["2.2"]


def test_a_bucket_that_gives_nothing_is_not_asked_for_every_series(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "SERIES_AT_ONCE", 1)
    client = Client(fail=["2.0", "2.1", "2.2"])
    with pytest.raises(InputError, match="3 of 3 series were not fetched whole"):
        fetch_series("CBIS-DDSM", IDC, tmp_path, client)
    assert client.asked == ["2.0"]


def test_no_room_for_a_collection_is_told_before_anything_is_fetched(tmp_path, monkeypatch):
    client = Client()
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 50_000}))
    with pytest.raises(InputError, match=r"60\.0 kB are still to come, .* room for 50\.0 kB only: make room"):
        fetch_series("CBIS-DDSM", IDC, tmp_path, client)
    assert not client.asked


def test_without_idc_index_it_is_said_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "idc_index", None)
    with pytest.raises(InputError, match=r"is not installed .* pip install -r envs/requirements-idc\.txt"):
        fetch_series("CBIS-DDSM", IDC, tmp_path)


def test_what_a_collection_lacks_is_said_before_its_tables_are_fetched(tmp_path, declaration, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "idc_index", None)
    with pytest.raises(InputError, match="is not installed"):
        download(declaration | {"idc": IDC}, tmp_path / "toy")
    assert not server.asked


def test_a_collection_and_its_tables_become_one_database(tmp_path, declaration, monkeypatch):
    monkeypatch.setitem(sys.modules, "idc_index", mock.Mock(IDCClient=Client))
    download(declaration | {"idc": IDC}, tmp_path / "toy")
    assert len(list((tmp_path / "toy").rglob("*.dcm"))) == 4
    assert (tmp_path / "toy/table.csv").exists()


def test_the_real_index_holds_the_masses(tmp_path, monkeypatch):
    idc_index = pytest.importorskip("idc_index", reason="envs/requirements-idc.txt is not installed")
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1e12}))
    client = idc_index.IDCClient()
    client.download_from_selection = mock.create_autospec(client.download_from_selection)
    with pytest.raises(InputError, match="3391 of 3391 series were not fetched"):
        fetch_series("CBIS-DDSM", IDC, tmp_path, client)
    series = {uid for call in client.download_from_selection.call_args_list for uid in call.kwargs["seriesInstanceUID"]}
    chosen = client.index[client.index["SeriesInstanceUID"].isin(series)]
    assert chosen["PatientID"].str.split("_").str[:3].str.join("_").nunique() == 691 + 201
    assert set(chosen["license_short_name"]) == {DATABASES["cbis_ddsm"].licence}
    assert chosen["series_size_MB"].sum() == pytest.approx(82_500, rel=0.01)


def test_reading_waits_for_the_download(tmp_path):
    source = {"reader": "busi", "modality": "ultrasound", "download": True}
    study = {"sources": {"mine": source}, "databases": ["mine"], "downloads": "kept"}
    lesions = "results/ultrasound/lesions.csv"
    plan = snakemake(tmp_path, lesions, "--dry-run", study=study).stdout
    assert plan.index("rule download_database:") < plan.index("rule read_lesions:")
    shutil.copytree(phantoms("busi"), tmp_path / "kept/busi")  # as if a run before had fetched it
    run = snakemake(tmp_path, lesions, study=study)
    assert run.returncode == 0, run.stdout
    assert "benign/benign (1).png," in (tmp_path / "kept/busi.csv").read_text()
    read = pd.read_csv(tmp_path / lesions)
    assert set(read["database"]) == {"mine"}
    assert read["image"].str.startswith("kept/busi/").all()
    assert "Nothing to be done" in snakemake(tmp_path, lesions, study=study).stdout
