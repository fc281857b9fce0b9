"""Checkpoints that bring code of their own: it is never run, and nobody is asked whether it may."""

import ast
import builtins
import json
from pathlib import Path

import pytest
from transformers import BertConfig, BertForSequenceClassification

import ftcls
from ftcls.cli.app import run
from ftcls.data.readers import hub
from ftcls.errors import UnavailableError
from ftcls.exporting import push
from ftcls.inference.classifier import Classifier
from ftcls.model import loading, own_code

pytestmark = pytest.mark.usefixtures("undrawn")

TEXTS = ["one two three", "four five"]
CODE = """
from pathlib import Path
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

Path({mark!r}).write_text("ran")

class Config(BertConfig):
    model_type = {kind!r}

class Model(BertForSequenceClassification):
    config_class = Config

class Tokenizer(PreTrainedTokenizerFast):
    pass
"""


@pytest.fixture
def silent(monkeypatch):
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("standard input was asked"))


@pytest.fixture
def planted(tmp_path):
    """Makes a checkpoint whose folder holds code; a file ``ran`` beside it shows that the code was run."""

    def make(kind):
        folder = tmp_path / "stranger"
        tokenizer = loading.load_tokenizer("scratch:bert", train_texts=TEXTS)
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
        )
        BertForSequenceClassification(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "code.py").write_text(CODE.format(mark=str(tmp_path / "ran"), kind=kind))
        stored = json.loads((folder / "config.json").read_text())
        stored["model_type"] = kind
        stored["auto_map"] = {
            "AutoConfig": "code.Config",
            "AutoModelForSequenceClassification": "code.Model",
            "AutoTokenizer": ["code.Tokenizer", "code.Tokenizer"],
        }
        (folder / "config.json").write_text(json.dumps(stored))
        stored = json.loads((folder / "tokenizer_config.json").read_text())
        stored["auto_map"] = {"AutoTokenizer": ["code.Tokenizer", "code.Tokenizer"]}
        (folder / "tokenizer_config.json").write_text(json.dumps(stored))
        return folder, tmp_path / "ran"

    return make


def test_an_architecture_that_is_code_of_the_checkpoint_is_refused_and_not_run(planted, silent):
    folder, mark = planted("strangers_own")
    with pytest.raises(UnavailableError, match="it would have to run Python code that comes with the checkpoint"):
        loading.load_trained(str(folder))
    with pytest.raises(UnavailableError, match="none of transformers' own"):
        Classifier.from_pretrained(folder)
    assert not mark.exists()


def test_code_beside_an_architecture_that_transformers_has_is_not_run(planted, silent):
    folder, mark = planted("bert")
    tokenizer = loading.load_tokenizer(str(folder), train_texts=TEXTS)
    config = loading.load_config(str(folder), tokenizer, labels=("a", "b"), task="binary")
    built = loading.load_model(str(folder), config, attention=None, seed=0)
    assert type(built.model) is BertForSequenceClassification
    assert type(loading.load_trained(str(folder))) is BertForSequenceClassification
    assert not mark.exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_an_attention_kernel_of_the_hub_is_refused(planted, silent, key):
    folder, _ = planted("bert")
    stored = json.loads((folder / "config.json").read_text())
    del stored["auto_map"]
    stored[key] = "kernels-community/flash-attn"
    (folder / "config.json").write_text(json.dumps(stored))
    with pytest.raises(UnavailableError, match="attention kernel kernels-community/flash-attn"):
        loading.load_trained(str(folder))
    tokenizer = loading.load_tokenizer(str(folder), train_texts=TEXTS)
    with pytest.raises(UnavailableError, match="attention kernel kernels-community/flash-attn"):
        loading.load_config(str(folder), tokenizer, labels=("a", "b"), task="binary")


