"""Pages in a real browser: they open from a file, ask no host for anything, fit a phone, and their tables sort."""

import json
import re
import shutil
import subprocess
from html import unescape

import pytest
from PIL import Image
from test_curation_report import alike, facts, flow, images, partition, rois  # noqa: F401
from test_page import study  # noqa: F401
from test_scorecard import facts as card_facts
from test_scorecard import samples  # noqa: F401

from mammosynth.report import datacard, page, scorecard

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is on the PATH")
WIDTHS = (390, 1280)  # px: a phone, a desk
# Opens the page in a frame of each width, and writes what it finds as JSON.
PROBE = """<!DOCTYPE html><meta charset="utf-8"><body><script>
const found = {};
const frames = WIDTHS.map((width) => {
  const frame = document.createElement("iframe");
  frame.width = width;
  frame.height = 900;
  document.body.append(frame);
  return new Promise((done) => { frame.onload = () => done([width, frame.contentWindow]); frame.src = PAGE; });
});
const first = (table, at) => [...table.tBodies[0].rows].filter((row) => row.cells.length > 1)
  .map((row) => row.cells[at].textContent.trim());
async function look() {
  for (const [width, view] of await Promise.all(frames)) {
    const pageOf = view.document;
    const links = [...pageOf.querySelectorAll("nav a")];
    for (const link of links) {
      link.click();
      await new Promise((done) => setTimeout(done));
    }
    const folded = [...pageOf.querySelectorAll("section > details:not([open])")].length;
    const asked = view.performance.getEntriesByType("resource").map((entry) => entry.name);
    for (const folded of pageOf.querySelectorAll("details")) folded.open = true;
    const images = [...pageOf.images];
    found[width] = {
      wide: pageOf.documentElement.scrollWidth,
      images: images.length,
      undecoded: images.filter((image) => !image.naturalWidth).map((image) => image.alt),
      asked,
      links: links.length,
      folded,
      sorted: [...pageOf.querySelectorAll("table.sorts")].map((table) => {
        const head = table.tHead.rows[0].cells, last = head.length - 1, found = [first(table, last)];
        for (const _ of "12") {
          head[last].querySelector("button").click();
          found.push([head[last].getAttribute("aria-sort"), first(table, last)]);
        }
        return found;
      }),
    };
    const zoom = pageOf.querySelector("button.zooms");
    if (zoom) {
      zoom.click();
      found[width].zoomed = pageOf.querySelector("dialog[open] img").naturalWidth;
    }
  }
  document.title = "looked";
  document.body.replaceChildren(JSON.stringify(found));
}
look();
</script>"""


def opened(path):
    """What the probe finds on a page by width, and what the browser wrote to its console."""
    probe = path.with_name("probe.html")
    text = PROBE.replace("WIDTHS", json.dumps(WIDTHS)).replace("PAGE", json.dumps(path.name))
    probe.write_text(text, encoding="utf-8")
    run = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
            "--disable-background-networking", "--disable-component-update", "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--virtual-time-budget=30000",
            f"--user-data-dir={path.parent / 'profile'}", "--dump-dom", probe.as_uri(),
        ],
        capture_output=True, text=True, timeout=900, check=True,
    )  # fmt: skip
    said = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    assert "<title>looked</title>" in run.stdout, f"the probe did not end: {run.stdout[-500:]} {said}"
    written = re.search("<body>(.*)</body>", run.stdout, re.DOTALL)
    return json.loads(unescape(written[1])), said


def check(path, least):
    """That a page opens from a file with no error, asks for nothing, shows its images and is no wider than a screen."""
    by_width, said = opened(path)
    assert said == []
    for width in WIDTHS:
        seen = by_width[str(width)]
        assert seen["asked"] == []
        assert seen["undecoded"] == []
        assert seen["images"] >= least
        assert seen["wide"] <= width
    return by_width


@pytest.fixture(scope="module")
def report(study, tmp_path_factory):  # noqa: F811
    path = tmp_path_factory.mktemp("report") / "report.html"
    page.write(study, path)
    return check(path, least=15)


def test_a_scorecard_opens(samples, tmp_path):  # noqa: F811
    path = tmp_path / "sngan.html"
    scorecard.write(scorecard.describe(card_facts()), samples, None, "", html=path, data=path.with_suffix(".json"))
    check(path, least=4)


def test_a_data_card_opens(facts, tmp_path):  # noqa: F811
    datacard.write(facts, "Counts.", tmp_path / "card.html")
    check(tmp_path / "card.html", least=1)


def value(text):
    number = re.match(r"[+-]?[\d.]+", text.replace("−", "-").lstrip("< "))
    return float(number[0])


def test_the_reports_tables_sort_both_ways(report):
    tables, numeric = report["1280"]["sorted"], 0
    assert len(tables) >= 8
    for before, (rising, up), (falling, down) in tables:
        assert (rising, falling) == ("ascending", "descending")
        assert sorted(before) == sorted(up) == sorted(down)
        known = [cell for cell in up if cell not in ("–", "")]
        assert up[: len(known)] == known, "what is not known stands last"
        if known and all(re.match(r"[+−<]? ?\d", cell) for cell in known):
            assert [value(cell) for cell in known] == sorted(map(value, known))
            assert [value(cell) for cell in down[: len(known)]] == sorted(map(value, known), reverse=True)
            numeric += len(set(known)) > 1
    assert numeric >= 3


def test_the_reports_navigation_opens_what_is_folded(report):
    assert report["390"]["links"] == len(page.SECTIONS)
    assert report["390"]["folded"] == 0


def test_a_picture_of_the_report_is_enlarged(report):
    assert report["390"]["zoomed"] > 0


def test_the_probe_finds_what_is_wrong(tmp_path):
    Image.new("L", (9, 9)).save(tmp_path / "there.png")
    (tmp_path / "page.html").write_text(
        '<!DOCTYPE html><body><div style="width: 2000px">wide</div><img alt="lost" src="data:image/png;base64,AAAA">'
        '<img alt="there" src="there.png"><img alt="far" src="https://host.invalid/a.png">'
        "<script>console.error('a fault')</script>",
        encoding="utf-8",
    )
    by_width, said = opened(tmp_path / "page.html")
    assert by_width["390"]["wide"] >= 2000
    assert by_width["390"]["undecoded"] == ["lost", "far"]
    assert "https://host.invalid/a.png" in by_width["1280"]["asked"]
    assert any("a fault" in line for line in said)
