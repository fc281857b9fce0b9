"""What verify/fuzz.py found, each kind with the smallest input that shows it."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ftcls.config import sweep
from ftcls.config.load import load
from ftcls.data.tables.read import read_table
from ftcls.environment import cache, limits, manifest
from ftcls.errors import ConfigError, DataError, UnavailableError
from ftcls.inference.simple_classifier import load_classifier
from ftcls.model.baselines import logistic, static
from ftcls.model.checkpoint import resolve
from ftcls.pipeline import train
from ftcls.training import checkpoints


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    home = tmp_path_factory.mktemp("fuzzed")
    rows = "".join(
        f"{word} film {n},{label}\n" for n in range(60) for word, label in (("fine", "good"), ("dull", "bad"))
    )
    (home / "films.csv").write_text(f"text,label\n{rows}")
    settings = {"max_steps": 4, "batch_size": 16, "device": "cpu", "precision": "fp32"}
    steps = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}
    run = train.train(
        {
            "name": "films",
            "data": {"source": "files", "path": str(home / "films.csv"), "task": "binary"},
            "model": {"checkpoint": "scratch:bert", "max_length": 16},
            "training": {**settings, **steps},
            "report": {"ladder": ["tfidf", "stack"]},
        },
        output=home / "run",
    )
    return run.path


@pytest.fixture
def bare(trained, tmp_path):
    """A run without manifests but for those of checkpoints: in a stranger's they would agree with the files."""
    shutil.copytree(trained, tmp_path / "run")
    for path in (tmp_path / "run").rglob(manifest.FILE):
        if "checkpoints" not in path.parts:
            path.unlink()
    return tmp_path / "run"


def changed(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"labels": 3}, "its labels are no names"),
        ({"parts": ["fine_tuned", "gone"]}, "'gone' is no part"),
        ({"parts": ["fine_tuned", "stack"]}, "'stack' is no part"),
        ({"parts": ["fine_tuned"]}, r"weights has \[2\] and not \[1\] numbers"),
    ],
)
def test_settings_of_a_mixture_that_are_something_else_are_one_error(bare, values, said):
    changed(bare / "models" / "stack" / "model.json", **values)
    with pytest.raises(DataError, match=said):
        load_classifier(f"{bare}:stack", device="cpu")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("features", lambda a: a + 2**20, "an index that is not below 1,048,576"),
        ("machines", lambda a: a - 1 - a.max(), "an index that is not below 2"),
        ("idf", lambda a: a[1:], "numbers"),
        ("idf", lambda a: a.astype(np.int64), "int64 and no numbers with a point"),
        ("prior", lambda a: np.append(a, 0.5), r"\[3\] and not \[2\] numbers"),
    ],
)
def test_arrays_of_a_simple_model_that_do_not_fit_are_one_error(bare, name, change, said):
    file = bare / "models" / "tfidf" / "model.safetensors"
    arrays = load_file(file)
    save_file({**arrays, name: np.ascontiguousarray(change(arrays[name]))}, file)
    with pytest.raises(DataError, match=rf"model\.safetensors: cannot be read \({name} has .*{said}"):
        load_classifier(f"{bare}:tfidf", device="cpu")


@pytest.mark.parametrize(
    ("kind", "model", "names"),
    [
        (logistic.KIND, logistic.LogisticModel, ("weights", "intercepts", "machines", "seen", "prior")),
        (static.KIND, static.StaticModel, ("vectors", "hidden", "hidden_bias", "output", "output_bias")),
    ],
)
def test_arrays_of_the_other_simple_models_have_to_fit_too(tmp_path, kind, model, names):
    about = {"schema_version": 1, "kind": kind, "labels": ["a", "b"], "task": "binary", "strength": 1.0}
    (tmp_path / "model.json").write_text(json.dumps(about))
    save_file({name: np.zeros((2, 3), np.float32) for name in names}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"model\.safetensors: cannot be read \(\w+ has "):
        model.load(tmp_path)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"clean": ["spaces", "n"]}, "'n' is no step of cleaning"),
        ({"max_length": "16"}, "max_length: Input should be a valid integer"),
        ({"max_length": 0}, "a max_length of 0"),
        ({"task": "other"}, "task: Input should be"),
        ({"other": 1}, "'other' is no key of it"),
    ],
)
def test_cleaning_and_cutting_that_nobody_wrote_are_one_error(bare, values, said):
    changed(bare / "model" / "ftcls.json", **values)
    with pytest.raises(DataError, match=said):
        load_classifier(str(bare), device="cpu")


def test_a_tokenizer_whose_library_raises_a_bare_exception_is_one_error(bare):
    changed(bare / "model" / "tokenizer.json", truncation=[1])
    with pytest.raises(UnavailableError, match=r"not a checkpoint that transformers can load: .* at line 1 column"):
        load_classifier(str(bare), device="cpu")


def test_a_longest_text_that_is_no_number_is_one_error(bare):
    changed(bare / "model" / "tokenizer_config.json", model_max_length="long")
    with pytest.raises(UnavailableError, match="model_max_length: 'long', which is no number of tokens"):
        load_classifier(str(bare), device="cpu")


@pytest.fixture
def stopped(bare):
    """A run that goes on from step 2."""
    for name in ("model", "checkpoints/step-4"):
        shutil.rmtree(bare / name)
    (bare / "report.json").unlink()
    return bare


