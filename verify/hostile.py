"""A hundred things that a stranger may hand over: is code run, anything written elsewhere, or the machine filled?

    python verify/hostile.py [--only NAME] [--short]

Checkpoints with pickles, code of their own, kernels of the Hub, lists of weights that lead elsewhere, shapes of a
planet; adapters; runs with a config that names code; archives and packed files that unpack out of their place or
without end; tables, spreadsheets and configs; links, pipes and devices where files should be. Each is given to the
command that reads it, in a process of its own. Exit code 1 where a payload was run, something was written outside of
the output, a traceback or an exit code 1 was shown, a case took more than 30 seconds of a CPU or 2 GB. Needs `fork`.
"""

import argparse
import contextlib
import gzip
import io
import json
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import struct
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from ftcls.cli import app
from ftcls.model import loading

SECONDS, MEGABYTES = 30.0, 2_000
MARK = "RAN"
ROWS = "".join(f"{word} {i},{label}\n" for i in range(20) for word, label in (("one", "a"), ("two", "b")))
CODE = """
from pathlib import Path
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast
Path({mark!r}).write_text("ran")
class Config(BertConfig):
    model_type = "own"
class Model(BertForSequenceClassification):
    config_class = Config
class Tokenizer(PreTrainedTokenizerFast):
    pass
"""


Command = Callable[[Path], list[str]]
"""The words of the command that reads a checkpoint."""
Dump = Callable[[Any, Path], None]
"""Writes a pickle."""


@dataclass(frozen=True)
class Case:
    """What is handed over, and the command that reads it."""

    name: str
    make: Callable[[Path], Sequence[str]]
    """Fills a folder; gives the words of the command."""


class Payload:
    """A pickle that leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.mark, "ran"))


def mark_of(folder: Path) -> Path:
    """Where the payload of a case leaves its mark."""
    return folder / MARK


# --- checkpoints


def checkpoint(folder: Path, **config: Any) -> Path:
    """A whole small classifier, with keys of its config.json changed; None takes one out."""
    place = folder / "model"
    shutil.copytree(BASE, place)
    edit(place / "config.json", **config)
    return place


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    stored = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in stored.items() if value is not None}))


def predict(place: Path) -> list[str]:
    """Label a text by a checkpoint."""
    return ["predict", str(place), "--text", "one two", "--text", "a" * 3_000]


def warm_start(place: Path, **training: Any) -> list[str]:
    """Train on a checkpoint."""
    (place.parent / "rows.csv").write_text(f"text,label\n{ROWS}")
    config = {
        "name": "x",
        "data": {"source": "files", "path": "rows.csv", "task": "binary"},
        "model": {"checkpoint": str(place)},
        "training": {"max_steps": 1, "batch_size": 4, "device": "cpu", "precision": "fp32", **training},
    }
    (place.parent / "c.yaml").write_text(json.dumps(config))
    return ["train", str(place.parent / "c.yaml"), "--output", str(place.parent / "out")]


def pickles() -> Iterator[Case]:
    """Pickles wherever transformers, PyTorch and PEFT know a file of them."""

    def weights(
        folder: Path, name: str, dump: Callable[[Any, Path], None], command: Callable[[Path], list[str]]
    ) -> list[str]:
        place = checkpoint(folder)
        (place / "model.safetensors").unlink()
        dump(Payload(mark_of(folder)), place / name)
        return command(place)

    def plain(value: Any, path: Path) -> None:
        path.write_bytes(pickle.dumps(value))

    def zipped(value: Any, path: Path) -> None:
        torch.save({"weight": value}, path)

    def legacy(value: Any, path: Path) -> None:
        torch.save({"weight": value}, path, _use_new_zipfile_serialization=False)

    for kind, dump in {"plain": plain, "zipped": zipped, "legacy": legacy}.items():
        for name in ("pytorch_model.bin", "model.safetensors", "adapter_model.bin"):
            yield Case(f"pickle {kind} {name}", lambda f, n=name, d=dump: weights(f, n, d, predict))
        yield Case(f"pickle {kind} trained on", lambda f, d=dump: weights(f, "pytorch_model.bin", d, warm_start))

    def indexed(folder: Path) -> list[str]:
        place = checkpoint(folder)
        (place / "model.safetensors").unlink()
        zipped(Payload(mark_of(folder)), place / "part.bin")
        index = {"metadata": {"total_size": 1}, "weight_map": {"classifier.weight": "part.bin"}}
        (place / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        return predict(place)

    yield Case("pickle behind an index", indexed)

    def beside(folder: Path, name: str) -> list[str]:
        place = checkpoint(folder)
        zipped(Payload(mark_of(folder)), place / name)
        return predict(place)

    for name in (
        "training_args.bin",
        "optimizer.pt",
        "scheduler.pt",
        "rng_state.pth",
        "vocab.pkl",
        "pytorch_model.bin",
    ):
        yield Case(f"pickle beside: {name}", lambda f, n=name: beside(f, n))


def remote_code() -> Iterator[Case]:
    """Code of a checkpoint's own."""

    def planted(folder: Path, command: Command, **changes: Any) -> list[str]:
        auto = {
            "AutoConfig": "code.Config", "AutoModelForSequenceClassification": "code.Model",
            "AutoTokenizer": ["code.Tokenizer", "code.Tokenizer"],
        }  # fmt: skip
        place = checkpoint(folder, **{"auto_map": auto, **changes})
        edit(place / "tokenizer_config.json", auto_map={"AutoTokenizer": auto["AutoTokenizer"]})
        for name in (
            "code.py",
            "bert.py",
            "modeling_bert.py",
            "configuration_bert.py",
            "__init__.py",
            "sitecustomize.py",
        ):
            (place / name).write_text(CODE.format(mark=str(mark_of(folder))))
        return command(place)

    for kind in ("own", "bert"):
        for command in (predict, warm_start):
            yield Case(
                f"code, model_type {kind}, {command.__name__}", lambda f, k=kind, c=command: planted(f, c, model_type=k)
            )
        yield Case(
            f"code that says it may, model_type {kind}",
            lambda f, k=kind: planted(f, predict, model_type=k, trust_remote_code=True),
        )
    away = {"AutoConfig": "me/code--code.Config", "AutoModelForSequenceClassification": "me/code--code.Model"}
    yield Case("code of another repository", lambda f: planted(f, predict, model_type="own", auto_map=away))
    up = {"AutoConfig": "../code.Config", "AutoModelForSequenceClassification": "..code.Model"}
    yield Case("code out of the folder", lambda f: planted(f, predict, model_type="own", auto_map=up))


