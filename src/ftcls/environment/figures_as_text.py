"""How a figure is written, on the terminal and on a page.

A score is ``.8125 (.7056-.9811)``, a difference ``+.0340 (+.0021 to +.0659)``, a p-value ``p = .023``, a learning rate
``3e-5``. Files that programs read have plain numbers.
"""

import re
from collections.abc import Sequence
from typing import Final

_LEAST_P: Final = 0.0005
"""p-values below it would be rounded to none, which no p-value is."""
_SMALL: Final = 0.01
"""Numbers of any size have an exponent below it."""
_NUMBER: Final = re.compile(r"\d+(\.\d*)?([eE][-+]?\d+)?")


def number(value: float | None, digits: int = 4) -> str:
    """A score, a probability or a loss: without the zero before the point, never ``-0``; ``-`` where there is none."""
    return "-" if value is None else _bare(f"{value:z.{digits}f}")


def signed(value: float, digits: int = 4) -> str:
    """A difference, with its sign; what is rounded to zero has a plus."""
    return _bare(f"{value:+z.{digits}f}")


def interval(bounds: Sequence[float] | None, digits: int = 4) -> str:
    """``.7056-.9811``; ``-.0120 to .3400`` where it reaches below zero."""
    if bounds is None:
        return "-"
    low, high = (number(each, digits) for each in bounds)
    return f"{low}{' to ' if low.startswith('-') else '-'}{high}"


def signed_interval(bounds: Sequence[float], digits: int = 4) -> str:
    """Of a difference: ``+.0021 to +.0659``."""
    return f"{signed(bounds[0], digits)} to {signed(bounds[1], digits)}"


def with_interval(value: float | None, bounds: Sequence[float] | None) -> str:
    """A score with its interval: ``.8125 (.7056-.9811)``."""
    return number(value) if bounds is None else f"{number(value)} ({interval(bounds)})"


def signed_with_interval(value: float, bounds: Sequence[float]) -> str:
    """A difference with its interval: ``+.0340 (+.0021 to +.0659)``."""
    return f"{signed(value)} ({signed_interval(bounds)})"


def p_value(p: float | None) -> str:
    """``.023`` or ``< .001``, for the column of a table."""
    return "< .001" if p is not None and p < _LEAST_P else number(p, 3)


def p_equals(p: float) -> str:
    """``p = .023`` or ``p < .001``, in a sentence."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def significant(value: float, digits: int = 4) -> str:
    """A number of any size, such as a learning rate, as one writes it in a config: ``1e-4``, ``3e-5``, ``0.05``.

    With at most so many significant digits, and an exponent below 0.01.
    """
    rounded = float(f"{value:.{digits}g}")
    if not 0 < abs(rounded) < _SMALL:
        return f"{rounded:.{digits}g}" if abs(rounded) < 10**digits else f"{rounded:.0f}"
    mantissa, exponent = f"{rounded:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def setting(label: str) -> str:
    """A value of a config as text: a small number as `significant` writes it, however it was written, else as it is."""
    if not _NUMBER.fullmatch(label):
        return label
    value = float(label)
    return significant(value, 15) if 0 < value < _SMALL else label


def duration(seconds: float) -> str:
    """``45.0 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _bare(text: str) -> str:
    sign = text[0] if text[0] in "+-" else ""
    return sign + text.removeprefix(sign).removeprefix("0" if text.removeprefix(sign).startswith("0.") else "")
