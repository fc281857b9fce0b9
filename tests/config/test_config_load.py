import re
from pathlib import Path

import pytest

from ftcls.config import load as loading
from ftcls.config.huggingface import NAMES
from ftcls.config.load import dump, load, shipped
from ftcls.config.schema import Experiment
from ftcls.errors import ConfigError

WHOLE = """\
name: mine
data: {source: docstrings}
model: {checkpoint: some/checkpoint}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def config(here):
    def write(text, name="mine.yaml"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
        return name

    return write


def errors(argument, *overrides):
    with pytest.raises(ConfigError) as caught:
        load(argument, overrides)
    return str(caught.value)


def places(message):
    return re.findall(r"^\S+?:(\d+):\d+: ([\w.\[\]]+):", message, re.MULTILINE)


# --- what is read


def test_every_shipped_config_loads_by_its_name_and_by_its_path(here):
    assert set(shipped()) >= {"quickstart", "ag_news"}
    for name, path in shipped().items():
        assert load(name) == load(f"configs/{name}.yaml") == load(path)


def test_a_file_in_the_working_directory_goes_before_a_shipped_one(config):
    config(WHOLE, "configs/quickstart.yaml")
    assert load("configs/quickstart.yaml").name == "mine"


def test_numbers_of_yaml_1_2_reach_the_schema(config):
    experiment = load(config(WHOLE + "training: {learning_rate: 2e-5, num_train_epochs: 4, batch_size: 010}\n"))
    assert experiment.training.learning_rate == 2e-5
    assert experiment.training.num_train_epochs == 4.0
    assert experiment.training.batch_size == 10


def test_an_override_reads_yaml_and_makes_the_sections_on_its_way(config):
    experiment = load(
        config(WHOLE),
        ["training.learning_rate=5e-5", "data.subset.train={per_class: 3}", "seed=7", "data.clean=[spaces]"],
    )
    assert experiment.training.learning_rate == 5e-5
    assert experiment.data.subset.train.per_class == 3
    assert (experiment.seed, experiment.data.clean) == (7, ("spaces",))


def test_an_override_replaces_lists_and_mappings_whole(config):
    name = config(WHOLE + "report: {trackers: [wandb, mlflow]}\nloss: {class_weights: {a: 1, b: 2}}\n")
    experiment = load(name, ["report.trackers=[tensorboard]", "loss.class_weights={c: 3}"])
    assert experiment.report.trackers == ("tensorboard",)
    assert experiment.loss.class_weights == {"c": 3}


def test_an_override_without_a_value_is_null(config):
    assert (
        load(config(WHOLE + "training: {token_budget: 100}\n"), ["training.token_budget="]).training.token_budget
        is None
    )


def test_max_steps_on_the_command_line_takes_the_place_of_the_files_epochs(config):
    experiment = load(config(WHOLE + "training: {num_train_epochs: 7}\n"), ["training.max_steps=5"])
    assert experiment.training.max_steps == 5
    assert load(config(dump(experiment), "resolved.yaml")) == experiment


def test_labels_are_text_whatever_they_look_like(config):
    text = "name: x\ndata: {source: files, path: a.csv, task: multiclass, labels: [1, 010, no, true, null, 2e-5, a]}\n"
    assert load(config(text + "model: {checkpoint: c}\n")).data.labels == (
        "1",
        "010",
        "no",
        "true",
        "null",
        "2e-5",
        "a",
    )


def test_a_positive_label_and_class_weights_name_labels_as_text(config):
    data = "{source: files, path: a, task: binary, labels: [0, 1], positive_label: 1}"
    text = f"name: x\ndata: {data}\nmodel: {{checkpoint: c}}\n"
    experiment = load(config(text + "loss: {class_weights: {0: 1, 1: 2.5}}\n"))
    assert experiment.data.positive_label == "1"
    assert experiment.loss.class_weights == {"0": 1.0, "1": 2.5}


# --- paths


def test_paths_of_a_file_are_relative_to_it_and_those_of_an_override_to_the_working_directory(config, here):
    config(
        "name: x\ndata: {source: files, path: {train: a.csv, test: ../t.csv}, task: binary}\nmodel: {checkpoint: c}",
        "sub/x.yaml",
    )
    paths = load("sub/x.yaml", ["data.path.validation=v.csv"]).data.path
    assert paths.train == str(here / "sub" / "a.csv")
    assert paths.test == str(here / "t.csv")
    assert paths.validation == str(here / "v.csv")


def test_a_home_path_is_expanded_and_null_stays_null(config, monkeypatch, here):
    monkeypatch.setenv("HOME", str(here / "home"))
    monkeypatch.setenv("USERPROFILE", str(here / "home"))
    name = config(WHOLE.replace("docstrings", "ag_news"))
    assert load(name).data.path is None
    assert load(name, ["data.path=~/news"]).data.path == str(here / "home" / "news")


def test_a_checkpoint_is_a_path_only_if_it_looks_like_one_or_is_there(config, here):
    config(WHOLE.replace("some/checkpoint", "./model"), "sub/a.yaml")
    assert load("sub/a.yaml").model.checkpoint == str(here / "sub" / "model")
    assert load("sub/a.yaml", ["model.checkpoint=bert-base-uncased"]).model.checkpoint == "bert-base-uncased"
    assert load("sub/a.yaml", ["model.checkpoint=package:a/b"]).model.checkpoint == "package:a/b"
    (here / "runs" / "mine").mkdir(parents=True)
    assert load("sub/a.yaml", ["model.checkpoint=runs/mine"]).model.checkpoint == str(here / "runs" / "mine")


# --- dump


@pytest.mark.parametrize(
    "more",
    [
        "",
        "loss: {class_weights: {'a, b': 2, no: 1, '010': 3}, kind: focal, gamma: 1}\n",
        "training: {warmup_steps: 0.1, max_steps: 10, eval_strategy: steps, eval_steps: 5, precision: bf16}\n",
        "report: {trackers: [wandb]}\nseed: 0\n",
    ],
)
def test_a_dumped_config_writes_every_default_and_loads_again_as_it_was(config, more):
    experiment = load(config(WHOLE + more))
    text = dump(experiment)
    assert load(config(text, "resolved.yaml")) == experiment
    for section in ("data", "model", "loss", "training", "metrics", "report"):
        for key in type(getattr(experiment, section)).model_fields:
            assert re.search(rf"^  {key}:", text, re.MULTILINE)


def test_what_a_program_set_in_a_whole_experiment_survives_the_dump(config):
    experiment = load(config(WHOLE + "training: {num_train_epochs: 7}\nloss: {kind: focal, gamma: 3}\n"))
    changed = experiment.model_copy(
        update={
            "training": experiment.training.model_copy(update={"max_steps": 8}),
            "loss": experiment.loss.model_copy(update={"kind": "cross_entropy"}),
        }
    )
    assert load(config(dump(changed), "resolved.yaml")) == changed


def test_every_shape_of_data_survives_the_dump(config):
    for data in (
        "{source: files, path: {train: a.csv}, task: multilabel, label: {column: tags, separator: '|'}, text: [t, b]}",
        "{source: files, path: a, task: multilabel, label: {columns: [x, 'no']}, subset: {train: {share: 0.1}}}",
        "{source: files, path: a, task: multiclass, labels: [no, 1, '😀', 'a, b'], split: {validation: 100}}",
    ):
        experiment = load(config(f"name: x\ndata: {data}\nmodel: {{checkpoint: c}}\n"))
        assert load(config(dump(experiment), "resolved.yaml")) == experiment


# --- errors


TEN_MISTAKES = """\
name: my run
sead: 1
data:
  source: agnews
  clean: [lower, spaces]
  subset: {train: {share: 2}}