def resumed(run, name, content):
    path = run / "checkpoints" / "step-2" / name
    path.write_bytes(content)
    manifest.renew(path.parent, [name])
    return train.train(load(run / "config.yaml"), output=run, resume=True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("history.jsonl", b"\xff\n", r"history\.jsonl:1: cannot be read as a line of a history"),
        ("rng_state.pth", b"PK", "its random state cannot be read back"),
        ("scheduler.pt", b"PK", "its optimizer and schedule cannot be read back"),
        ("optimizer.pt", b"", "its optimizer and schedule cannot be read back"),
        ("config.json", b"{", "its weights cannot be read back"),
        ("trainer_state.json", b"{", r"trainer_state\.json: it cannot be read back"),
        ("trainer_state.json", b'{"global_step": 3}', "its global_step is 3, and the checkpoint is of step 2"),
        ("trainer_state.json", b'{"global_step": 2, "max_steps": "4"}', "max_steps is '4'"),
        ("trainer_state.json", b'{"global_step": 2, "log_history": [1]}', "stateful_callbacks or log_history"),
    ],
)
def test_state_of_a_training_that_cannot_be_used_is_one_error(stopped, name, content, said):
    with pytest.raises(DataError, match=said):
        resumed(stopped, name, content)


def test_a_state_that_is_whole_goes_on(stopped):
    path = stopped / "checkpoints" / "step-2" / "trainer_state.json"
    assert resumed(stopped, path.name, path.read_bytes()).report.training.resumed


PROGRESS = {
    "best": None,
    "evaluations_without_better": 0,
    "stopped_early": False,
    "seconds": 1.0,
    **dict.fromkeys(("examples", "tokens", "micro_batches", "step", "token_budget", "planned_budget", "processes"), 2),
}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "'progress' is missing"),
        ({"progress": 3}, "says nothing of a training that goes on"),
        ({"progress": {"step": 2}}, "best: Field required"),
        ({"progress": PROGRESS | {"step": "2"}}, "step: Input should be a valid integer"),
    ],
)
def test_progress_that_is_none_is_named_and_left_out(stopped, values, said):
    folder = stopped / "checkpoints" / "step-2"
    manifest.write(folder, values)
    with pytest.raises(DataError, match=rf"no checkpoint is whole:(.|\n)*{said}"):
        checkpoints.start(folder.parent)


def test_an_entry_of_the_cache_that_is_whole_and_cannot_be_loaded_is_built_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path))
    np.save(tmp_path / "good.npy", np.arange(3))
    good = (tmp_path / "good.npy").read_bytes()

    def had(key, content):
        return cache.read(
            "kind", key, lambda folder: (folder / "a.npy").write_bytes(content), lambda f: np.load(f / "a.npy")
        )

    assert had("key", good).tolist() == [0, 1, 2]
    entry = tmp_path / "kind" / "key"
    (entry / "a.npy").write_bytes(b"no array")
    manifest.renew(entry, ["a.npy"])
    assert had("key", good).tolist() == [0, 1, 2]
    assert "this entry of the cache is built again" in caplog.text
    with pytest.raises(ValueError, match="pickle"):  # what comes out no better is not tried for ever
        had("other", b"no array")


def test_a_zip_file_whose_parts_are_not_where_it_says_is_one_error(tmp_path):
    path = tmp_path / "a.csv.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.csv", "text,label\na,b\n")
    path.write_bytes(b"XX" + path.read_bytes()[2:])
    with pytest.raises(DataError, match=r"a\.csv\.zip: not a whole zip file \(Bad magic number"):
        read_table(path)


def test_a_name_too_long_to_be_a_path_is_a_name(tmp_path):
    long = "a" * 5_000
    (tmp_path / "c.yaml").write_text(f"name: a\ndata: {{source: imdb}}\nmodel: {{checkpoint: {long}}}\n")
    assert load(tmp_path / "c.yaml").model.checkpoint == long
    (tmp_path / "s.yaml").write_text(f"name: a\nbase: {long}\nsearch: {{method: grid}}\naxes: {{seed: [1, 2]}}\n")
    with pytest.raises(ConfigError, match=r"base: a+: no such file"):
        sweep.read(tmp_path / "s.yaml")
    with pytest.raises(UnavailableError, match="no such folder"):
        resolve(f"./{long}")


def test_a_spreadsheet_without_an_end_takes_seconds_and_not_a_minute(tmp_path, monkeypatch):
    pytest.importorskip("python_calamine", reason="needs the extra excel")
    names = "urn:oasis:names:tc:opendocument:xmlns"
    spaces = " ".join(f'xmlns:{name}="{names}:{name}:1.0"' for name in ("office", "table", "text"))
    with zipfile.ZipFile(tmp_path / "a.ods", "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        file.writestr("META-INF/manifest.xml", "<m/>")
        file.writestr(
            "content.xml",
            f"<office:document-content {spaces}><office:body><office:spreadsheet><table:table table:name='S'>"
            "<table:table-row><table:table-cell office:value-type='string'><text:p>a</text:p></table:table-cell>"
            "</table:table-row></tafle:table></office:spreadsheet></office:body></office:document-content>",
        )
    monkeypatch.setattr(limits, "SHEET_SECONDS_AT_LEAST", 3.0)
    with pytest.raises(DataError, match=r"a\.ods: takes longer than 3 s to read; save it as CSV"):
        read_table(tmp_path / "a.ods")


def test_what_a_spreadsheet_may_take_grows_with_it_to_a_minute():
    assert [limits.sheet_seconds(size) for size in (0, 2_000_000, 10**9)] == [10, 20, 60]
