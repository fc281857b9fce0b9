"""What a finished run is told to try next: for each kind of fault the right key with the right value."""

from dataclasses import replace

import pytest

import synthetic
from ftcls.config.load import load
from ftcls.config.schema import Experiment
from ftcls.pipeline import run_facts
from ftcls.runs import report_schema
from ftcls.scoring.diagnosis import Diagnosis, LearningRate
from ftcls.scoring.next_steps import Evaluation, Facts, Settings, Usual, next_steps

CONFIG = {
    "name": "made",
    "data": {"source": "files", "path": "rows.csv", "task": "multiclass"},
    "model": {"checkpoint": "scratch:bert", "max_length": 64},
    "training": {"num_train_epochs": 4, "learning_rate": 1e-4, "head_learning_rate": 1e-3, "warmup_steps": 0.1},
}
LABELS = ("World", "Sports", "Business", "Sci/Tech")
GOOD = Facts(
    task="multiclass",
    metric="f1_macro",
    verdict="not_overfitted",
    from_step=None,
    evaluations=tuple(Evaluation(step, score) for step, score in ((125, 0.80), (250, 0.85), (375, 0.87), (500, 0.872))),
    best_step=500,
    steps=500,
    epochs=4.0,
    stopped_early=False,
    last_rate=0.001,
    baseline="better",
    validation=(0.84, 0.9),
    test=(0.83, 0.89),
    validation_rows=400,
    pooled=True,
    label_counts=dict.fromkeys(LABELS, 500),
    never_given=(),
    rows=2000,
    truncated=40,
    tokens=60,
    settings=Settings(
        num_train_epochs=4,
        max_steps=None,
        learning_rate=1e-4,
        head_learning_rate=1e-3,
        warmup_steps=0.1,
        lr_scheduler_type="linear",
        eval_strategy="epoch",
        max_length=64,
        truncation="head",
        thresholds="fixed",
        temperature="fixed",
        weighted=False,
        subset=False,
        adapter=False,
    ),
    usual=Usual(num_train_epochs=4, learning_rate=1e-4, head_learning_rate=1e-3),
)
SEVERAL = replace(
    GOOD,
    task="multilabel",
    metric="f1_micro",
    settings=replace(GOOD.settings, thresholds="tuned"),
    label_counts=dict.fromkeys("abcdef", 300),
)


def run(facts=GOOD, *, epochs=None, **settings):
    """The facts with other settings of the run."""
    changed = {**settings, **({} if epochs is None else {"num_train_epochs": epochs})}
    return replace(facts, settings=replace(facts.settings, **changed))


def keys(facts):
    return [step.keys for step in next_steps(facts)]


def sentences(facts):
    return " ".join(step.sentence for step in next_steps(facts))


def test_a_good_run_is_told_nothing():
    assert next_steps(GOOD) == ()
    assert next_steps(SEVERAL) == ()


def test_a_good_run_on_few_rows_is_told_to_get_more_and_no_key():
    few = replace(GOOD, rows=200, truncated=0, label_counts=dict.fromkeys(LABELS, 50))
    assert keys(few) == [{}]
    assert sentences(few) == "More rows: 200 are few for 4 labels."
    rare = replace(GOOD, label_counts={"World": 1800, "Sports": 190, "Business": 7, "Sci/Tech": 3})
    assert keys(rare) == [{}]
    assert sentences(rare) == "More rows of rare labels: 'Sci/Tech', 'Business' have fewer than 20 for training."


@pytest.mark.parametrize(
    ("facts", "expected", "words"),
    [
        (run(epochs=4), {"training.num_train_epochs": 8}, "train twice as long"),
        (run(epochs=2), {"training.num_train_epochs": 4}, "train twice as long"),
        (run(epochs=1.5), {"training.num_train_epochs": 4}, "train 2.67 times as long"),
        (run(epochs=0.2), {"training.num_train_epochs": 0.8}, "train 4 times as long"),
        (run(max_steps=100), {"training.max_steps": 200}, "train twice as long"),
    ],
)
def test_an_undertrained_run_is_trained_longer(facts, expected, words):
    facts = replace(facts, verdict="undertrained")
    assert keys(facts) == [pytest.approx(expected)]
    assert sentences(facts) == f"The validation loss still falls at the end: {words}."


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (run(learning_rate=2e-3), {"training.learning_rate": 5e-4}),
        (run(learning_rate=3e-5, warmup_steps=0), {"training.learning_rate": 7.5e-6, "training.warmup_steps": 0.1}),
    ],
)
def test_a_diverged_run_is_trained_at_a_quarter_of_the_rate_and_told_nothing_else(facts, expected):
    facts = replace(facts, verdict="diverged", truncated=2000, tokens=400, never_given=("World",))
    assert keys(facts) == [expected]
    assert "diverged" in sentences(facts)