model: {checkpoint: bert-base-uncased, max_length: 2}
training:
  learning_rate: "2e-5"
  batch_size: 0
  eval_strategy: steps
  learning_rat: 1e-5
metrics: {best: f1_makro}
"""


def test_ten_mistakes_in_one_file_are_all_named_with_their_line_and_remedy(config):
    message = errors(config(TEN_MISTAKES))
    assert places(message) == [
        ("1", "name"),
        ("2", "sead"),
        ("4", "data.source"),
        ("5", "data.clean[0]"),
        ("6", "data.subset.train.share"),
        ("7", "model.max_length"),
        ("9", "training.learning_rate"),
        ("10", "training.batch_size"),
        ("11", "training.eval_strategy"),
        ("12", "training.learning_rat"),
    ]
    for remedy in (
        "'my run' is not allowed; expected name of the run directory: letters, digits, dot, dash, underscore",
        "mine.yaml:2:1: sead: unknown key, did you mean 'seed'?\n    sead: 1\n",
        "'agnews' is not allowed, did you mean 'ag_news'? Allowed: imdb, reuters21578, ag_news",
        "'lower' is not allowed, did you mean 'lower_case'?",
        "found 2, expected a number above 0 and below 1",
        "found 2, expected a whole number of at least 4 or null",
        "found the text '2e-5', expected a number above 0 or null; remove the quotes",
        "found 0, expected a whole number above 0",
        "steps needs eval_steps; add training: {eval_steps: 100}",
        "mine.yaml:12:3: training.learning_rat: unknown key, did you mean 'learning_rate'?",
    ):
        assert remedy in message


def test_a_wrong_metric_is_named_once_the_task_is_known(config):
    message = errors(config(TEN_MISTAKES.replace("agnews", "ag_news")))
    assert "metrics.best: 'f1_makro' is no metric, did you mean 'f1_macro'? Allowed: loss, accuracy" in message


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("data: {source: files, task: binary}", "data.source: files needs path; add data: {path: texts.csv}"),
        ("data: {source: files, path: a}", "data.source: files needs task, which is never guessed; add task: binary"),
        ("data: {source: ag_news, task: binary}", "data.task: binary contradicts ag_news, which is multiclass"),
        (
            "data: {source: ag_news, positive_label: x}",
            "data.positive_label: is for binary tasks, and this one is multiclass",
        ),
        (
            "data: {source: files, path: a, task: binary, labels: [x, y], positive_label: z}",
            "data.positive_label: 'z' is not in data.labels; one of [x, y]",
        ),
        ("data: {source: ag_news, labels: [a, b, a]}", "data.labels[2]: 'a' is listed 2 times; list each label once"),
        (
            "data: {source: files, path: a, task: binary, labels: [a, b, c]}",
            "data.labels: found 3 labels; binary has 2",
        ),
        ("data: {source: ag_news, text: body}", "data.text: has no effect on ag_news"),
        ("data: {source: imdb, label: stars}", "data.label: has no effect on imdb"),
        ("data: {source: ag_news, topics: R10}", "data.topics: is for reuters21578 and has no effect on ag_news"),
        ("data: {source: imdb, single_label: true}", "data.single_label: is for go_emotions and has no effect on imdb"),
        ("data: {source: files, path: a, task: binary, dataset: a/b}", "data.dataset: is for hub and has no effect on"),
        ("data: {source: hub, task: binary}", "data.source: hub needs the id of a data set; add data: {dataset: owner"),
        ("data: {source: hub, dataset: a/b}", "data.source: hub needs task, which is never guessed"),
        ("data: {source: hub, dataset: a/b, task: binary, path: c}", "data.path: hub reads from the Hub"),
        ("data: {source: hub, dataset: 'a b', task: binary}", "data.dataset: 'a b' is not allowed"),
        ("data: {source: reuters21578, revision: a}", "data.revision: reuters21578 does not come from the Hub"),
        (
            "data: {source: reuters21578, labels: [earn, acq]}",
            "data.labels: reuters21578 takes its labels from topics; write data: {topics: [earn, acq]}",
        ),
        ("data: {source: reuters21578, topics: [earn, acq, earn]}", "data.topics: 'earn' is listed 2 times"),
        (
            "data: {source: reuters21578, topics: R115}",
            "data.topics: 'R115' is not allowed; allowed: all, R90, R10 or a list",
        ),
        (
            "data: {source: go_emotions, task: multiclass}",
            "data.task: multiclass contradicts go_emotions, which is mul",
        ),
        (
            "data: {source: go_emotions, single_label: true, task: multilabel}",
            "data.task: multilabel contradicts go_emotions, which is multiclass",
        ),
        ("data: {source: docstrings, path: a}", "data.path: docstrings reads the installed packages"),
        ("data: {source: docstrings, revision: a}", "data.revision: docstrings does not come from the Hub"),
        ("data: {source: ag_news, path: {train: a}}", "data.path: ag_news takes one folder or archive"),
        (
            "data: {source: files, path: a, task: binary, label: {column: t}}",
            "data.label: several labels per row are task: multilabel",
        ),
        (
            "data: {source: ag_news, split: {test: 0.6, validation: 0.5}}",
            "data.split.test: validation and test together",
        ),
    ],
)
def test_sections_of_data_fit_together(config, section, line):
    assert line in errors(config(f"name: x\n{section}\nmodel: {{checkpoint: c}}\n"))


@pytest.mark.parametrize(
    ("section", "line"),
    [
        (
            "training: {eval_strategy: steps}",
            "training.eval_strategy: steps needs eval_steps; add training: {eval_steps: 100}",
        ),
        ("training: {eval_steps: 5}", "training.eval_steps: has no effect with eval_strategy epoch; write training"),
        ("training: {save_strategy: steps}", "training.save_strategy: steps needs save_steps"),
        ("training: {save_steps: 5, save_strategy: no}", "training.save_steps: has no effect with save_strategy no"),
        (
            "training: {eval_strategy: no, early_stopping_patience: 2}",
            "training.early_stopping_patience: needs evaluations",
        ),
        ("training: {max_steps: 5, num_train_epochs: 2}", "training.max_steps: takes the place of num_train_epochs"),
        ("metrics: {best: f1}", "metrics.best: 'f1' is for binary, this task is multiclass"),
        ("metrics: {best: eval_f1_macro}", "did you mean 'f1_macro'?"),
        ("training: {max_steps: 5, num_train_epochs: 3}", "training.max_steps: takes the place of num_train_epochs"),
        ("loss: {gamma: 3}", "loss.gamma: has no effect with kind cross_entropy; write kind: focal"),
        ("loss: {pos_weight: {}}", "loss.pos_weight: is empty"),
        ("loss: {pos_weight: balanced}", "loss.pos_weight: is for multilabel tasks, and this one is"),
        ("loss: {kind: distribution_balanced}", "loss.kind: distribution_balanced is for multilabel tasks"),
        (
            "loss: {kind: distribution_balanced, label_smoothing: 0.1}",
            "loss.label_smoothing: has no effect with kind distribution_balanced, which has weights of its own",
        ),
        ("loss: {negative_scale: 2}", "loss.negative_scale: is for multilabel tasks, and this one is multiclass"),
        ("loss: {kind: asymmetric, negative_scale: 2}", "loss.negative_scale: has no effect with kind asymmetric"),
        ("loss: {negative_scale: 0.5}", "loss.negative_scale: found 0.5, expected a number of at least 1"),
        ("loss: {kind: asymmetric}", "loss.kind: asymmetric is for multilabel tasks, and this one is"),
        (
            "adapter: {kind: lora}\ntraining: {freeze: 2}",
            "training.freeze: is for full fine-tuning, and adapter.kind lora",
        ),
        ("adapter: {r: 4}", "adapter.r: has no effect without an adapter; add adapter: {kind: lora}"),
        ("loss: {margin: 0.1}", "loss.margin: has no effect with kind cross_entropy; write kind: asymmetric"),
        ("loss: {kind: focal, gamma_negative: 1}", "loss.gamma_negative: has no effect with kind focal"),
        ("decision: {thresholds: tuned}", "decision.thresholds: tuned is for binary and multilabel tasks"),
        ("decision: {objective: f1_micro}", "decision.objective: has no effect with thresholds fixed; add decision"),
        (
            "decision: {min_precision: 0.8}",
            "decision.min_precision: is for thresholds: tuned with",
        ),
        ("decision: {beta: 2}", "decision.beta: is for thresholds: tuned with objective: f_beta"),
        ("training: {augmentation: {rare: true}}", "training.augmentation.rare: has no rate to raise; add"),
        ("training: {augmentation: {word_swap: 0.9}}", "training.augmentation.word_swap: found 0.9, expected"),
        ("training: {sampling: even}", "training.sampling: 'even' is not allowed"),
        ("loss: {beta: 0.9}", "loss.beta: has no effect without"),
        ("loss: {logit_adjustment: -1}", "loss.logit_adjustment: found -1, expected"),
        ("loss: {class_weights: {}}", "loss.class_weights: is empty"),
        ("loss: {class_weights: balansed}", "'balansed' is not allowed, did you mean 'balanced'?"),
        ("loss: {class_weights: {a: -1}}", "loss.class_weights.a: found -1, expected a number above 0"),
        ("report: {trackers: wandb}", "expected a list of these: tensorboard, wandb, mlflow; write [wandb]"),
        ("seed: -1", "seed: found -1, expected a whole number of at least 0"),
        ("training: {device: gpu}", "'gpu' is not allowed; expected auto, cpu, cuda, cuda:N or mps"),
        ("training: {learning_rate: .nan}", "training.learning_rate: found .nan, expected a number above 0"),
        ("training: {learning_rate: .inf}", "training.learning_rate: found .inf, expected a number above 0"),
        ("training: {batch_size: true}", "training.batch_size: found true, expected a whole number above 0"),
        ("training: [1]", "training: found [1], expected a section with keys: num_train_epochs"),
        ("training: null", "training: found null, expected a section with keys"),
        ("learning_rate: 3e-5", "learning_rate: unknown key here; write training: {learning_rate: 3e-5}"),
        ("<<: {seed: 1}", "merge keys are not part of YAML 1.2"),
    ],
)
def test_other_sections_fit_together(config, section, line):
    assert line in errors(config(f"{WHOLE}{section}\n"))


def test_class_weights_name_labels_that_are_written(config):
    data = "name: x\ndata: {source: ag_news, labels: [World, Sports]}\nmodel: {checkpoint: c}\n"
    message = errors(config(data + "loss: {class_weights: {Sport: 2}}\n"))
    assert "loss.class_weights.Sport: is not in data.labels, did you mean 'Sports'?" in message


@pytest.mark.parametrize(
    ("data", "key", "shown"),
    [
        ("{source: files, path: a, task: binary, text: 5}", "data.text", "found 5, expected text, a list"),
        ("{source: files, path: a, task: binary, label: {colum: a}}", "data.label.colum", "did you mean 'column'?"),
        ("{source: files, path: {train: 5}, task: binary}", "data.path.train", "found 5, expected text"),
        ("{source: docstrings, subset: {train: 0.5}}", "data.subset.train", "{share: a number above 0 and below 1}"),
        ("{source: docstrings, split: {test: 1.5}}", "data.split.test", "a whole number above 0 or rest"),
    ],
)
def test_a_key_that_takes_several_kinds_of_value_is_one_error(config, data, key, shown):
    message = errors(config(f"name: x\ndata: {data}\nmodel: {{checkpoint: c}}\n"))
    assert places(message)[0][1] == key
    assert message.count("\n") <= 3
    assert shown in message


def test_a_required_key_that_is_missing_says_what_it_is(config):
    message = errors(config("name: x\ndata: {clean: []}\n"))
    assert "mine.yaml:2:1: data.source: required, and missing: the reader" in message
    assert "mine.yaml:1:1: model: required, and missing: the checkpoint" in message


def test_a_misspelt_required_key_is_one_error(config):
    assert len(places(errors(config(WHOLE.replace("name", "nmae"))))) == 1


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("training.learning_rate=abc", ": found the text 'abc', expected a number above 0"),
        ("training.learning_rat=1", ": unknown key, did you mean 'learning_rate'?"),
        ("training", ": expected KEY=VALUE, such as training.learning_rate=2e-5"),
        ("=5", ": expected KEY=VALUE"),
        ("training..x=5", ": expected KEY=VALUE"),
        ("data.clean=[spaces", ": not valid YAML"),
        ("training.fp16=true", ": is a Hugging Face name; write training.precision=fp16"),
        ("training.eval_steps=5", ": has no effect with eval_strategy epoch"),
    ],
)
def test_errors_of_overrides_quote_the_override(config, override, line):
    assert errors(config(WHOLE), override).startswith(f"command line: {override}{line}")


def test_errors_of_the_file_and_of_overrides_come_together(config):
    lines = errors(config(WHOLE + "sead: 1\n"), "training.batch_size=0", "seed=x").splitlines()
    assert [line.split(": ")[0] for line in lines] == ["mine.yaml:4:1", "    sead", "command line", "command line"]


def test_the_same_override_twice_is_an_error(config):
    assert "command line: seed=2: seed is given twice" in errors(config(WHOLE), "seed=1", "seed=2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"mine\.yaml: is empty"),
        ("# only a comment\n", r"mine\.yaml: is empty"),
        ("- a\n- b\n", r"mine\.yaml:1:1: found \[a, b\], expected keys: name, seed, data"),
        ("just text\n", r"mine\.yaml:1:1: found the text 'just text', expected keys"),
        ("5\n", r"mine\.yaml:1:1: found 5, expected keys"),
        ("text,label\ngood,1\n", "expected keys"),
        ("{}", r"data: required, and missing"),
    ],
)
def test_a_file_that_is_no_config_is_answered(config, content, message):
    assert re.search(message, errors(config(content)))


def test_an_override_of_a_file_that_is_no_mapping_is_answered(config):
    assert "required, and missing" in errors(config("- a\n"), "seed=1")


def test_a_config_that_is_not_there_names_the_nearest(here):
    assert errors("quikstart").startswith("quikstart: no such file; did you mean quickstart? Shipped configs: ag_news")
    assert "did you mean ag_news?" in errors("configs/agnews.yaml")
    Path("reviews.yaml").write_text(WHOLE)
    assert "did you mean reviews.yaml?" in errors("review.yaml")


def test_a_folder_is_no_config_but_a_run_holds_one(here):
    Path("runs/a").mkdir(parents=True)
    assert errors("runs/a") == "runs/a: is a folder; name a file"
    Path("runs/a/config.yaml").write_text(WHOLE)
    assert errors("runs/a") == f"runs/a: is a folder; did you mean {Path('runs/a/config.yaml')}?"


# --- Hugging Face names


TEN_NAMES = """\
name: x
model_name_or_path: bert-base-uncased
output_dir: out/x
report_to: [wandb, tensorboard]
data: {source: ag_news, max_train_samples: 500}
max_seq_length: 128
training:
  per_device_train_batch_size: 8
  gradient_accumulation_steps: 2
  fp16: true
  evaluation_strategy: steps
  warmup_ratio: 0.1
