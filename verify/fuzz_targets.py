"""What `fuzz` reads: good inputs of every reader, and how each is read."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ftcls.config import load as configs
from ftcls.config import sweep as sweeps
from ftcls.config.schema import Data
from ftcls.data import read as corpora
from ftcls.data.readers import archives, reuters21578
from ftcls.data.tables.read import read_table
from ftcls.pipeline.starter_config import Machine, from_file
from ftcls.prediction.files import Wanted, predict_files


@dataclass(frozen=True)
class Target:
    """A reader, and good inputs of it."""

    name: str
    file: str
    """Name of the file that is read."""
    seeds: tuple[bytes, ...]
    read: Callable[[Path], object]
    kind: str = "bytes"
    """bytes, json, packed or zip: how it may be changed as well."""
    seconds: float = 10.0
    """Of a case, at most."""

    @property
    def share(self) -> float:
        """Of the time that others get: few cases of a slow one cost as much as many of a quick one."""
        return 1.0 if self.seconds <= 10 else 0.2


@dataclass(frozen=True)
class _Labels:
    """A classifier that costs nothing."""

    labels: tuple[str, ...] = ("bad", "good")
    task: str = "binary"

    def classify(self, texts: Sequence[str]) -> list[Any]:
        return [_Said(("bad",), {"bad": 0.75, "good": 0.25}) for _ in texts]

    def fingerprint(self) -> str:
        return "labels"


@dataclass(frozen=True)
class _Said:
    labels: tuple[str, ...]
    probabilities: dict[str, float]


CSV = b'text,label,split\n"a fine, warm film",good,train\ndull,bad,test\n"""quoted"" text",good,train\n' * 4
TSV = b"text\tlabel\na fine film\tgood\ndull and cold\tbad\n" * 4
JSONL = b'{"text": "a fine film", "label": "good"}\n{"text": "dull", "label": "bad", "n": [1, 0]}\n' * 4
JSON = json.dumps([{"text": "a fine film", "label": "good"}, {"text": "dull", "label": ["bad"]}] * 4).encode()
YAML = b"""name: mine
seed: 3
data:
  source: files
  path: {train: train.csv, test: test.csv}
  text: [title, body]
  label: {columns: [toxic, insult]}
  task: multilabel
  split: {validation: 0.1, stratify: true}
  clean: [html_breaks, spaces]
model: {checkpoint: scratch:bert, max_length: 64}
training: {num_train_epochs: 2, batch_size: 8, learning_rate: 2e-5, weight_decay: 0.01}
loss: {class_weights: {a: 1.5, b: 2}}
decision: {thresholds: tuned}
"""
SWEEP = b"""name: grid
base: base.yaml
search: {method: random, metric: f1_macro, trials: 4}
axes:
  training.learning_rate: {low: 1e-6, high: 1e-4, log: true}
  size:
    - {data.subset.train: 800, training.eval_steps: 10}
    - {data.subset.train: 1600, training.eval_steps: 20}
  seed: [1, 2]
"""
SGML = b"""<!DOCTYPE lewis SYSTEM "lewis.dtd">
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" CGISPLIT="TRAINING-SET" OLDID="5544" NEWID="1">
<DATE>26-FEB-1987</DATE><TOPICS><D>cocoa</D><D>acq</D></TOPICS>
<TEXT>&#2;<TITLE>BAHIA COCOA &lt;REVIEW></TITLE><BODY>Showers continued. Reuter &#3;</BODY></TEXT>
</REUTERS>
<REUTERS TOPICS="NO" LEWISSPLIT="TEST" NEWID="2"><TOPICS></TOPICS><TEXT TYPE="BRIEF"><TITLE>B</TITLE></TEXT></REUTERS>
"""


def parquet() -> bytes:
    """A small table."""
    file = io.BytesIO()
    table = pa.table(
        {"text": ["a fine film", "dull", None], "label": ["good", "bad", "good"], "n": [[1, 0], [0], None]}
    )
    pq.write_table(table, file)
    return file.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return file.getvalue()