def names_of_code() -> Iterator[Case]:
    """Classes, templates, kernels and quantization that name code."""

    def tokenizer(folder: Path, **changes: Any) -> list[str]:
        place = checkpoint(folder)
        edit(place / "tokenizer_config.json", **changes)
        (place / "code.py").write_text(CODE.format(mark=str(mark_of(folder))))
        return predict(place)

    yield Case("a tokenizer class of its own", lambda f: tokenizer(f, tokenizer_class="code.Tokenizer"))
    yield Case("a tokenizer class that is a path", lambda f: tokenizer(f, tokenizer_class="../../code"))
    yield Case(
        "a chat template with code",
        lambda f: tokenizer(f, chat_template="{{ ''.__class__.__mro__[1].__subclasses__() }}"),
    )
    for key in ("attn_implementation", "_attn_implementation", "experts_implementation"):
        for name in ("kernels-community/flash-attn", "me/it@main:code", "paged|me/it"):
            yield Case(f"{key}: {name}", lambda f, k=key, n=name: predict(checkpoint(f, **{k: n})))
    yield Case(
        "kernels in a config", lambda f: predict(checkpoint(f, use_kernels=True, kernel_config={"a": "me/it:B"}))
    )
    for method in ("gptq", "awq", "quanto", "torchao", "hqq", "bitsandbytes", "../x", 3):
        quantized = {"quant_method": method, "bits": 4, "load_in_4bit": True}
        yield Case(f"quantization by {method}", lambda f, q=quantized: predict(checkpoint(f, quantization_config=q)))