def test_a_run_that_learnt_nothing_gets_the_usual_rate_and_more_steps():
    slow = replace(run(learning_rate=1e-6), verdict="nothing_learnt", steps=50)
    assert keys(slow) == [{"training.learning_rate": 1e-4}, {"training.num_train_epochs": 40}, {}]
    assert "10 times as long" in sentences(slow)
    usual = replace(GOOD, verdict="nothing_learnt")
    assert keys(usual) == [{}]
    assert "`ftcls data`" in sentences(usual)
    lora = replace(run(learning_rate=5e-3, adapter=True), verdict="nothing_learnt")  # the usual rate is of all weights
    assert keys(lora) == [{}]


def test_an_overfitted_run_ends_at_its_best_step():
    facts = replace(GOOD, verdict="overfitted", from_step=375, best_step=250)
    shorter, sure = next_steps(facts)
    assert shorter.keys == {"training.num_train_epochs": 2}
    assert shorter.sentence.startswith("Over-fitted from step 375, and best at step 250 of 500: end there")
    assert sure.keys == {"decision.temperature": "tuned"}
    counted = replace(run(facts, max_steps=500, temperature="tuned"))
    assert keys(counted) == [{"training.max_steps": 250}]


def test_an_overfitted_run_that_was_best_at_the_end_keeps_its_length():
    facts = replace(GOOD, verdict="overfitted", from_step=375)
    assert keys(facts) == [{"decision.temperature": "tuned"}]


def test_of_a_run_by_its_loss_the_probabilities_are_mended_first():
    facts = replace(GOOD, metric="loss", verdict="overfitted", from_step=375, best_step=400, baseline="worse")
    assert keys(facts)[0] == {"decision.temperature": "tuned"}


def _scored(*scores):
    return tuple(Evaluation(125 * (place + 1), score) for place, score in enumerate(scores))


def test_the_best_step_first_halves_the_rate():
    falling = replace(GOOD, best_step=125, evaluations=_scored(0.9, 0.85, 0.84, 0.84))
    assert keys(falling) == [{"training.learning_rate": 5e-5}]
    assert keys(replace(GOOD, verdict="unstable", from_step=250, best_step=250)) == [{"training.learning_rate": 5e-5}]


@pytest.mark.parametrize("scores", [(1.0, 1.0, 1.0, 1.0), (0.9, 0.895, 0.9, 0.892)])
def test_the_first_of_evaluations_that_are_alike_says_nothing_of_the_rate(scores):
    assert keys(replace(GOOD, best_step=125, evaluations=_scored(*scores))) == []


@pytest.mark.parametrize(
    ("metric", "last", "expected"),
    [
        ("f1_macro", 0.872, []),
        ("f1_macro", 0.90, [{"training.num_train_epochs": 6}]),
        ("loss", 0.90, []),
        ("loss", 0.80, [{"training.num_train_epochs": 6}]),
    ],
)
def test_a_score_that_still_improves_at_the_last_evaluation_asks_for_more(metric, last, expected):
    interval = (0.7, 0.95)
    evaluations = (*GOOD.evaluations[:3], Evaluation(500, last))
    facts = replace(GOOD, metric=metric, evaluations=evaluations, validation=interval, test=interval)
    assert keys(facts) == expected


def test_labels_that_are_never_given_get_thresholds_or_weights():
    silent = replace(run(SEVERAL, thresholds="fixed"), never_given=("c", "e"))
    assert keys(silent) == [{"decision.thresholds": "tuned", "decision.objective": "f1_micro"}]
    assert sentences(silent).startswith("'c', 'e' are never given, though validation has rows of them: a threshold")
    macro = replace(silent, metric="f1_macro")
    assert keys(macro) == [{"decision.thresholds": "tuned"}]
    assert keys(replace(SEVERAL, never_given=("c",))) == [{"loss.kind": "asymmetric"}]
    assert keys(replace(run(SEVERAL, weighted=True), never_given=("c",))) == []
    uneven = replace(GOOD, label_counts={**GOOD.label_counts, "Sports": 100}, never_given=("Sports",))
    assert keys(uneven) == [{"loss.class_weights": "balanced"}]
    assert sentences(uneven) == (
        "'Sports' is never given, though validation has rows of it: let rare labels count for more."
    )
    assert keys(replace(GOOD, never_given=("Sports",))) == []  # as frequent as the others: weights change nothing


def test_several_labels_at_one_half_get_thresholds():
    assert keys(run(SEVERAL, thresholds="fixed")) == [
        {"decision.thresholds": "tuned", "decision.objective": "f1_micro"}
    ]


