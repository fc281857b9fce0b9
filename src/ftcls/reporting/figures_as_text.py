"""How a figure is written, on the terminal and on the page: ``.8125``, ``-.0120``, ``+.0340``; never ``-0``."""

from collections.abc import Sequence


def number(value: float | None, digits: int = 4) -> str:
    """Without the zero before the point; ``-`` where there is none."""
    return "-" if value is None else _bare(f"{value:z.{digits}f}")


def signed(value: float, digits: int = 4) -> str:
    """With its sign; what is rounded to zero has a plus."""
    return _bare(f"{value:+z.{digits}f}")


def interval(bounds: Sequence[float] | None, digits: int = 4) -> str:
    """``.7056-.9811``."""
    return "-" if bounds is None else f"{number(bounds[0], digits)}-{number(bounds[1], digits)}"


def duration(seconds: float) -> str:
    """``45.0 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _bare(text: str) -> str:
    sign = text[0] if text[0] in "+-" else ""
    return sign + text.removeprefix(sign).removeprefix("0" if text.removeprefix(sign).startswith("0.") else "")