def adapters() -> Iterator[Case]:
    """Adapters, which name a base and a library."""

    def adapter(folder: Path, **changes: Any) -> list[str]:
        place = checkpoint(folder)
        (place / "code.py").write_text(CODE.format(mark=str(mark_of(folder))))
        described = {
            "peft_type": "LORA", "task_type": "SEQ_CLS", "base_model_name_or_path": str(place), "r": 2,
            "target_modules": ["query"], **changes,
        }  # fmt: skip
        (place / "adapter_config.json").write_text(json.dumps(described))
        return predict(place)

    yield Case("an adapter of nowhere", lambda f: adapter(f))
    yield Case(
        "an adapter that names a library",
        lambda f: adapter(f, auto_mapping={"parent_library": "code", "base_model_class": "Model"}),
    )
    yield Case("an adapter of a class of its own", lambda f: adapter(f, peft_type="OWN", auto_map={"x": "code.Model"}))

    def origin(folder: Path, base: str) -> list[str]:
        place = checkpoint(folder)
        (place / "adapter_config.json").write_text('{"peft_type": "LORA", "target_modules": ["query"]}')
        (place / "adapter.json").write_text(
            json.dumps({"schema_version": 1, "checkpoint": base, "quantization": "none"})
        )
        return predict(place)

    for base in (
        "../..",
        "/etc",
        "~",
        "//host/share",
        "package:os/..",
        "package:../x",
        "package:ftcls/../../x",
        "me/it@../x",
    ):
        yield Case(f"an adapter on {base}", lambda f, b=base: origin(f, b))


def sizes() -> Iterator[Case]:
    """Shapes and lengths that no model has."""

    def header(folder: Path, described: bytes, length: int | None = None) -> list[str]:
        place = checkpoint(folder)
        size = len(described) if length is None else length
        (place / "model.safetensors").write_bytes(struct.pack("<Q", size) + described)
        return predict(place)

    huge = {"classifier.weight": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}
    yield Case("weights of a planet", lambda f: header(f, json.dumps(huge).encode()))
    yield Case("weights of a long header", lambda f: header(f, b"{}", 2**62))
    yield Case("weights of a deep header", lambda f: header(f, b"[" * 1_000_000))
    past = {"classifier.weight": {"dtype": "F32", "shape": [1], "data_offsets": [10, 4]}}
    yield Case("weights that end before they begin", lambda f: header(f, json.dumps(past).encode()))
    for key, value in (
        ("hidden_size", 10**9),
        ("vocab_size", 10**12),
        ("num_hidden_layers", 10**9),
        ("num_labels", 10**9),
    ):
        yield Case(f"{key} of {value:,}", lambda f, k=key, v=value: predict(checkpoint(f, **{k: v})))
    yield Case("nested sizes", lambda f: predict(checkpoint(f, text_config={"text_config": {"vocab_size": 10**12}})))

    def text(folder: Path, name: str, content: str) -> list[str]:
        place = checkpoint(folder)
        (place / name).write_text(content)
        return predict(place)

    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        yield Case(f"{name} of a million brackets", lambda f, n=name: text(f, n, '{"a":' * 500_000))

    def slow(folder: Path, pattern: str) -> list[str]:
        place = checkpoint(folder)
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        edit(place / "tokenizer.json", pre_tokenizer=split)
        return predict(place)

    for pattern in ("(a+)+$", "(a|aa)+b", "(?:a*)*b"):
        yield Case(f"a tokenizer that splits by {pattern}", lambda f, p=pattern: slow(f, p))

    def index(folder: Path, target: str) -> list[str]:
        place = checkpoint(folder)
        shutil.move(place / "model.safetensors", folder / "elsewhere.safetensors")
        described = {"metadata": {"total_size": 1}, "weight_map": {"classifier.weight": target}}
        (place / "model.safetensors.index.json").write_text(json.dumps(described))
        return predict(place)

    for target in ("../elsewhere.safetensors", "/etc/passwd", "..\\elsewhere.safetensors", "", ".", "a/../../b"):
        yield Case(f"an index that names {target!r}", lambda f, t=target: index(f, t))