@pytest.mark.parametrize(
    ("truncated", "tokens", "max_length", "expected"),
    [
        (80, 200, 64, []),
        (400, 200, 64, [{"model.max_length": 208}, {"model.truncation": "head_tail"}]),
        (400, 900, 64, [{"model.max_length": 512}, {"model.truncation": "head_tail"}]),
        (400, 900, 512, [{"model.truncation": "head_tail"}]),
        (400, 60, 64, [{"model.truncation": "head_tail"}]),
    ],
)
def test_texts_that_are_cut_get_room(truncated, tokens, max_length, expected):
    facts = replace(run(max_length=max_length), truncated=truncated, tokens=tokens)
    assert keys(facts) == expected
    assert not expected or f"20% of the training texts are cut at {max_length} tokens" in sentences(facts)


def test_behind_the_baseline_the_usual_schedule_is_tried():
    short = replace(run(epochs=2, learning_rate=2e-5, head_learning_rate=None), baseline="worse")
    usual = {
        "training.learning_rate": 1e-4,
        "training.head_learning_rate": 1e-3,
        "training.num_train_epochs": 4,
    }
    assert keys(short) == [usual]
    assert sentences(short).startswith("The linear baseline is ahead: train with what is usual for 2,000 rows")
    assert keys(replace(short, baseline="open")) == [usual]
    assert keys(replace(short, baseline="better")) == []
    assert keys(run(short, adapter=True)) == [{"training.num_train_epochs": 4}]
    assert keys(replace(short, verdict="overfitted", from_step=375, best_step=400))[0] == {
        name: value for name, value in usual.items() if name != "training.num_train_epochs"
    }
    assert keys(replace(GOOD, baseline="worse")) == [{}]
    assert "a larger checkpoint" in sentences(replace(GOOD, baseline="worse"))
    assert keys(replace(GOOD, baseline="open")) == []


def test_a_rate_that_never_fell_is_let_fall():
    assert keys(replace(run(lr_scheduler_type="constant"), last_rate=1.0)) == [{"training.lr_scheduler_type": "linear"}]
    stopped = replace(run(epochs=10), stopped_early=True, last_rate=0.6, best_step=375)
    assert keys(stopped) == [{"training.num_train_epochs": 3}]
    assert "of 60% of its peak" in sentences(stopped)
    assert keys(replace(stopped, last_rate=0.2)) == []


def test_one_evaluation_is_too_few():
    facts = replace(GOOD, verdict="unknown", evaluations=(Evaluation(500, 0.8),))
    assert keys(facts) == [{"training.eval_strategy": "steps", "training.eval_steps": 62}]
    assert "take one every 62 steps." in sentences(facts)
    few = replace(facts, steps=5, best_step=5, evaluations=(Evaluation(5, 0.8),))
    assert "take one after every step." in sentences(few)


def test_validation_far_above_test_is_cut_anew():
    apart = replace(GOOD, test=(0.6, 0.7))
    assert keys(apart) == [{"data.split.validation": 0.2}]
    assert keys(replace(apart, validation_rows=5000)) == []
    assert keys(replace(apart, pooled=False)) == [{"data.split.pooled": True}]
    assert keys(replace(GOOD, test=(0.95, 0.97))) == []
    assert keys(replace(GOOD, metric="loss", validation=(0.2, 0.3), test=(0.5, 0.6))) == [
        {"data.split.validation": 0.2}
    ]


def test_rows_that_were_left_out_come_first_of_all_rows():
    assert keys(run(subset=True)) == [{"data.subset.train": None}]
    # So many steps would be a part of a pass over all of them.
    open_length = {"training.max_steps": None, "training.num_train_epochs": None}
    assert keys(run(subset=True, max_steps=1)) == [{"data.subset.train": None, **open_length}]


def test_the_most_promising_comes_first_each_key_once_and_five_at_most():
    facts = replace(
        run(SEVERAL, epochs=1, learning_rate=1e-5, thresholds="fixed", subset=True),
        verdict="undertrained",
        never_given=("a",),
        baseline="worse",
        truncated=1000,
        tokens=300,
        test=(0.1, 0.2),
        evaluations=(Evaluation(500, 0.8),),
    )
    found = keys(facts)
    assert [next(iter(each)) for each in found] == [
        "training.num_train_epochs",  # and so the usual schedule is not named, which sets it too
        "decision.thresholds",
        "data.subset.train",
        "model.max_length",
        "training.eval_strategy",
    ]


def of_report(task="multiclass", *, keys=None, longest=None, **changes):
    """The facts of a synthetic report with a diagnosis."""
    report, _ = synthetic.report(task)
    diagnosis = Diagnosis(
        overfitted=False,
        from_step=None,
        spikes=(),
        sentence="",
        verdict="undertrained",
        learning_rate=LearningRate(peak=2e-4, peak_step=50, last=5e-5, shape="linear"),
    )
    config = CONFIG | {"data": {**CONFIG["data"], "task": task}}
    whole = replace(report, diagnosis=diagnosis, **changes)
    return run_facts.facts(whole, load(config, keys or {}), longest=longest), report


