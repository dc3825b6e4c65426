"""The page in a real browser: what it shows, and that nothing hostile in it runs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from model_release.page.content import page
from model_release.report.html import html
from tests.unit.page.example_releases import facts
from tests.unit.report.example_documents import hostile

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)

pytestmark = pytest.mark.skipif(not BROWSER, reason="chromium is not on PATH (.ci/packages)")


def browse(folder: Path, document: str, *options: str) -> str:
    """Open a document in the browser; return what it writes."""
    (folder / "page.html").write_text(document, encoding="utf-8")
    command = [str(BROWSER), *QUIET, f"--user-data-dir={folder / 'profile'}", *options]
    done = subprocess.run(
        [*command, (folder / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return done.stdout


def test_it_shows_what_it_should(tmp_path: Path) -> None:
    shown = browse(tmp_path, html(page(facts())), "--dump-dom")
    assert shown.count("<section") == 12
    assert shown.count("<svg") == 2
    assert "Whoever approves lets fraud 2 into production, in place of version 1." in shown
    assert '<td class="passed">✓ passed</td>' in shown
    assert '<span class="added">+image: fraud:2</span>' in shown


def test_a_script_in_the_evidence_does_not_run(tmp_path: Path) -> None:
    document = html(hostile()).replace("alert(1)", "document.title=String(6*7)")
    shown = browse(tmp_path, document, "--dump-dom")
    assert "<title>42</title>" not in shown
    # The same browser does run scripts: this test can fail.
    running = "<!doctype html><title>0</title><script>document.title=String(6*7)</script>"
    assert "<title>42</title>" in browse(tmp_path, running, "--dump-dom")


def test_it_is_painted(tmp_path: Path) -> None:
    from matplotlib import image

    picture = tmp_path / "page.png"
    browse(tmp_path, html(page(facts())), f"--screenshot={picture}", "--window-size=1160,2400")
    pixels = image.imread(picture)
    assert pixels.shape[:2] == (2400, 1160)
    painted = (pixels[:, :, :3].min(axis=2) < 0.5).mean(axis=1) > 0.002
    assert painted.sum() > 200, "rows of pixels with dark text"