def places() -> Iterator[Case]:
    """Links, pipes, devices and folders where files should be."""

    def instead(folder: Path, name: str, put: Callable[[Path], None]) -> list[str]:
        place = checkpoint(folder)
        (place / name).unlink()
        put(place / name)
        return predict(place)

    kinds: dict[str, Callable[[Path], None]] = {
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "a link to /etc/passwd": lambda path: path.symlink_to("/etc/passwd"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a pipe": os.mkfifo,
        "a folder": Path.mkdir,
    }
    for kind, put in kinds.items():
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            yield Case(f"{name} is {kind}", lambda f, n=name, p=put: instead(f, n, p))

    def data(folder: Path, name: str, put: Callable[[Path], None]) -> list[str]:
        put(folder / name)
        return data_of(folder, name)

    for kind, put in kinds.items():
        if kind != "a folder":
            yield Case(f"a table is {kind}", lambda f, p=put: data(f, "a.csv", p))

    def within(folder: Path, put: Callable[[Path], None]) -> list[str]:
        for label in ("a", "b"):
            (folder / "texts" / label).mkdir(parents=True)
            (folder / "texts" / label / "1.txt").write_text("a text")
        put(folder / "texts" / "a" / "2.txt")
        return data_of(folder, "texts")

    for kind, put in {**kinds, "a link to /": lambda path: path.symlink_to("/")}.items():
        yield Case(f"a text of a folder is {kind}", lambda f, p=put: within(f, p))


# --- data


def data_of(folder: Path, name: str, **data: Any) -> list[str]:
    """Look at a data set of one's own."""
    config = {
        "name": "x",
        "data": {"source": "files", "path": name, "task": "binary", **data},
        "model": {"checkpoint": "scratch:bert"},
    }
    (folder / "c.yaml").write_text(json.dumps(config))
    return ["data", str(folder / "c.yaml")]


def archives() -> Iterator[Case]:
    """What unpacks elsewhere, or without end."""

    def members(folder: Path, *made: tuple[tarfile.TarInfo, bytes]) -> list[str]:
        with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
            for info, content in made:
                info.size = info.size or len(content)
                archive.addfile(info, io.BytesIO(content))
        return data_of(folder, "a.tar.gz", source="imdb", task=None)

    def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        return info, b"evil" if kind == tarfile.REGTYPE else b""

    for name in ("../../evil", "/tmp/ftcls-evil", "aclImdb/train/pos/../../../../evil.txt", "C:\\evil", "a" * 5_000):
        yield Case(f"an archive with {name[:40]}", lambda f, n=name: members(f, member(n)))
    for kind, name in (
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
    ):
        yield Case(
            f"an archive with a {name}",
            lambda f, k=kind: members(f, member("aclImdb/train/pos/0_1.txt", k, "/etc/passwd")),
        )

    def holes(folder: Path) -> list[str]:
        info = tarfile.TarInfo("aclImdb/train/pos/0_1.txt")
        info.size = 10**12
        with tarfile.open(folder / "a.tar", "w") as archive:
            archive.addfile(info)
        return data_of(folder, "a.tar", source="imdb", task=None)

    yield Case("an archive with a file of a terabyte", holes)


def packed(folder: Path, name: str, content: bytes) -> list[str]:
    """Look at a file."""
    (folder / name).write_bytes(content)
    return data_of(folder, name)


def packed_files() -> Iterator[Case]:
    """Packed tables and spreadsheets."""

    def gz_bomb() -> bytes:
        return gzip.compress(b"text,label\n" + b"a,b\n" * 75_000_000, 1)

    yield Case("gzip without end", lambda f: packed(f, "a.csv.gz", gz_bomb()))
    yield Case("gzip in gzip", lambda f: packed(f, "a.csv.gz", gzip.compress(gz_bomb())))

    def zipped(folder: Path, *names: str, content: bytes = b"text,label\na,b\n", name: str = "a.csv.zip") -> list[str]:
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in names:
                archive.writestr(each, content)
        return data_of(folder, name)

    for names in (("../../evil.csv",), ("/tmp/ftcls-evil.csv",), ("a.csv", "b.csv"), (), ("a/",), ("..\\evil.csv",)):
        yield Case(f"a zip with {names}", lambda f, n=names: zipped(f, *n))
    yield Case("a zip without end", lambda f: zipped(f, "a.csv", content=b"text,label\n" + b"a,b\n" * 75_000_000))
    yield Case("a workbook without end", lambda f: zipped(f, "xl/workbook.xml", content=b" " * 10**9, name="a.xlsx"))
    yield Case("a workbook that is none", lambda f: packed(f, "a.xlsx", b"PK\x03\x04" + b"\xff" * 1_000))

    def sheet(folder: Path) -> list[str]:
        content = (
            '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">'
            '<c r="A1" t="inlineStr"><is><t>text</t></is></c></row><row r="1048576">'
            '<c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row></sheetData></worksheet>'
        )
        return packed(folder, "a.xlsx", workbook(content))

    yield Case("a workbook of two cells far apart", sheet)


def workbook(sheet: str) -> bytes:
    """A spreadsheet of one sheet."""
    names, file = "http://schemas.openxmlformats.org", io.BytesIO()
    relation = f"{names}/officeDocument/2006/relationships"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{names}/package/2006/content-types"/>')
        head = f'<Relationships xmlns="{names}/package/2006/relationships"><Relationship Id="a" Type="{relation}'
        archive.writestr("_rels/.rels", f'{head}/officeDocument" Target="xl/workbook.xml"/></Relationships>')
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{names}/spreadsheetml/2006/main" xmlns:r="{relation}"><sheets>'
            '<sheet name="S" sheetId="1" r:id="a"/></sheets></workbook>',
        )
        target = f'{head}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
        archive.writestr("xl/_rels/workbook.xml.rels", target)
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    return file.getvalue()