"""


def test_ten_hugging_face_names_are_each_answered_with_the_ftcls_line(config):
    lines = [line for line in errors(config(TEN_NAMES)).splitlines() if not line.startswith("    ")]
    assert [line.partition(": is a Hugging Face name; ")[2].partition(" (")[0] for line in lines] == [
        "write model: {checkpoint: bert-base-uncased}",
        "leave it out: give the folder on the command line: ftcls train CONFIG --output out/x",
        "write report: {trackers: [wandb, tensorboard]}",
        "write data: {subset: {train: 500}}",
        "write model: {max_length: 128}",
        "write training: {batch_size: 16}",
        "write training: {batch_size: 16}",
        "write training: {precision: fp16}",
        "write training: {eval_strategy: steps}",
        "write training: {warmup_steps: 0.1}",
    ]


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("per_device_train_batch_size: 8", "write training: {batch_size: 8}"),
        ("gradient_accumulation_steps: 4", "write training: {batch_size: 32}"),
        ("per_device_eval_batch_size: 64", "write training: {eval_batch_size: 64}"),
        ("bf16: true", "write training: {precision: bf16}"),
        ("bf16: false", "leave it out: without it training.precision is auto"),
        ("early_stopping: true", "write training: {early_stopping_patience: 3}"),
        ("early_stopping: 5", "write training: {early_stopping_patience: 5}"),
        ("lr_scheduler: cosine", "write training: {lr_scheduler_type: cosine}"),
        ("train_file: a.csv", "write data: {source: files, path: {train: a.csv}, task: multiclass}"),
        ("label_smoothing_factor: 0.1", "write loss: {label_smoothing: 0.1}"),
        ("load_best_model_at_end: true", "leave it out: the weights of the best step"),
        ("metric_for_best_model: eval_f1", "write metrics: {best: f1_macro}"),
        ("metric_for_best_model: accuracy", "write metrics: {best: accuracy}"),
        ("group_by_length: true", "leave it out: batches are planned by length"),
        ("no_cuda: true", "write training: {device: cpu}"),
        ("tokenizer_name: x", "leave it out: the tokenizer is the checkpoint's own"),
        ("dataset_name: fancyzhx/ag_news", "write data: {source: ag_news}"),
        ("dataset_name: stanfordnlp/imdb", "write data: {source: imdb}"),
        ("dataset_name: someone/thing", "write data: {source: hub, dataset: someone/thing, task: multiclass}"),
        ("dataset_name: [odd]", "write data: {source: files"),
        ("text_column_name: body", "write data: {text: body}"),
        ("label_column_name: stars", "write data: {label: stars}"),
        ("num_labels: 4", "leave it out: the labels are read from the data"),
        ("report_to: none", "write report: {trackers: []}"),
        ("dataloader_num_workers: 4", "leave it out: texts are tokenized once"),
        ("lr: 3e-5", "write training: {learning_rate: 3e-5}"),
        ("id2label: {0: neg, 1: pos}", "write data: {labels: [neg, pos]}"),
        ("label2id: {neg: 0, pos: 1}", "write data: {labels: [neg, pos]}"),
    ],
)
def test_a_hugging_face_name_is_answered_at_the_top_and_in_a_section(config, written, answer):
    assert answer in errors(config(f"{WHOLE}{written}\n"))
    assert answer in errors(config(f"{WHOLE}training:\n  {written}\n"))


@pytest.mark.parametrize("value", ["true", "false", "null", "3", "-1", "0.5", "text", "[]", "[a, 1]", "{a: 1}", "''"])
def test_no_value_of_a_hugging_face_name_breaks_the_answer(config, value):
    message = errors(config(WHOLE + "".join(f"{name}: {value}\n" for name in NAMES)))
    for line, name in enumerate(NAMES, start=4):
        assert f"mine.yaml:{line}:1: {name}: is a Hugging Face name; " in message


def test_what_the_answers_write_is_known_to_the_schema():
    known = set(_keys(Experiment))
    for name, translate in NAMES.items():
        for value in (True, False, 8, "x"):
            assert set(translate(value, {name: value}).settings) <= known, name


def _keys(section, prefix=""):
    for key, hint in loading.fields(section).items():
        inner = loading.section_of(hint)
        yield prefix + key
        if inner:
            yield from _keys(inner, f"{prefix}{key}.")


def test_a_hugging_face_name_is_allowed_as_the_name_of_a_label(config):
    experiment = load(config(WHOLE + "loss: {class_weights: {fp16: 2, bf16: 1}}\n"))
    assert experiment.loss.class_weights == {"fp16": 2.0, "bf16": 1.0}


@pytest.mark.parametrize(
    ("config", "keys", "message"),
    [
        ("go_emotions", {"min_positives": 10}, "min_positives=10: has no effect with shrinkage"),
        ("imdb", {"shrinkage": 2}, "shrinkage=2: is for several labels"),
        ("go_emotions", {"shrinkage": 2, "objective": "precision"}, "shrinkage=2: is for several labels"),
        ("go_emotions", {"min_positives": 10, "shrinkage": 0}, None),
        ("go_emotions", {"min_positives": 10, "objective": "precision"}, None),
        ("imdb", {"min_positives": 10}, None),
    ],
)
def test_keys_of_tuned_thresholds_without_effect_are_refused(config, keys, message):
    settings = {f"decision.{key}": value for key, value in {"thresholds": "tuned", **keys}.items()}
    if message is None:
        load(config, settings)
        return
    with pytest.raises(ConfigError, match=message):
        load(config, settings)
