"""Five small packages in the place of those whose docstrings `data.source: docstrings` reads for half a minute."""

from pathlib import Path

from ftcls.data.readers.docstrings import LABELS

WORDS = "words enough for an example here"


def write(folder: Path) -> dict[str, str]:
    """Write them, with all that must be left out; the root of each."""

    def put(path: str, text: str) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")

    for name in LABELS:
        for number in range(12):
            methods = "".join(
                f'    def m{i}(self):\n        """{name[::-1]} {number} {i} {WORDS}."""\n' for i in range(40)
            )
            put(f"{name}/f{number}.py", f'class A:\n    """Too short."""\n{methods}')
    put(
        "numpy/a.py",
        f'"""Module {WORDS}."""\ndef shared():\n    """Shared, {WORDS}!"""\ndef _no():\n    """Hidden {WORDS}."""\n',
    )
    inner = f'class _P:\n    def f(self):\n        """Inner {WORDS}."""\n'
    branch = f'if 1:\n    async def g():\n        """shared {WORDS}"""\n'
    put("pandas/a.py", inner + branch)
    for left_out in ("tests/a.py", "testing/a.py", "x/test_a.py", "x/conftest.py", "_vendor/a.py", "externals/a.py"):
        put(f"torch/{left_out}", f'def f():\n    """Left out {WORDS}."""\n')
    put("torch/broken.py", "def f(:\n")
    put("torch/old.py", f'def f():\n    """Twice {WORDS}."""\ndef g():\n    """twice, {WORDS}"""\n')
    return {name: str(folder / name) for name in LABELS}
