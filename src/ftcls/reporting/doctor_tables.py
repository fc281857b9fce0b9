"""What a person sees of `ftcls doctor`: plain text that reads well at 80 columns."""

import textwrap
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ftcls.environment import disk
from ftcls.environment.doctor import Extra, Health, Hub, Package, Place

_WIDTH = 78


def health(found: Health) -> RenderableType:
    """Problems and advice stand last, where a terminal still shows them."""
    title = Text(f"ftcls {found.ftcls}", style="bold")
    title.append(f"  Python {found.python} on {found.platform}", style="not bold")
    parts: list[RenderableType] = [title, Text(), _packages(found.packages), Text(), *_machine(found), Text()]
    parts += [_hub(found.hub), *(_place(place) for place in found.places), Text()]
    parts += [_extra(extra) for extra in found.extras]
    for word, style, lines in (("advice", "yellow", found.advice), ("problem", "red", found.problems)):
        parts += [Text(), *(_wrapped(f"{word}: {line}", style) for line in lines)] if lines else []
    if not found.problems:
        parts += [Text(), Text("ready to train", style="green")]
    return Group(*parts)


def _packages(packages: tuple[Package, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("package", "version", "range", "tested", ""):
        table.add_column(column, no_wrap=True)
    for package in packages:
        verdict = Text("" if package.suits else "missing" if package.version is None else "outside", style="red")
        if package.suits and package.tested not in (None, (package.version or "").partition("+")[0]):
            verdict = Text("not the tested one", style="dim")
        version, tested = package.version or "-", package.tested or "-"
        table.add_row(package.name, version, package.range, tested, verdict)
    return table


def _machine(found: Health) -> Iterator[Text]:
    threads = "" if found.threads is None else f", {found.threads} threads in use"
    yield _named("CPU", f"{found.cpu}: {found.cores} cores{threads}, {disk.size(found.memory_bytes)} of memory")
    yield _named("", f"features: {', '.join(found.cpu_features) or 'none that matter here'}")
    for device in found.devices:
        free = f"{disk.size(device.free_bytes)} of {disk.size(device.memory_bytes)} free"
        yield _named(device.name, f"{device.description}: {free}" if device.name != "cpu" else free)
    if found.choice is not None:
        yield _named("training", f"on {found.choice.device} in {found.choice.precision}: {found.choice.reason}")


def _hub(hub: Hub | None) -> Text:
    if hub is None:
        return _named("Hub", "cannot be asked: its library cannot be imported")
    state = "answers" if hub.reachable else "not asked (offline)" if hub.offline else "does not answer"
    return _named("Hub", f"{hub.endpoint} {state}; {'a token is there' if hub.token else 'no token'}")


def _place(place: Place) -> Text:
    holds = "" if place.name == "runs" else f"{disk.size(place.bytes)}, "
    state = "" if place.writable else ", CANNOT BE WRITTEN"
    return _named(place.name, f"{place.path}: {holds}{disk.size(place.free_bytes)} free{state}")


def _extra(extra: Extra) -> Text:
    return _named(extra.name, "installed" if not extra.missing else extra.install)


def _named(name: str, text: str) -> Text:
    return _wrapped(f"{name:<12} {text}", "default", indent=13)


def _wrapped(text: str, style: str, indent: int = 2) -> Text:
    lines = textwrap.fill(text, _WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return Text(lines, style=style)
