"""What `fuzz` does to a good input: edits of bytes, other values of JSON, edits inside what is packed."""

import gzip
import io
import json
import random
import zipfile
from typing import Any

from fuzz_targets import Target

WORDS = [
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\r", b"\r\n", b"\n", b"\t", b'"', b"'", b"\\"),
    *(
        b",",
        b";",
        b"|",
        b":",
        b"- ",
        b"#",
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!python/object:os.system ",
        b"? ",
        b"%",
        b"{",
        b"}",
    ),
    *(b"[", b"]", b"[" * 200, b'{"a":' * 200, b"[]", b"{}", b"null", b"NaN", b"Infinity", b"-0", b"1e999", b"true"),
    *(
        b"9" * 400,
        b"9" * 5_000,
        b"0x10",
        b"010",
        b"2026-01-01",
        b"\\ud800",
        b"\\u0000",
        b"\xe2\x80\xae",
        b"\xf0\x9f\x98\x80",
    ),
    *(
        b"<REUTERS ",
        b"</REUTERS>",
        b"<TOPICS><D>",
        b"</D>",
        b"<TITLE>",
        b"<BODY>",
        b"&#99999999;",
        b"&lt;",
        b'""',
        b" ",
    ),
    *(
        b"<row r='9'>",
        b"<c r='XFD99999'>",
        b"<v>1e400</v>",
        b"table:number-rows-repeated='99999999'",
        b"<!ENTITY a 'b'>",
    ),
    *(
        b"../../x",
        b"/etc/passwd",
        b"package:os/..",
        b"a" * 3_000,
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"sep=;\n",
        b"text",
        b"label",
    ),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 0.5, 1e308, 10**30, "", "a", "text", "\0", "\ud800", "../x", [], {}, [[]], [None]),
    *({"a": 1}, [1, "a"], "x" * 5_000, ["label"] * 50, {"text": "text"}, "1e-5", "nan", 2**63, -(2**63), ["a", "a"]),
]


def changed(target: Target, chance: random.Random) -> bytes:
    """An input that was good."""
    content = chance.choice(target.seeds)
    if target.kind == "json" and chance.random() < 0.5:
        content = other_values(content, chance)
        if chance.random() < 0.7:
            return content
    if target.kind == "packed" and chance.random() < 0.5:
        return gzip.compress(edited(gzip.decompress(content), chance), 1)
    if target.kind == "zip" and chance.random() < 0.8:
        return _member(content, chance)
    return edited(content, chance)


def _member(content: bytes, chance: random.Random) -> bytes:
    """A zip file with one of its files edited, and a right checksum."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, True, 1) as new:
        chosen = chance.choice(old.namelist())
        for name in old.namelist():
            new.writestr(name, edited(old.read(name), chance) if name == chosen else old.read(name))
    return made.getvalue()


def edited(content: bytes, chance: random.Random) -> bytes:
    """A few edits of bytes."""
    for _ in range(chance.choice([1, 1, 1, 2, 4, 16])):
        content = chance.choice(EDITS)(content, chance)
    return content[:400_000]


def _flip(content: bytes, chance: random.Random) -> bytes:
    if not content:
        return content
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randint(0, len(content))]


def _drop(content: bytes, chance: random.Random) -> bytes:
    start = chance.randint(0, len(content))
    return content[:start] + content[start + chance.randint(1, 20) :]


def _copy(content: bytes, chance: random.Random) -> bytes:
    start, place = chance.randint(0, len(content)), chance.randint(0, len(content))
    return (
        content[:place]
        + content[start : start + chance.randint(1, 60)] * chance.choice([1, 1, 3, 100])
        + content[place:]
    )


def _word(content: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(content))
    return content[:place] + chance.choice(WORDS) + content[place + chance.choice([0, 0, 1, 5]) :]


def _line(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one] + chance.choice([b"", b",", b"\t", b" "])
    return b"\n".join(lines)


def _chance(content: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(content))
    return content[:place] + chance.randbytes(chance.randint(1, 30)) + content[place:]


EDITS = (_flip, _flip, _cut, _drop, _copy, _word, _word, _word, _line, _chance)


def other_values(content: bytes, chance: random.Random) -> bytes:
    """JSON with other values, in one or more places; of lines in one of them."""
    lines = content.split(b"\n") if b"}\n{" in content else [content]
    index = chance.randrange(len(lines))
    try:
        value = json.loads(lines[index])
    except ValueError:
        return content
    for _ in range(chance.choice([1, 1, 2, 5])):
        value = _replaced(value, chance)
    lines[index] = json.dumps(value).encode()
    return b"\n".join(lines)


def _replaced(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        what = chance.random()
        if what < 0.15:
            return {name: each for name, each in value.items() if name != key}
        if what < 0.25:
            return {**value, chance.choice(["", "x", "schema_version", key + "x"]): chance.choice(VALUES)}
        return {**value, key: _replaced(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        place = chance.randrange(min(len(value), 50))
        return [*value[:place], _replaced(value[place], chance), *value[place + chance.choice([0, 1, 1]) :]]
    return chance.choice(VALUES)
