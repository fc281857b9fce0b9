"""The pictures of the documentation, taken of real pages in headless Chromium.

    ftcls train configs/quickstart.yaml
    python scripts/screenshots.py runs/quickstart

Of the run: its page, its comparison with its simpler models, `ftcls serve` with a text that was typed. Of a sweep of
six small trainings around it, which is run first (`--sweep` takes one that is there): its page. Each is a WebP of the
first screen, in `docs/images`. They are looked at, not compared: fonts and versions of Chromium differ.
"""

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from serve_page import Page, browser, opened

ROOT = Path(__file__).resolve().parent.parent
TEXT = "Compute the gradient of the loss with respect to every parameter of the module."
WIDTH = 1_400
QUALITY = 82
"""Of the WebP, 0 to 100: text stays sharp, and a page takes less than 150 kB."""

SWEEP = """\
name: quickstart-rows
base: {base}
search: {{method: grid, metric: f1_macro}}
axes:
  rows:
    "150": {{data.subset.train: {{per_class: 30}}, training.num_train_epochs: 2, report.ladder: []}}
    "300": {{data.subset.train: {{per_class: 60}}, training.num_train_epochs: 2, report.ladder: []}}
    "600": {{data.subset.train: {{per_class: 120}}, training.num_train_epochs: 2, report.ladder: []}}
  training.learning_rate: [3e-5, 1e-4]
heatmap: {{x: rows, y: training.learning_rate}}
"""


async def picture(page: Page, path: Path, height: int) -> None:
    """Save the top of a page."""
    await page.command("Emulation.setScrollbarsHidden", hidden=True)
    await page.resize(WIDTH, height, dark=False)
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
    found = await page.command("Page.captureScreenshot", format="webp", quality=QUALITY, clip=clip)
    path.write_bytes(base64.b64decode(found["data"]))
    print(f"{path}: {path.stat().st_size / 1_000:.0f} kB")


async def of_file(chromium: str, file: Path, path: Path, height: int) -> None:
    """Save the top of a page that lies on the disk."""
    async with opened(chromium, file.resolve().as_uri()) as page:
        await page.until("document.readyState === 'complete'")
        await picture(page, path, height)


async def of_server(chromium: str, url: str, path: Path, height: int) -> None:
    """Save the page of a server after a text was classified and its words weighed."""
    async with opened(chromium, url) as page:
        await page.until("document.getElementById('about')?.textContent.includes('label')")
        await page.until("!document.getElementById('go').disabled")
        await page.value(f"document.getElementById('text').value = {json.dumps(TEXT)}")
        await page.value("document.getElementById('ask').requestSubmit()")
        await page.until("!document.getElementById('result').hidden && !document.getElementById('go').disabled")
        await page.value("document.getElementById('weigh').click()")
        await page.until("!document.getElementById('words').hidden && !document.getElementById('weigh').disabled")
        await page.value("scrollTo(0, 0)")
        await picture(page, path, height)


def ftcls(*arguments: str | Path) -> None:
    """Run a command of ftcls."""
    subprocess.run([sys.executable, "-m", "ftcls", *map(str, arguments)], check=True)


def served(chromium: str, run: Path, path: Path, height: int) -> None:
    """Serve a run for one picture."""
    command = [sys.executable, "-m", "ftcls", "serve", str(run), "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().strip()
            if not url:
                raise SystemExit(f"{' '.join(command)}: ended with {server.wait()}")
            asyncio.run(of_server(chromium, url, path, height))
        finally:
            server.terminate()


def main() -> None:
    """Take all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--sweep", type=Path, help="the folder of a sweep that is done")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    chromium = browser()
    if chromium is None:
        raise SystemExit("no Chromium is installed")
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place, sweep = Path(folder), options.sweep
        asyncio.run(of_file(chromium, options.run / "report.html", options.output / "report.webp", 900))
        simpler = [f"{options.run}:{name}" for name in ("tfidf", "frozen")]
        ftcls("compare", options.run, *simpler, "--output", place / "comparison")
        asyncio.run(of_file(chromium, place / "comparison" / "compare.html", options.output / "compare.webp", 900))
        served(chromium, options.run, options.output / "serve.webp", 1_250)
        if sweep is None:
            sweep = place / "sweep"
            (place / "rows.yaml").write_text(SWEEP.format(base=ROOT / "configs" / "quickstart.yaml"), encoding="utf-8")
            ftcls("sweep", place / "rows.yaml", "--output", sweep)
        asyncio.run(of_file(chromium, sweep / "index.html", options.output / "sweep.webp", 900))


if __name__ == "__main__":
    main()