def xlsx() -> bytes:
    """A workbook as Excel writes it: shared and inline texts, a number, a date, a truth value, an error."""
    names, types = "http://schemas.openxmlformats.org", "application/vnd.openxmlformats-officedocument.spreadsheetml"
    links = f"{names}/officeDocument/2006/relationships"
    parts = {"sheet": "worksheets/sheet1", "sharedStrings": "sharedStrings", "styles": "styles"}
    kinds = {"sheet": "worksheet"}
    linked = "".join(
        f'<Relationship Id="{name}" Type="{links}/{kinds.get(name, name)}" Target="{file}.xml"/>'
        for name, file in parts.items()
    )
    cells = (
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="s"><v>2</v></c></row>'
        '<row r="2"><c r="A2" t="s"><v>3</v></c><c r="B2" t="inlineStr"><is><t>good</t></is></c>'
        '<c r="C2"><v>4.5</v></c></row>'
        '<row r="4"><c r="A4" t="str"><f>A2</f><v>dull</v></c><c r="B4" t="s"><v>4</v></c><c r="C4" s="1">'
        '<v>45000</v></c></row><row r="5"><c r="A5" t="b"><v>1</v></c><c r="B5" t="e"><v>#N/A</v></c></row>'
    )
    texts = "".join(f"<si><t>{each}</t></si>" for each in ("text", "label", "n", "a fine &amp; warm film", "bad"))
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{names}/package/2006/content-types"><Override '
            f'PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/></Types>'.encode(),
            "_rels/.rels": f'<Relationships xmlns="{names}/package/2006/relationships"><Relationship Id="a" '
            f'Type="{links}/officeDocument" Target="xl/workbook.xml"/></Relationships>'.encode(),
            "xl/workbook.xml": f'<workbook xmlns="{names}/spreadsheetml/2006/main" xmlns:r="{links}"><sheets>'
            '<sheet name="S" sheetId="1" r:id="sheet"/></sheets></workbook>'.encode(),
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{names}/package/2006/relationships">{linked}'
            "</Relationships>".encode(),
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{names}/spreadsheetml/2006/main"><dimension ref="A1:C5"/>'
            f"<sheetData>{cells}</sheetData></worksheet>".encode(),
            "xl/sharedStrings.xml": f'<sst xmlns="{names}/spreadsheetml/2006/main" count="5" uniqueCount="5">{texts}'
            "</sst>".encode(),
            "xl/styles.xml": f'<styleSheet xmlns="{names}/spreadsheetml/2006/main"><cellXfs count="2">'
            '<xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>'.encode(),
        }
    )


def ods() -> bytes:
    """A workbook as LibreOffice writes it, with repeated cells and rows."""
    names, kind = "urn:oasis:names:tc:opendocument:xmlns", "application/vnd.oasis.opendocument.spreadsheet"
    spaces = " ".join(f'xmlns:{name}="{names}:{name}:1.0"' for name in ("office", "table", "text", "manifest"))

    def row(*cells: str) -> str:
        return f"<table:table-row>{''.join(cells)}</table:table-row>"

    def text(value: str) -> str:
        return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'

    number = '<table:table-cell office:value-type="float" office:value="4.5"><text:p>4.5</text:p></table:table-cell>'
    day = 'office:value-type="date" office:date-value="2026-01-02"'
    date = f"<table:table-cell {day}><text:p>2</text:p></table:table-cell>"
    empty = '<table:table-row table:number-rows-repeated="2"><table:table-cell table:number-columns-repeated="3"/>'
    rows = (
        *(row(text("text"), text("label"), text("n")), row(text("a fine <text:s/> film"), text("good"), number)),
        *(f"{empty}</table:table-row>", row(text("dull"), text("bad"), date)),
    )
    body = (
        f'<office:document-content {spaces} office:version="1.2"><office:body><office:spreadsheet>'
        f'<table:table table:name="S">{"".join(rows)}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    listed = (
        f'<manifest:manifest {spaces}><manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        "</manifest:manifest>"
    )
    files = {"mimetype": kind, "content.xml": body, "META-INF/manifest.xml": listed}
    return zipped({name: content.encode() for name, content in files.items()})