def tables() -> Iterator[Case]:
    """Tables and configs."""
    yield Case("a quote that never ends", lambda f: packed(f, "a.csv", b'text,label\n"' + b"a,b\n" * 2_000_000))
    yield Case("a million columns", lambda f: packed(f, "a.csv", b"c," * 1_000_000 + b"\n"))
    yield Case(
        "a million labels",
        lambda f: packed(f, "a.csv", b"text,label\n" + b"".join(b"a,%d\n" % i for i in range(10**6))),
    )
    yield Case("JSON a million deep", lambda f: packed(f, "a.json", b"[" * 1_000_000))
    keys = (b'{"k%d":1}\n' % number for number in range(300_000))
    yield Case("JSON lines of keys", lambda f: packed(f, "a.jsonl", b"".join(keys)))
    yield Case("null characters", lambda f: packed(f, "a.csv", b"text,label\n" + b"\0" * 1_000_000))
    yield Case("UTF-16 that is cut off", lambda f: packed(f, "a.csv", b"\xff\xfea\0b"))
    yield Case(
        "labels that steer a terminal",
        lambda f: packed(f, "a.csv", f"text,label\n{ROWS}".replace(",a", ",\x1b[31ma\x07").encode()),
    )

    def parquet(folder: Path) -> list[str]:
        field = pa.field("text", pa.string(), metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": pickle.dumps(Payload(mark_of(folder))),
        })  # fmt: skip
        table = pa.table([pa.array(["a"]), pa.array(["b"])], pa.schema([field, pa.field("label", pa.string())]))
        pq.write_table(table, folder / "a.parquet")
        return data_of(folder, "a.parquet")

    yield Case("Parquet with a pickle in its schema", parquet)

    def wide(folder: Path) -> list[str]:
        pq.write_table(
            pa.table({"text": pa.DictionaryArray.from_arrays(pa.array([0] * 5_000_000), pa.array(["a" * 1_000]))}),
            folder / "a.parquet",
        )
        return data_of(folder, "a.parquet")

    yield Case("Parquet of five gigabytes in a hundred kilobytes", wide)


def configs() -> Iterator[Case]:
    """Configs."""

    def yaml(folder: Path, content: str) -> list[str]:
        (folder / "c.yaml").write_text(content.replace("MARK", str(mark_of(folder))))
        return ["train", str(folder / "c.yaml"), "--output", str(folder / "out")]

    yield Case("YAML that calls", lambda f: yaml(f, "name: !!python/object/apply:os.system ['touch MARK']\n"))
    yield Case("YAML that is an object", lambda f: yaml(f, "name: !!python/object:pathlib.Path [MARK]\n"))
    yield Case(
        "YAML of aliases",
        lambda f: yaml(
            f,
            "a: &a [x,x]\n"
            + "".join(f"{b}: &{b} [{', '.join(['*' + c] * 9)}]\n" for c, b in zip("abcdefgh", "bcdefghi", strict=True)),
        ),
    )
    yield Case("YAML a million deep", lambda f: yaml(f, "- " * 200_000))
    yield Case(
        "a config whose name is a path",
        lambda f: yaml(f, "name: ../../evil\ndata: {source: docstrings}\nmodel: {checkpoint: 'scratch:bert'}\n"),
    )

    def metric(folder: Path) -> list[str]:
        (folder / "evil.py").write_text(CODE.format(mark=str(mark_of(folder))))
        words = warm_start(checkpoint(folder))
        edit(folder / "c.yaml", metrics={"evaluate": [str(folder / "evil.py")]})
        return words

    yield Case("a config that names code", metric)


