"""How a figure is written, and that it is written so wherever people read one."""

import html
import json
import re

import pytest
from rich.console import Console

import synthetic
from ftcls.environment.figures_as_text import (
    duration,
    interval,
    number,
    p_equals,
    p_value,
    setting,
    signed,
    signed_with_interval,
    significant,
    with_interval,
)
from ftcls.reporting import compare_page, run_tables
from ftcls.reporting.compare import compare
from ftcls.search import page, tables
from ftcls.search import sweep as sweeping
from made_reports import made, make, read
from sweeping import Instant, finish, planned

RATES = """\
name: rates
base: base.yaml
axes:
  training.learning_rate: [0.0001, 3e-5]
  training.weight_decay: [0.01, 0.1]
"""
# A number below one with its zero and three digits or more, an exponent as Python writes it, a p-value that is none.
OTHERWISE = re.compile(r"(?<![\w.,/-])[-+]?0\.\d{3,}|\d\.?\d*e[-+]0\d|p = \.0+\b")


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.81254, ".8125"), (1.0, "1.0000"), (-0.012, "-.0120"), (12.5, "12.5000"), (-0.00001, ".0000"), (None, "-")],
)
def test_a_number_has_no_zero_before_the_point_and_no_sign_when_it_is_none(value, written):
    assert number(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.034, "+.0340"), (-0.034, "-.0340"), (-1.5, "-1.5000"), (-0.00001, "+.0000"), (-0.0, "+.0000")],
)
def test_a_difference_has_its_sign_and_never_minus_zero(value, written):
    assert signed(value) == written


def test_digits_are_as_asked_for():
    assert (number(-0.004, 2), signed(0.126, 2)) == (".00", "+.13")


@pytest.mark.parametrize(
    ("bounds", "written"),
    [((0.7056, 0.98114), ".7056-.9811"), ((-0.012, 0.34), "-.0120 to .3400"), ((-0.00001, 1), ".0000-1.0000")],
)
def test_an_interval_has_a_hyphen_where_none_is_taken_for_a_sign(bounds, written):
    assert interval(bounds) == written
    assert with_interval(0.5, bounds) == f".5000 ({written})"


def test_a_difference_has_its_interval_behind_it():
    assert signed_with_interval(0.058, (0.0076, 0.1121)) == "+.0580 (+.0076 to +.1121)"
    assert with_interval(None, None) == interval(None) == "-"


@pytest.mark.parametrize(
    ("p", "written"),
    [(0.0228, "p = .023"), (0.7286, "p = .729"), (1.0, "p = 1.000"), (0.0005, "p = .001"), (0.00049, "p < .001")],
)
def test_a_p_value_has_three_digits_and_is_never_none(p, written):
    assert p_equals(p) == written
    assert p_value(p) == written.removeprefix("p ").removeprefix("= ")
    assert p_value(None) == "-"


@pytest.mark.parametrize(
    ("value", "written"),
    [(3e-5, "3e-5"), (0.0001, "1e-4"), (2.5e-4, "2.5e-4"), (0.009999, "9.999e-3"), (0.0099999, "0.01"), (0.05, "0.05"),
     (16.0, "16"), (0.0, "0"), (-2e-6, "-2e-6"), (1234.5678, "1235"), (123456.0, "123500"), (float("nan"), "nan")],
)  # fmt: skip
def test_a_number_of_any_size_is_as_in_a_config(value, written):
    assert significant(value) == written


@pytest.mark.parametrize(
    ("label", "written"),
    [("0.0001", "1e-4"), ("1e-4", "1e-4"), ("3.0E-05", "3e-5"), ("0.00012345", "1.2345e-4"), ("0.1", "0.1"),
     ("800", "800"), ("0.0", "0.0"), ("scratch:bert", "scratch:bert"), ("0.0.1", "0.0.1"), ("null", "null")],
)  # fmt: skip
def test_a_small_setting_has_one_spelling_and_others_stay_as_they_are(label, written):
    assert setting(label) == written


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.04, "4.0 s"), (59.96, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_a_duration_is_in_two_units(seconds, words):
    assert duration(seconds) == words


def printed(renderable):
    console = Console(width=100, record=True)
    console.print(renderable)
    return console.export_text()


def seen(document):
    """What stands on a page or is said of its plots; the numbers along the axes of a plot are matplotlib's."""
    points = [json.loads(html.unescape(each)) for each in re.findall(r'data-points="([^"]*)"', document)]
    shown = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", document, flags=re.DOTALL)
    labels = re.findall(r'(?:title|aria-label|alt)="([^"]*)"', shown)
    return html.unescape(
        " ".join([re.sub(r"<[^>]+>", " ", shown), *labels, *(each[2] for all in points for each in all)])
    )


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What people read of a comparison, a sweep and a run, by name."""
    folder = tmp_path_factory.mktemp("outputs")
    others = {"b": {"skill": 0.8}, "c": {"noise": 3}}
    runs = [made(folder, name="a"), *(made(folder, name=name, checkpoint=name, **how) for name, how in others.items())]
    compared = compare(runs)
    compare_page.write(compared, folder / "out")
    plan = planned(folder / "sweep", RATES)
    for at, trial in enumerate(plan.trials):
        finish(trial, skill=1.0 + 0.3 * at)
    swept = sweeping.run(plan, Instant(plan.trials))
    report, _ = synthetic.report("multiclass")
    return {
        "compare on the terminal": printed(compare_page.summary(compared)),
        "compare.md": (folder / "out" / "compare.md").read_text(encoding="utf-8"),
        "compare.html": seen((folder / "out" / "compare.html").read_text(encoding="utf-8")),
        "sweep on the terminal": printed(tables.summary(swept.results, most=9)),
        "sweep page": seen((swept.folder / page.FILE).read_text(encoding="utf-8")),
        "report page": seen(read(make(folder, "multiclass"))),
        "run on the terminal": printed(run_tables.summary(report, verbose=True)),
    }


def test_figures_are_written_alike_wherever_people_read_them(outputs):
    for name, text in outputs.items():
        assert re.search(r"(?<![\d.])\.\d{4}\b", text), f"{name} has no score"
        assert not OTHERWISE.findall(text), name


def test_a_learning_rate_has_one_spelling_in_a_sweep(outputs):
    for name in ("sweep on the terminal", "sweep page"):
        assert {"1e-4", "3e-5"} <= set(re.findall(r"\d\.?\d*e-\d+|0\.0001", outputs[name])), name
        assert "0.0001" not in outputs[name].replace("-0.0001_", ""), name  # the name of a trial's folder