def archive() -> bytes:
    """A packed archive with a table."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as made:
        for name in ("data/train.csv", "data/test.csv"):
            member = tarfile.TarInfo(name)
            member.size = len(CSV)
            made.addfile(member, io.BytesIO(CSV))
    return file.getvalue()


def predicted(suffix: str) -> Callable[[Path], object]:
    """Label a file as `ftcls predict` does."""

    def read(path: Path) -> object:
        output = path.with_name(f"out.{suffix}")
        try:
            return predict_files(_Labels(), [path], output, Wanted(prefix="new_"))
        finally:
            for left in path.parent.glob("out.*"):
                left.unlink()

    return read


def corpus(path: Path) -> object:
    """Read a file as `ftcls train` does."""
    return corpora.read(Data(source="files", path=str(path), text="text", label="label", task="multiclass"), seed=1)


def tables() -> Iterator[Target]:
    """Tables of every kind, read for training, for a first config and for prediction."""
    texts = {"csv": CSV, "tsv": TSV, "jsonl": JSONL, "json": JSON}
    for suffix, seed in texts.items():
        kind = "json" if suffix in ("json", "jsonl") else "bytes"
        yield Target(f"table.{suffix}", f"a.{suffix}", (seed,), read_table, kind)
        yield Target(f"corpus.{suffix}", f"a.{suffix}", (seed,), corpus, kind)
        yield Target(
            f"predict.{suffix}", f"a.{suffix}", (seed,), predicted("csv" if suffix == "tsv" else "jsonl"), kind
        )
        yield Target(f"packed.{suffix}", f"a.{suffix}.gz", (gzip.compress(seed),), read_table, "packed")
    yield Target("config from csv", "a.csv", (CSV,), first_config)
    yield Target("predict.txt", "a.txt", (b"a fine film\n\ndull\n",), predicted("csv"))
    for suffix, book in (("xlsx", xlsx()), ("ods", ods())):
        yield Target(f"table.{suffix}", f"a.{suffix}", (book,), read_table, "zip", seconds=30)
        yield Target(f"predict.{suffix}", f"a.{suffix}", (book,), predicted("jsonl"), "zip", seconds=30)
    yield Target("table.csv.zip", "a.csv.zip", (zipped({"a.csv": CSV}),), read_table, "zip")
    yield Target("table.parquet", "a.parquet", (parquet(),), read_table)
    yield Target("predict.parquet", "a.parquet", (parquet(),), predicted("parquet"))
    yield Target("archive", "a.tar.gz", (archive(),), lambda path: list(archives.members(path, bool)), "packed")
    yield Target(
        "reuters", "reut2-000.sgm", (SGML,), lambda path: list(reuters21578._stories(path.name, path.read_bytes()))
    )


def first_config(path: Path) -> object:
    """What `ftcls config init --data` writes."""
    return from_file(path, label=["label"], text=None, machine=Machine("cpu", "cpu"), output=None)


def yaml() -> Iterator[Target]:
    """Configs, sweeps and overrides."""
    yield Target("config", "a.yaml", (YAML,), lambda path: configs.load(path))
    yield Target("sweep", "sweep.yaml", (SWEEP,), read_sweep)
    yield Target("override", "a.txt", (b"training.learning_rate=2e-5", b"data={source: imdb}", b"seed=1"), override)


def override(path: Path) -> object:
    """A config with a setting of the command line."""
    return configs.load("quickstart", [path.read_bytes().decode("utf-8", "replace")])


def read_sweep(path: Path) -> object:
    """A sweep beside its base."""
    (path.parent / "base.yaml").write_bytes(YAML)
    return sweeps.read(path)
