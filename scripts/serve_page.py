"""The page of `ftcls serve` in headless Chromium: by keyboard alone, against the rules of axe-core, and as pictures.

    python scripts/serve_page.py runs/imdb --output shots
    python scripts/serve_page.py runs/go_emotions --text "I still miss him." --axe node_modules/axe-core/axe.min.js

A text is typed and classified, its words are weighed, an earlier try is called back, all by keyboard; what the page
says is compared with what the API answers. Then a threshold is moved, an example taken, an answer called right where
the server has examples and asks, a text that is cut, a CSV, chosen and pasted, one of its rows, and the page as it
looks on a desktop and a phone, light and dark: nothing may stick out to the side, the console must stay empty, and
axe-core (`npm install axe-core`) must find nothing serious. It needs Chromium. Exit code 1 when something is wrong.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TEXT = "A lovely, warm and clever film; the second half is dull, but I would see it again."
SIZES = {"desktop": (1_280, 900), "phone": (390, 844)}
PATIENCE = 120
"""Seconds until something that does not happen is a fault."""
SERIOUS = ("serious", "critical")

KEYS = {"Tab": (9, ""), "Enter": (13, "\r")}
"""Windows key code and text of each key that is pressed."""


@dataclass
class Page:
    """A tab of the browser."""

    socket: aiohttp.ClientWebSocketResponse
    console: list[str] = field(default_factory=list)
    """Errors and exceptions."""
    sent: int = 0

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol; its result."""
        self.sent += 1
        await self.socket.send_json({"id": self.sent, "method": method, "params": parameters})
        while True:
            message = json.loads((await self.socket.receive()).data)
            if "id" in message and message["id"] == self.sent:
                if "error" in message:
                    raise SystemExit(f"{method}: {message['error']['message']}")
                return message["result"]
            if "method" in message and message["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.console.append(json.dumps(message["params"])[:300])

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression gives."""
        found = await self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise SystemExit(f"{expression[:80]}: {found['exceptionDetails']['text']}")
        return found["result"]["value"] if "value" in found["result"] else None

    async def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        for _ in range(PATIENCE * 5):
            if await self.value(expression):
                return
            await asyncio.sleep(0.2)
        raise SystemExit(f"waited {PATIENCE} s for: {expression}")

    async def press(self, key: str, *, control: bool = False) -> None:
        """Press a key."""
        number, text = KEYS[key]
        pressed = {"key": key, "code": key, "windowsVirtualKeyCode": number, "modifiers": 2 if control else 0}
        said = {"text": text} if text and not control else {}
        await self.command("Input.dispatchKeyEvent", type="keyDown", **pressed, **said)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **pressed)

    async def tab_to(self, selector: str) -> int:
        """Press Tab until an element has the focus; how often that was."""
        for presses in range(1, 60):
            await self.press("Tab")
            if await self.value(f"document.activeElement.matches({json.dumps(selector)})"):
                return presses
        raise SystemExit(f"{selector}: cannot be reached by keyboard")

    async def resize(self, width: int, height: int, *, dark: bool) -> None:
        """Show the page on a screen of this size."""
        await self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme])
        await asyncio.sleep(0.5)

    async def picture(self, path: Path) -> None:
        """Save the whole page as a PNG."""
        found = await self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))


@contextlib.asynccontextmanager
async def opened(chromium: str, url: str) -> AsyncIterator[Page]:
    """The page at an address, in a browser of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        quiet = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
        command = [chromium, *quiet, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            async with aiohttp.ClientSession() as session:
                address = await _debugger(session, Path(profile) / "DevToolsActivePort")
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    page = Page(socket)
                    for domain in ("Page", "Runtime", "Log"):
                        await page.command(f"{domain}.enable")
                    await page.resize(*SIZES["desktop"], dark=False)
                    await page.command("Page.navigate", url=url)
                    yield page
                    await page.command("Browser.close")
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()


async def _debugger(session: aiohttp.ClientSession, port: Path) -> str:
    for _ in range(PATIENCE * 5):
        if port.is_file() and port.read_text().strip():
            break
        await asyncio.sleep(0.2)
    async with session.get(f"http://127.0.0.1:{port.read_text().splitlines()[0]}/json") as answer:
        tabs = await answer.json()
    return next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")


class Check:
    """What is tried on one page; `problems` are what should not be."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []

    def need(self, fact: bool, problem: str) -> None:
        """Note a problem unless the fact holds."""
        if not fact:
            self.problems.append(problem)

    async def ready(self) -> None:
        """Wait until the model is described."""
        await self.page.until("document.getElementById('about')?.textContent.includes('label')")
        await self.page.until("!document.getElementById('go').disabled")

    async def by_keyboard(self, text: str) -> None:
        """Type a text, classify it, weigh its words, call it back from the history."""
        page = self.page
        await page.tab_to("#text")
        await page.command("Input.insertText", text=text)
        await page.press("Enter", control=True)
        await page.until("!document.getElementById('result').hidden && !document.getElementById('go').disabled")
        said = await page.value("document.getElementById('said').innerText")
        print(f"typed: {text}\nread: {' '.join(said.split())}")
        body = json.dumps({"text": text})
        answer = await page.value(
            "fetch('predict', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: "
            f"{json.dumps(body)}}}).then(answer => answer.json()).then(found => found.predictions[0])"
        )
        for label in answer["labels"]:
            shown = (
                "> 99.9 %"
                if answer["probabilities"][label] > 0.9995
                else f"{100 * answer['probabilities'][label]:.1f} %"
            )
            self.need(label in said and shown in said, f"the page says {said!r}, the API {label} {shown}")
        self.need(bool(answer["labels"]) or "no label" in said, f"the page says {said!r}, the API no label")
        self.need(await page.value("document.activeElement.id") == "result", "the result has not got the focus")
        presses = await page.tab_to("#weigh")
        await page.press("Enter")
        await page.until("!document.getElementById('words').hidden && !document.getElementById('weigh').disabled")
        words = await page.value("document.getElementById('words-said').innerText")
        print(f"{presses} x Tab, Enter: {' / '.join(filter(None, words.splitlines()))}")
        await page.tab_to("#tries button")
        await page.value("document.getElementById('text').value = ''")
        await page.press("Enter")
        self.need(await page.value("document.getElementById('text').value") == text, "a try was not called back")
        self.need(await page.value("document.getElementById('words').hidden"), "words of another result are shown")

    async def cut(self) -> None:
        """Classify a text that the model cannot read as a whole."""
        await self.page.value("document.getElementById('text').value = 'word '.repeat(2000)")
        await self.page.value("document.getElementById('ask').requestSubmit()")
        await self.page.until("!document.getElementById('cut').hidden && !document.getElementById('go').disabled")
        print("too long:", await self.page.value("document.getElementById('cut').innerText"))

    async def threshold(self) -> None:
        """Move the threshold to its end and back: the label goes and comes."""
        page, said = self.page, "document.getElementById('said').innerText"
        if await page.value("document.getElementById('thresholds').hidden"):
            return
        before = await page.value(said)
        several = await page.value("model.task === 'multilabel'")
        slider = "document.getElementById('threshold')"
        await page.value(f"{slider}.value = 1; {slider}.dispatchEvent(new Event('input'))")
        after = await page.value(said)
        wanted = "no label" if several else await page.value("model.labels.find(each => each !== positive())")
        self.need(wanted in after, f"at a threshold of 1 the page says {after!r}")
        line = await page.value("document.getElementById('threshold-line').innerText")
        self.need(line == "--threshold 1", f"the line to serve it is {line!r}")
        await page.value("document.getElementById('threshold-reset').click()")
        self.need(await page.value(said) == before, "a threshold that was put back has left its mark")

    async def example(self) -> None:
        """Take the first example, and say that its answer is right, where the server has examples and asks."""
        page = self.page
        if not await page.value("document.getElementById('examples').hidden"):
            text = await page.value("document.querySelector('#try button').title")
            await page.value("document.querySelector('#try button').click()")
            await page.until("!document.getElementById('go').disabled")
            self.need(await page.value("document.getElementById('text').value") == text, "an example was not taken")
        if not await page.value("document.getElementById('feedback').hidden"):
            await page.value("document.getElementById('right').click()")
            await page.until("document.getElementById('thanks').innerText.startsWith('Kept')")

    async def pasted(self) -> None:
        """Paste a CSV into the box of the text, and look at its second row."""
        page, box = self.page, "document.getElementById('text')"
        pasted = json.dumps("text,show\nWarm and clever.,Gallery\nDull and cold.,Gallery\n")
        await page.value(f"{box}.value = {pasted}; {box}.dispatchEvent(new Event('input'))")
        self.need(not await page.value("document.getElementById('offer').hidden"), "a pasted CSV is not seen as one")
        await page.value("document.getElementById('as-csv').click()")
        await page.until("document.querySelectorAll('#rows .look').length === 2")
        await page.value("document.querySelectorAll('#rows .look')[1].click()")
        await page.until("!document.getElementById('words').hidden && !document.querySelector('.look:disabled')")
        text = await page.value(f"{box}.value")
        self.need(text == "Dull and cold.", f"the row that is looked at is {text!r}")

    async def csv(self) -> None:
        """Choose a CSV whose last row cannot be read."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "reviews.csv"
            file.write_text('text,show\n"Warm, and clever.",Gallery\nDull and cold.,Gallery\nno, show, here\n')
            root = (await self.page.command("DOM.getDocument"))["root"]["nodeId"]
            node = (await self.page.command("DOM.querySelector", nodeId=root, selector="#file"))["nodeId"]
            await self.page.command("DOM.setFileInputFiles", files=[str(file)], nodeId=node)
            await self.page.until(
                "!document.getElementById('table').hidden || !document.getElementById('problem').hidden"
            )
        cells = "row => [...row.cells].map(cell => cell.innerText).join(', ')"
        rows = await self.page.value(f"[...document.querySelectorAll('#rows tr')].map({cells})")
        print("CSV:", *rows, sep="\n  ")
        self.need(len(rows) == 3, f"a CSV of 3 rows is shown with {len(rows)}")

    async def looks(self, name: str, folder: Path | None, axe: Path | None) -> None:
        """Look at every size and scheme."""
        if axe is not None:
            await self.page.value(f"{axe.read_text(encoding='utf-8')};0")
        for size, (width, height) in SIZES.items():
            for dark in (False, True):
                view = f"{name}-{size}-{'dark' if dark else 'light'}"
                await self.page.resize(width, height, dark=dark)
                wide = await self.page.value("document.documentElement.scrollWidth > innerWidth")
                self.need(not wide, f"{view}: something sticks out to the side")
                if folder is not None:
                    await self.page.picture(folder / f"{view}.png")
                if axe is not None:
                    await self.rules(view)

    async def rules(self, view: str) -> None:
        """What axe-core finds."""
        found = await self.page.value("axe.run().then(({passes, violations}) => ({passes: passes.length, violations}))")
        faults = found["violations"]
        print(f"{view}: axe-core, {found['passes']} rules hold, {len(faults)} do not")
        for fault in faults:
            line = f"{view}: {fault['id']} ({fault['impact']}): {fault['nodes'][0]['html'][:160]}"
            print(f"  {line}")
            self.need(fault["impact"] not in SERIOUS, line)


async def checked(chromium: str, url: str, text: str, name: str, folder: Path | None, axe: Path | None) -> list[str]:
    """What is wrong with the page at an address."""
    async with opened(chromium, url) as page:
        check = Check(page)
        await check.ready()
        await check.looks(f"{name}-empty", None, axe)
        await page.resize(*SIZES["desktop"], dark=False)
        await check.by_keyboard(text)
        await page.value("document.getElementById('weigh').click()")
        await page.until("!document.getElementById('words').hidden && !document.getElementById('weigh').disabled")
        await check.looks(name, folder, axe)
        await check.threshold()
        await check.example()
        await check.cut()
        await check.csv()
        await check.looks(f"{name}-csv", folder, axe)
        await check.pasted()
        check.need(not page.console, f"the console has {page.console}")
        return check.problems


def browser() -> str | None:
    """Where Chromium is."""
    return next((found for found in map(shutil.which, NAMES) if found), None)


def main() -> int:
    """Serve, try, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--output", type=Path, help="a folder for pictures")
    parser.add_argument("--axe", type=Path, help="axe.min.js of axe-core")
    options = parser.parse_args()
    chromium = browser()
    if chromium is None:
        raise SystemExit(f"no Chromium: none of {', '.join(NAMES)} is installed")
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ftcls", "serve", str(options.run), "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().strip()
            if not url:
                raise SystemExit(f"{' '.join(command)}: ended with {server.wait()}")
            problems = asyncio.run(checked(chromium, url, options.text, options.run.name, options.output, options.axe))
        finally:
            server.terminate()
    print(*[f"WRONG: {problem}" for problem in problems] or ["nothing is wrong"], sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
