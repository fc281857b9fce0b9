"""The command line: exit codes, what goes to stdout, the one error boundary. Stages are stood in for."""

import importlib
import importlib.util
import io
import json
import logging
import os
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

import ftcls
from ftcls.cli.app import run
from ftcls.errors import DataError, Interrupted, TrainingError, UnavailableError
from ftcls.runs.directory import RunDir

WHOLE = "name: mine\ndata: {source: docstrings}\nmodel: {checkpoint: some/checkpoint}\n"
HEAVY = {"torch", "transformers", "datasets", "sklearn", "pandas", "pyarrow", "numpy"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # a command sets it; this gives it back
    Path("mine.yaml").write_text(WHOLE)
    yield tmp_path
    logging.getLogger("ftcls").handlers.clear()
    logging.getLogger("ftcls").propagate = True


@dataclass(frozen=True)
class Plan:
    steps: int

    def lines(self):
        return [f"{self.steps} steps"]


class Pipeline(types.ModuleType):
    """Stands in for ftcls.pipeline.train: notes its calls, writes a run with a report, or fails."""

    def __init__(self):
        super().__init__("ftcls.pipeline.train")
        self.calls = []
        self.failure = None

    def smoke(self, experiment, overrides=()):
        self.calls.append("smoke")
        return experiment.model_copy(update={"name": "small"})

    def dry_run(self, experiment, *, allow_code=False):
        sys.stdout.write("noise of a library\n")
        return Plan(7)

    def train(
        self,
        experiment,
        *,
        overrides,
        announce,
        output=None,
        smoke=False,
        resume=False,
        command="",
        allow_code=False,
        budget=None,
        started=None,
        jobs=None,
    ):
        if smoke:
            experiment = self.smoke(experiment)
        place = RunDir((output or Path("runs") / experiment.name).absolute())
        place.path.mkdir(parents=True)
        place.log.write_text("started\n")
        announce(place.path)
        sys.stdout.write("noise of a library\n")
        logging.getLogger("ftcls.training").info("training")
        self.calls.append((experiment.name, output, resume, command))
        if self.failure is not None:
            raise self.failure
        return types.SimpleNamespace(path=place.path, report="the report")


@pytest.fixture
def pipeline(here, monkeypatch):
    stand_in = Pipeline()
    results = types.ModuleType("ftcls.runs.report_schema")
    results.document = lambda report: {"status": "done"}
    tables = types.ModuleType("ftcls.reporting.run_tables")
    tables.summary = lambda report, run, verbose: f"table of {report}"
    plan = types.ModuleType("ftcls.pipeline.dry_run")
    plan.smoke, plan.dry_run = stand_in.smoke, stand_in.dry_run
    for module in (stand_in, plan, results, tables):
        monkeypatch.setitem(sys.modules, module.__name__, module)
        parent, _, name = module.__name__.rpartition(".")
        monkeypatch.setattr(importlib.import_module(parent), name, module, raising=False)
    return stand_in


def command(*arguments, **environment):
    """A real process: python -m ftcls."""
    source = str(Path(ftcls.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-m", "ftcls", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONPATH": source, "PYTHONIOENCODING": "utf-8", **environment},
    )


# --- the command as a process


def test_help_lists_the_commands_and_loads_no_heavy_library():
    program = (
        "import sys\nfrom ftcls.cli.app import run\ncode = run(['--help'])\nprint(*sys.modules, file=sys.stderr)\n"
    )
    source = str(Path(ftcls.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert {"train", "eval", "predict", "config"} <= set(done.stdout.split())
    assert set(done.stderr.split()) & HEAVY == set()


def test_the_version_is_printed():
    done = command("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"ftcls {ftcls.__version__}\n", "")


def test_a_config_error_is_one_message_on_stderr_with_exit_code_2(here):
    Path("bad.yaml").write_text(WHOLE + "training: {learning_rat: 1}\n")
    done = command("train", "bad.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "bad.yaml:4:12: training.learning_rat: unknown key, did you mean 'learning_rate'?\n"
        "    training: {learning_rat: 1}\n"
    )


def test_a_label_that_the_terminal_cannot_show_stops_nothing(here):
    Path("mine.yaml").write_text(WHOLE + "loss: {class_weights: {'😀': 1}}\n", encoding="utf-8")
    done = command("config", "show", "mine.yaml", PYTHONIOENCODING="cp1252")
    assert done.returncode == 0
    assert "U0001f600" in done.stdout


# --- usage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "Missing argument 'CONFIG'"),
        (["train", "mine.yaml", "--smok"], "No such option: --smok (Possible options: --json, --smoke)"),
        (["trian"], "No such command 'trian'"),
        (["train", "mine.yaml", "--output"], "requires an argument"),
    ],
)
def test_a_mistyped_command_line_is_exit_code_2_with_a_suggestion(here, capsys, arguments, message):
    assert run(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_word_after_the_config_must_be_an_override(here, capsys):
    assert run(["train", "mine.yaml", "fast"]) == 2
    assert capsys.readouterr().err == "command line: fast: expected KEY=VALUE, such as training.learning_rate=2e-5\n"


# --- train


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="needs the quantization extra")
def test_a_library_that_is_not_used_says_nothing_of_the_kernels_it_misses():
    code = "from ftcls.cli import console; console.configure(quiet=False); import bitsandbytes"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "kernels" not in found.stderr + found.stdout


def test_the_run_is_the_first_and_the_last_line_and_noise_goes_to_stderr(pipeline, here, capsys):
    assert run(["train", "mine.yaml"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [str(here / "runs/mine"), "table of the report", str(here / "runs/mine")]
    lines = captured.err.splitlines()
    # What is said before the imports is not said where another test has made them.
    assert lines[-2:] == ["noise of a library", "training"]
    assert lines[:-2] in ([], ["starting   PyTorch and transformers are loaded"])


def test_json_is_one_document_on_stdout(pipeline, here, capsys):
    assert run(["train", "mine.yaml", "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"run": str(here / "runs/mine"), "report": {"status": "done"}}
    assert "training" not in captured.err


def test_options_and_the_command_reach_the_pipeline(pipeline, here):
    assert run(["train", "mine.yaml", "name=a b", "--output", "x"]) == 2
    assert run(["train", "mine.yaml", "name=other", "--output", "x y", "--resume"]) == 0
    line = "ftcls train mine.yaml name=other --output 'x y' --resume"
    assert pipeline.calls == [("other", Path("x y"), True, line)]


def test_smoke_makes_the_experiment_small_first(pipeline):
    assert run(["train", "mine.yaml", "--smoke"]) == 0
    assert [call if isinstance(call, str) else call[0] for call in pipeline.calls] == ["smoke", "small"]


def test_a_dry_run_prints_the_plan_and_trains_nothing(pipeline, capsys):
    assert run(["train", "mine.yaml", "--dry-run"]) == 0
    assert capsys.readouterr().out == "7 steps\n"
    assert run(["train", "mine.yaml", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"steps": 7}
    assert pipeline.calls == []


def test_offline_is_set_before_the_stage_is_imported(pipeline, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "0")
    assert run(["train", "mine.yaml", "--offline"]) == 0
    assert (os.environ["HF_HUB_OFFLINE"], os.environ["HF_DATASETS_OFFLINE"]) == ("1", "1")


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (DataError("train.csv:7: no label"), 3),
        (UnavailableError("offline"), 4),
        (TrainingError("not finite"), 5),
        (Interrupted("saved; add --resume"), 130),
    ],
)
def test_every_kind_of_failure_has_its_exit_code_and_one_message(pipeline, capsys, failure, code):
    pipeline.failure = failure
    assert run(["train", "mine.yaml", "--quiet"]) == code
    assert capsys.readouterr().err == f"noise of a library\n{failure}\n"


def test_ctrl_c_is_exit_code_130(pipeline):
    pipeline.failure = KeyboardInterrupt()
    assert run(["train", "mine.yaml"]) == 130


def test_debug_shows_the_traceback_of_a_users_error(pipeline, capsys):
    pipeline.failure = DataError("no label")
    assert run(["--debug", "train", "mine.yaml"]) == 3
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_bug_is_exit_code_1_with_its_traceback_in_the_log_of_the_run(pipeline, here, capsys):
    pipeline.failure = ZeroDivisionError("oops")
    assert run(["train", "mine.yaml", "--quiet"]) == 1
    error = capsys.readouterr().err
    log = here / "runs" / "mine" / "log.txt"
    assert f"This is a bug in ftcls {ftcls.__version__}: ZeroDivisionError: oops" in error
    assert str(log) in error
    assert "Traceback" not in error
    assert log.read_text().startswith("started\nTraceback")


def test_a_bug_before_there_is_a_run_has_a_log_of_its_own(pipeline, here, monkeypatch, capsys):
    monkeypatch.setenv("FTCLS_CACHE", str(here / "cache"))
    monkeypatch.setattr(sys.modules["ftcls.pipeline.dry_run"], "smoke", lambda experiment, overrides: 1 / 0)
    assert run(["train", "mine.yaml", "--smoke", "--dry-run"]) == 1
    (log,) = (here / "cache" / "logs").iterdir()
    assert str(log) in capsys.readouterr().err
    assert "ftcls train mine.yaml --smoke --dry-run" in log.read_text()
    assert "ZeroDivisionError" in log.read_text()


# --- config


def test_list_names_the_shipped_configs(capsys):
    assert run(["config", "list"]) == 0
    assert "quickstart" in capsys.readouterr().out
    assert run(["config", "list", "--json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["configs"]}
    assert found["ag_news"]["checkpoint"] == "bert-base-uncased"
    assert found["ag_news"]["task"] == "multiclass"
    assert found["quickstart"]["description"].startswith("Which library does a docstring come from")


def test_check_says_ok_of_each_config_and_names_all_errors(here, capsys):
    Path("bad.yaml").write_text(WHOLE + "sead: 1\n")
    assert run(["config", "check", "quickstart", "mine.yaml", "seed=5"]) == 0
    assert capsys.readouterr().out == "quickstart: ok\nmine.yaml: ok\n"
    assert run(["config", "check", "mine.yaml", "bad.yaml", "gone.yaml"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "mine.yaml: ok\n"
    assert captured.err.startswith(
        "bad.yaml:4:1: sead: unknown key, did you mean 'seed'?\n    sead: 1\ngone.yaml: no such"
    )


def test_check_as_json_holds_the_errors(here, capsys):
    Path("bad.yaml").write_text(WHOLE + "sead: 1\n")
    assert run(["config", "check", "mine.yaml", "bad.yaml", "--json"]) == 2
    first, second = json.loads(capsys.readouterr().out)["configs"]
    assert first == {"config": "mine.yaml", "error": None}
    assert "sead" in second["error"]


def test_check_without_a_config_says_so(here, capsys):
    assert run(["config", "check", "seed=5"]) == 2
    assert capsys.readouterr().err == "name a config before seed=5\n"


def test_show_prints_what_loads_again(here, capsys):
    assert run(["config", "show", "mine.yaml", "training.batch_size=32"]) == 0
    text = capsys.readouterr().out
    assert "batch_size: 32" in text
    Path("resolved.yaml").write_text(text)
    assert run(["config", "show", "resolved.yaml"]) == 0
    assert capsys.readouterr().out == text
    assert run(["config", "show", "mine.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["training"]["batch_size"] == 16


def test_schema_is_json(capsys):
    assert run(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["additionalProperties"] is False


def test_init_writes_a_config_that_checks_and_overwrites_nothing(here, capsys):
    Path("r.csv").write_text("stars,body\n5,a good one\n1,a bad one\n1,another bad one\n")
    assert run(["config", "init", "r.csv", "--label", "stars", "--output", "r.yaml"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "r.yaml: written; next: ftcls train r.yaml\n"
    assert "text column: body, guessed" in captured.err
    assert "how much time and memory that takes: ftcls train r.yaml --dry-run" in captured.err
    assert run(["config", "check", "r.yaml"]) == 0
    assert run(["config", "init", "r.csv", "--label", "stars", "--output", "r.yaml"]) == 2
    assert "r.yaml: exists, and is not overwritten" in capsys.readouterr().err


def test_init_to_stdout_is_the_config_alone(here, capsys):
    Path("r.csv").write_text("stars,body\n5,a good one\n1,a bad one\n1,another bad one\n")
    assert run(["config", "init", "r.csv", "--label", "stars"]) == 0
    Path("r.yaml").write_text(capsys.readouterr().out)
    assert run(["config", "check", "r.yaml"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["r.csv"], 2, "which column has the labels? Add --label COLUMN: stars, body"),
        ([], 2, "name a data file with --label COLUMN, or a shipped config with --like NAME"),
        (["r.csv", "--like", "ag_news"], 2, "name a data file with --label COLUMN"),
        (["--like", "agnews"], 2, "did you mean ag_news?"),
        (["gone.csv", "--label", "x"], 3, "gone.csv: no such file"),
    ],
)
def test_init_says_what_it_needs(here, capsys, arguments, code, message):
    Path("r.csv").write_text("stars,body\n5,a good one\n1,a bad one\n1,another bad one\n")
    assert run(["config", "init", *arguments]) == code
    assert message in capsys.readouterr().err


def test_init_like_copies_a_shipped_config(here, capsys):
    assert run(["config", "init", "--like", "ag_news", "--output", "news.yaml"]) == 0
    assert run(["config", "check", "news.yaml"]) == 0


# --- predict


@pytest.fixture
def classifier(here, monkeypatch):
    """Stands in for every classifier: "long" from six characters on."""
    from ftcls.inference import classifier as module

    @dataclass(frozen=True)
    class Prediction:
        labels: tuple[str, ...]
        probabilities: dict[str, float]
        windows: None = None

    class Lengths(module.Classifier):
        labels = ("short", "long")
        task = "binary"

        def __init__(self, source):
            object.__setattr__(self, "source", source)

        @property
        def settings(self):
            return types.SimpleNamespace(text=None)  # a run of before the columns were kept with the model

        def fingerprint(self):
            return "a stand-in"

        def classify(self, texts, *, windows=False):
            return [Prediction((self.labels[len(text) > 5],), {"short": 0.25, "long": 0.75}) for text in texts]

    def from_pretrained(path, precision, device):
        assert precision == "auto"
        if not Path(path).exists():
            raise UnavailableError(f"{path}: not here")
        sys.stdout.write("noise of a library\n")
        return Lengths(path)

    monkeypatch.setattr(module.Classifier, "from_pretrained", from_pretrained)
    Path("run").mkdir()
    return Lengths


def test_one_text_prints_its_label_and_probabilities(classifier, capsys):
    assert run(["predict", "run", "--text", "something"]) == 0
    assert capsys.readouterr().out == "long\n  long   .7500\n  short  .2500\n"


def test_texts_as_json_are_one_document(classifier, capsys):
    assert run(["predict", "run", "--text", "a", "--text", "something", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["predictions"]
    assert [row["labels"] for row in found] == [["short"], ["long"]]
    assert found[0] == {"text": "a", "labels": ["short"], "probabilities": {"short": 0.25, "long": 0.75}}


def test_a_file_goes_to_a_file_and_is_summed_up(classifier, capsys):
    Path("in.csv").write_text("text\nhello\nsomething\n")
    assert run(["predict", "run", "in.csv", "--output", "out.csv"]) == 0
    assert capsys.readouterr().out == "out.csv: 2 rows: short 1, long 1\n"
    assert Path("out.csv").read_text().splitlines()[1] == "hello,short,0.25,0.75"
    assert run(["predict", "run", "in.csv", "--output", "out.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "rows": 2,
        "label_counts": {"short": 1, "long": 1},
        "output": "out.csv",
        "without_label": 0,
        "bad_rows": 0,
        "problems": [],
        "shares": [],
        "written": [],
    }


def test_a_file_goes_to_stdout_without_an_output(classifier, capsys):
    Path("in.csv").write_text("text\nhello\n")
    assert run(["predict", "run", "in.csv"]) == 0
    assert capsys.readouterr().out == "text,label,probability_short,probability_long\nhello,short,0.25,0.75\n"
    assert run(["predict", "run", "in.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == "short"


def test_stdin_is_read_where_no_file_is_named(classifier, capsys, monkeypatch):
    # 0xff is no UTF-8: it becomes U+FFFD, and the line is labelled all the same.
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfhello\nsome\xffthing\n"), encoding="cp1252")
    )
    assert run(["predict", "run"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1:] == ["hello,short,0.25,0.75", "some\ufffdthing,long,0.25,0.75"]
    assert "stdin: 1 of 2 texts have bytes that are no UTF-8, read and written as \ufffd" in said.err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"id,text\n1,hello\n")))
    assert run(["predict", "run", "-", "--input-kind", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "1,hello,short,0.25,0.75"


def test_a_text_is_labelled_with_the_wanted_certainty(classifier, capsys):
    assert run(["predict", "run", "--text", "hello", "--top", "1", "--abstain", "0.5"]) == 0
    assert capsys.readouterr().out == "(no label)\n  long  .7500\n"


def test_shares_by_group_are_named_below_the_summary(classifier, capsys):
    Path("in.csv").write_text("text,show\nhello,a\nsomething,b\nbroken\n")
    assert run(["predict", "run", "in.csv", "--output", "out.csv", "--by", "show"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "out.csv: 3 rows: short 1, long 1, not readable 1",
        "out-by-show.csv",
        "out-by-show.png",
        "out-by-show.svg",
    ]


def test_an_interrupted_prediction_can_be_continued(classifier, capsys, monkeypatch):
    def interrupted(self, texts):
        raise KeyboardInterrupt

    Path("in.csv").write_text("text\nhello\n")
    label = classifier.classify
    monkeypatch.setattr(classifier, "classify", interrupted)
    assert run(["predict", "run", "in.csv", "--output", "out.csv"]) == 130
    assert "out.csv.partial: half done; the same command with --resume goes on" in capsys.readouterr().err
    monkeypatch.setattr(classifier, "classify", label)
    assert run(["predict", "run", "in.csv", "--output", "out.csv", "--resume"]) == 0
    assert capsys.readouterr().out == "out.csv: 1 rows: short 1, long 0\n"


def test_the_text_columns_are_those_of_the_run(classifier):
    data = "{source: files, path: a.csv, task: binary, text: [title, body]}"
    Path("run/config.yaml").write_text(f"name: x\ndata: {data}\nmodel: {{checkpoint: c}}\n")
    Path("in.csv").write_text("title,body\nab,cdef\n")
    assert run(["predict", "run", "in.csv", "--output", "out.csv"]) == 0
    assert Path("out.csv").read_text().splitlines()[1].startswith("ab,cdef,long")
    assert run(["predict", "run", "in.csv", "--output", "two.csv", "--text-column", "title"]) == 0
    assert Path("two.csv").read_text().splitlines()[1].startswith("ab,cdef,short")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "in.csv", "--text", "x"], 2, "in.csv and --text: give one of the two"),
        (["run", "--text", "x", "--output", "o.csv"], 2, "--output o.csv: is for files"),
        (["gone", "--text", "x"], 4, "gone: not here"),
        (["run", "gone.csv"], 3, "gone.csv: no such file"),
        (["run", "in.xlsx"], 3, "in.xlsx: no such file"),
        (["run", "-", "in.csv"], 2, "-: stdin cannot be mixed with files"),
        (["run", "--text", "x", "--by", "show"], 2, "--by: is for files, not for --text"),
        (["run", "in.csv", "--resume"], 2, "--resume: continues a file; name the one that was begun with --output"),
    ],
)
def test_predict_says_what_it_needs(classifier, capsys, arguments, code, message):
    assert run(["predict", *arguments]) == code
    assert message in capsys.readouterr().err