@pytest.mark.parametrize(
    ("in_force", "longest", "proposed"), [(64, None, 320), (64, 514, 320), (64, 130, 128), (128, 128, None)]
)
def test_a_longer_text_is_never_proposed_than_the_checkpoint_has_positions_for(in_force, longest, proposed):
    report, _ = synthetic.report("multiclass")
    train = report.data.splits["train"]
    long = replace(train, truncated=1000, tokens=replace(train.tokens, p95=310))
    data = replace(report.data, splits=report.data.splits | {"train": long})
    model = replace(report.model, max_length=in_force)
    facts, _ = of_report(data=data, model=model, longest=longest)
    found = [step.keys["model.max_length"] for step in next_steps(facts) if "model.max_length" in step.keys]
    assert found == ([] if proposed is None else [proposed])


def test_the_facts_are_those_of_report_and_config():
    facts, report = of_report(keys={"training.batch_size": 8, "data.subset.train": 9})
    assert facts.verdict == "undertrained"
    assert facts.last_rate == pytest.approx(0.25)
    assert facts.baseline == "better"
    assert facts.evaluations == (Evaluation(250, report.metrics["validation"]["f1_macro"]),)
    assert (facts.best_step, facts.steps, facts.rows, facts.truncated, facts.tokens) == (250, 500, 2000, 3, 71)
    assert (facts.settings.max_length, facts.settings.max_steps, facts.settings.subset) == (128, None, True)
    assert facts.usual == Usual(num_train_epochs=4, learning_rate=1e-4, head_learning_rate=1e-3)
    assert facts.validation == report.intervals["validation"]["f1_macro"]
    assert not facts.pooled  # validation is cut from train, test came as it is


ONE_LABEL = ((9, 0, 1, 0), (5, 0, 0, 0), (0, 0, 7, 0), (0, 0, 0, 0))
SEVERAL_LABELS = (((9, 1), (0, 9)), ((9, 0), (5, 0)), ((9, 1), (7, 0)), ((9, 0), (0, 0)), ((9, 0), (0, 4)))


@pytest.mark.parametrize(("task", "confusion"), [("multiclass", ONE_LABEL), ("multilabel", SEVERAL_LABELS)])
def test_labels_that_validation_has_and_nobody_gives_are_never_given(task, confusion):
    report, _ = synthetic.report(task)
    names = report.data.labels
    scores = {
        name: replace(report.per_label["validation"][name], support=support)
        for name, support in zip(names, (10, 5, 7, 0, 4), strict=False)
    }
    changed = replace(
        report,
        confusion=report.confusion | {"validation": confusion},
        per_label=report.per_label | {"validation": scores},
    )
    assert run_facts.never_given(changed) == (names[1],)


def test_the_report_keeps_the_steps_and_its_schema():
    facts, report = of_report()
    steps = next_steps(facts)
    assert {"training.num_train_epochs": 8} in [step.keys for step in steps]
    document = report_schema.document(replace(report, next_steps=steps))
    assert document["next_steps"][0] == {"sentence": steps[0].sentence, "keys": steps[0].keys}
    assert report_schema.validate(document) == []


EVERY = [
    replace(run(SEVERAL, thresholds="fixed", epochs=2), verdict="undertrained", truncated=900, tokens=300),
    replace(run(SEVERAL, learning_rate=1e-6, head_learning_rate=None), baseline="worse", never_given=("a",)),
    replace(GOOD, verdict="overfitted", from_step=3, best_step=100, evaluations=(), truncated=999, tokens=12),
    replace(run(lr_scheduler_type="constant", subset=True), last_rate=1.0, best_step=125, test=(0.1, 0.2)),
    replace(GOOD, label_counts=dict(zip(LABELS, (500, 3, 4, 5), strict=True)), never_given=LABELS[1:], pooled=False),
    replace(run(warmup_steps=0), verdict="diverged"),
]


@pytest.mark.parametrize("facts", EVERY, ids=range(len(EVERY)))
def test_every_step_can_be_put_over_the_config(facts):
    data = {**CONFIG["data"], "task": facts.task}
    if facts.task == "multilabel":
        data["label"] = {"column": "tags", "separator": "|"}
    config = Experiment.model_validate(load(CONFIG | {"data": data}).model_dump())
    steps = [step for step in next_steps(facts) if step.keys]
    assert steps
    for step in steps:
        changed = load(config, step.keys)
        for key, value in step.keys.items():
            found = changed
            for part in key.split("."):
                found = getattr(found, part)
            assert found == value
