"""How a figure is written."""

import pytest

from ftcls.reporting.figures_as_text import duration, number, signed


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


@pytest.mark.parametrize(("seconds", "words"), [(4.04, "4.0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_a_duration_is_in_two_units(seconds, words):
    assert duration(seconds) == words