@pytest.mark.parametrize("words", [["predict", "{}", "--text", "one"], ["eval", "{}", "--config", "{}/c.yaml"]])
def test_the_commands_end_with_exit_code_4_and_run_nothing(planted, silent, capsys, words):
    folder, mark = planted("strangers_own")
    configured(folder)
    assert run([word.format(folder) for word in words]) == 4
    assert "it would have to run Python code that comes with the checkpoint" in capsys.readouterr().err
    assert not mark.exists()


def configured(folder):
    rows = "".join(f"{word} {i},{label}\n" for i in range(20) for word, label in (("one", "a"), ("two", "b")))
    (folder / "rows.csv").write_text(f"text,label\n{rows}")
    (folder / "c.yaml").write_text(
        f"name: x\ndata: {{source: files, path: rows.csv, task: binary}}\nmodel: {{checkpoint: '{folder}'}}\n"
        "training: {max_steps: 1, batch_size: 4, device: cpu, precision: fp32}\n"
    )
    return folder / "c.yaml"


@pytest.mark.parametrize("key", ["attn_implementation", None])
def test_train_ends_with_exit_code_4_before_the_first_batch_and_runs_nothing(planted, silent, capsys, key, tmp_path):
    folder, mark = planted("bert" if key else "strangers_own")
    if key:
        stored = json.loads((folder / "config.json").read_text())
        del stored["auto_map"]
        (folder / "config.json").write_text(json.dumps({**stored, key: "kernels-community/flash-attn"}))
    assert run(["train", str(configured(folder)), "--output", str(tmp_path / "run")]) == 4
    said = capsys.readouterr().err
    assert ("attention kernel kernels-community/flash-attn" if key else "would have to run Python code") in said
    assert not mark.exists()
    assert not (tmp_path / "run" / "report.json").exists()


def test_a_data_set_that_is_a_script_is_refused_and_not_run(tmp_path, monkeypatch, silent):
    """load_dataset has no trust_remote_code any more (datasets 5): scripts are refused whatever is asked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me" / "scripted").mkdir(parents=True)
    (tmp_path / "me" / "scripted" / "scripted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    with pytest.raises(
        UnavailableError,
        match=r"the data set me/scripted cannot be had: it is a Python script, which nobody.*\nSave it, or",
    ):
        hub.load("me/scripted", revision=None, remedy="save it")
    assert not (tmp_path / "ran").exists()


ASKED = ("may_run", "own_code.of_config(config)", "own_code.may_run(place)")
"""What decides where a checkpoint's code may run; everywhere else it is forbidden."""


