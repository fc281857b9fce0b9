"""Finished runs of figures made by chance, and their pages."""

import json
from dataclasses import replace

import numpy as np

import synthetic
from ftcls.reporting import run_page
from ftcls.runs import predictions, report_schema, speed_section
from ftcls.runs import predictions as prediction_files
from ftcls.runs.directory import RunDir

HOSTILE = "<script>alert('x')</script> & \"$5^2$\""


HISTORY = (
    {"step": 125, "loss": 0.9, "learning_rate": 2e-5, "grad_norm": 1.5, "epoch": 0.5},
    {"step": 250, "loss": 0.5, "learning_rate": 1e-5, "grad_norm": 2.5, "eval_loss": 0.6, "eval_f1_macro": 0.7},
)


def make(folder, task, *, history=HISTORY, texts=True, change=lambda report, made: (report, made), **options):
    """A finished run of figures made by chance."""
    run = RunDir(folder / "run")
    run.path.mkdir()
    report, made = change(*synthetic.report(task, **options))
    for name, rows in made.items():
        about = {}
        if texts:
            about = {
                "texts": [f"{HOSTILE} row {i} " + "long " * (i % 3 * 60) for i in range(len(rows))],
                "lengths": np.arange(len(rows)) % 97 + 2,
                "truncated": np.arange(len(rows)) % 5 == 0,
            }
        prediction_files.write(run.predictions / f"{name}.parquet", rows, **about)
    run.history.write_text("".join(json.dumps(line) + "\n" for line in history), encoding="utf-8")
    run.config.write_text("name: made\n", encoding="utf-8")
    report_schema.write_report(run, report)
    return run


def read(run):
    run_page.report(run.path)
    return run.page.read_text(encoding="utf-8")


SPEED = speed_section.Speed(speed_section.Latency(4.0, 9.0), texts=50, device="cpu", threads=2)


CONFIG = """\
name: {name}
seed: {seed}
data: {{source: {source}}}
model: {{checkpoint: "{checkpoint}"}}
"""


SOURCES = {"binary": "imdb", "multiclass": "ag_news", "multilabel": "reuters21578"}


def made(
    folder, *, name="one", seed=1, task="multiclass", skill=1.5, checkpoint="small", noise=0, speed=SPEED, **change
):
    """A finished run whose predictions are by chance; the same gold labels whatever the skill."""
    report, _ = synthetic.report(task)
    test = synthetic.predictions(task, skill=skill)
    if noise:
        rng = np.random.default_rng(noise)
        rows = rng.permutation(len(test))[:8]
        predicted = test.predicted.copy()
        predicted[rows] = rng.permutation(predicted[rows])
        test = replace(test, predicted=predicted)
    test = replace(test, **change)
    poor = synthetic.predictions(task, skill=0.2)
    scores = report_schema.scores(test, seed=0)
    path = folder / f"{name}-{seed}"
    run = RunDir(path)
    run.predictions.mkdir(parents=True)
    for file, said in (
        ("test", test),
        ("validation", test),
        ("test-baseline", replace(poor, rows=test.rows, gold=test.gold)),
    ):
        predictions.write(run.predictions / f"{file}.parquet", said)
    run.config.write_text(CONFIG.format(name=name, seed=seed, source=SOURCES[task], checkpoint=checkpoint))
    whole = replace(
        report,
        run=replace(report.run, name=name, seed=seed),
        metrics={**report.metrics, "test": scores.metrics},
        intervals={**report.intervals, "test": scores.intervals},
        speed=speed,
    )
    report_schema.write_report(run, whole)
    return str(path)