# --- whether it holds


def tree(folder: Path) -> set[str]:
    """Every path below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def held(case: Case, home: Path, number: int) -> list[str]:
    """What is wrong about a case."""
    folder = home / "cases" / f"{number}"
    folder.mkdir(parents=True)
    words = case.make(folder)
    before, outside = tree(home), Path("/tmp/ftcls-evil").exists()
    said = home / "said.txt"
    process = multiprocessing.get_context("fork").Process(target=command, args=(words, said, folder))
    begun = time.monotonic()
    process.start()
    pid = process.pid
    late = False
    while True:
        done, status, used = os.wait4(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() - begun > 4 * SECONDS:
            late = True
            os.kill(pid, signal.SIGKILL)
            _, status, used = os.wait4(pid, 0)
            break
        time.sleep(0.02)
    took = used.ru_utime + used.ru_stime  # of a machine that others use as well
    code = os.waitstatus_to_exitcode(status)
    text = said.read_text(errors="replace") if said.exists() else ""
    said.unlink(missing_ok=True)
    new = {name for name in tree(home) - before if not name.startswith((f"cases/{number}/out", "cache", "runs"))}
    wrong = [f"wrote {name}" for name in sorted(new)[:5]]
    wrong += ["ran its code"] if mark_of(folder).exists() else []
    wrong += ["wrote into /tmp"] if Path("/tmp/ftcls-evil").exists() and not outside else []
    if "Traceback" in text or "bug in ftcls" in text:
        logs = sorted((home / "cache" / "logs").glob("*.txt"))
        wrong.append(f"a traceback: {' / '.join(logs[-1].read_text().strip().splitlines()[-5:]) if logs else ''}")
    wrong += [f"exit code {code}"] if code not in (0, 2, 3, 4, 5) else []
    wrong += [f"{took:.0f} s"] if late or took > SECONDS else []
    megabytes = used.ru_maxrss / 1024
    wrong += [f"{megabytes:,.0f} MB"] if megabytes > MEGABYTES else []
    wrong += ["characters that steer a terminal"] if "\x1b" in text or "\x07" in text else []
    shutil.rmtree(folder, ignore_errors=True)
    lines = text.strip().splitlines() or [""]
    last = next((each for each in lines if "bug in ftcls" in each), lines[-1])[:160]
    print(
        f"{'ok ' if not wrong else 'BAD'} {code:3} {took:5.1f} s {megabytes:6,.0f} MB  {case.name}: {last}", flush=True
    )
    return wrong


def command(words: Sequence[str], said: Path, folder: Path) -> None:
    """A command of ftcls, in a process of its own."""
    out = os.open(said, os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder.parent.parent)
    with contextlib.suppress(ValueError):
        resource.setrlimit(
            resource.RLIMIT_AS, (12 * 10**9, 12 * 10**9)
        )  # so that the machine of who tries this lives on
    code = app.run(words)
    sys.stdout.flush()
    os._exit(code)


BASE = Path()


def main(arguments: Sequence[str] | None = None) -> int:
    """Hand over, and print what happened."""
    global BASE
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases with this in their name")
    parser.add_argument("--short", action="store_true", help="every eighth case")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.environ |= {"FTCLS_CACHE": str(home / "cache"), "HF_HUB_OFFLINE": "1", "HF_HOME": str(home / "cache" / "hf")}
        tokenizer = loading.load_tokenizer("scratch:bert", train_texts=["one two three a"])
        small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        BASE = home / "base"
        AutoModelForSequenceClassification.from_config(BertConfig(vocab_size=len(tokenizer), **small)).save_pretrained(
            BASE
        )
        tokenizer.save_pretrained(BASE)
        found = [
            *(*pickles(), *remote_code(), *names_of_code(), *adapters(), *sizes(), *places()),
            *(*archives(), *packed_files(), *tables(), *configs()),
        ]
        chosen = [each for each in found if given.only in each.name][:: 8 if given.short else 1]
        wrong = {case.name: problems for number, case in enumerate(chosen) if (problems := held(case, home, number))}
    for case, problems in wrong.items():
        print(f"  {case}: {'; '.join(problems)}")
    print(f"{len(chosen)} things handed over, {len(wrong)} not held")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