def test_every_call_that_could_run_a_checkpoints_code_forbids_it_or_asks():
    calls = []
    for path in sorted(Path(ftcls.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = ast.unparse(node.func.value)
            loads = node.func.attr in ("from_pretrained", "from_config")
            # A config of PEFT is numbers and names of its own kinds; a Classifier is loaded by these calls.
            if loads and owner not in ("PeftConfig", "Classifier", "cls"):
                given = {k.arg: ast.unparse(k.value) for k in node.keywords}.get("trust_remote_code")
                forbidden = given in (
                    ("False", *ASKED) if path.name in ("pretrained.py", "estimate.py") else ("False",)
                )
                calls.append((f"{path.name}:{node.lineno}", forbidden))
    assert len(calls) >= 6
    assert [place for place, forbidden in calls if not forbidden] == []


# --- where it is allowed


def allowed(capsys, *words):
    code = run([str(word) for word in words])
    return code, capsys.readouterr().err


@pytest.fixture
def owned(planted, silent, monkeypatch, tmp_path):
    """A config whose checkpoint has an architecture of its own, and the file that shows that its code was run."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder, mark = planted("strangers_own")
    return configured(folder), mark


def test_the_key_alone_and_the_option_alone_run_nothing(owned, capsys, tmp_path):
    config, mark = owned
    code, said = allowed(capsys, "train", config, "--output", tmp_path / "run", "--allow-code")
    assert (code, "would have to run Python code" in said) == (4, True)
    code, said = allowed(capsys, "train", config, "model.allow_code=true", "--output", tmp_path / "run2")
    assert code == 4
    assert "model.allow_code: lets Python code run that comes with" in said
    assert "add --allow-code to this command" in said
    code, _ = allowed(capsys, "train", config, "model.allow_code=true", "--dry-run")
    assert code == 4
    assert not mark.exists()


def test_with_both_it_trains_keeps_its_code_and_asks_again_for_every_command(owned, capsys, tmp_path):
    config, mark = owned
    trained = tmp_path / "run"
    words = ("train", config, "model.allow_code=true", "report.ladder=[]", "--allow-code", "--output", trained)
    assert allowed(capsys, *words)[0] == 0
    assert mark.exists()
    report = json.loads((trained / "report.json").read_text())
    assert report["model"]["own_code"] is True
    assert report["model"]["architecture"] == "Model"
    assert (trained / "model" / "code.py").is_file()
    assert "code.py" in json.loads((trained / "model" / "manifest.json").read_text())["files"]
    mark.unlink()
    rows = config.parent / "rows.csv"
    export = tmp_path / "export"
    commands = [
        ("predict", trained, "--text", "one"),
        ("predict", trained, rows, "--output", tmp_path / "out.csv", "--prefix", "new_"),
        ("eval", trained),
        ("export", trained, "--to", "torch", "--output", export),
        ("serve", trained, "--port", "0"),
    ]
    for words in commands:
        code, said = allowed(capsys, *words)
        assert (code, words[0]) == (4, words[0]), said
        assert "--allow-code" in said
        assert not mark.exists()
    for words in commands[:-1]:
        code, said = allowed(capsys, *words, "--allow-code")
        assert (code, words[0]) == (0, words[0]), said
    assert (export / "code.py").is_file()
    assert ftcls.Classifier.from_pretrained(export, allow_code=True).predict(["one two"]).shape == (1,)


def test_a_permission_ends_with_its_call_and_is_for_its_place_alone(tmp_path):
    other = tmp_path / "other"
    for folder in (tmp_path / "mine" / "model", other):
        folder.mkdir(parents=True)
    with own_code.permission(tmp_path / "mine", "a/b"):
        assert own_code.may_run(tmp_path / "mine" / "model")
        assert own_code.may_run("a/b")
        assert not own_code.may_run(other)
        assert not own_code.may_run("a/c")
        own_code.extend(other)
        assert own_code.may_run(other)
    assert not own_code.may_run(tmp_path / "mine")
    assert not own_code.may_run(other)
    own_code.extend(other)  # without a permission it gives none
    assert not own_code.may_run(other)


def test_code_of_another_repository_is_not_run_where_that_of_the_checkpoint_is(owned, capsys, tmp_path):
    config, mark = owned
    path = config.parent / "config.json"
    stored = json.loads(path.read_text())
    stored["auto_map"]["AutoModelForSequenceClassification"] = "other/one--code.Model"
    path.write_text(json.dumps(stored))
    words = ("train", config, "model.allow_code=true", "--allow-code", "--output", tmp_path / "run")
    code, said = allowed(capsys, *words)
    assert (code, "names the code of another repository, other/one" in said) == (4, True)
    assert not mark.exists()


def test_a_model_that_was_trained_with_its_code_is_not_read_as_one_of_the_same_name(planted, silent, tmp_path):
    folder, mark = planted("bert")
    (folder / "ftcls.json").write_text("{}")
    with pytest.raises(UnavailableError, match="which nobody has allowed"):
        Classifier.from_pretrained(folder)
    assert not mark.exists()


def test_a_model_with_code_is_not_published(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": {"AutoConfig": "code.Config"}}))
    assert own_code.kept(tmp_path) == []
    (tmp_path / "code.py").write_text("")
    assert own_code.kept(tmp_path) == ["code.py"]
    with pytest.raises(UnavailableError, match=r"needs code\.py, .* ftcls publishes no code"):
        push._copy_model(tmp_path, tmp_path / "copy")
