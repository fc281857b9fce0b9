"""Train configs in small and evaluate the runs, two at a time.

    python scripts/smoke.py [CONFIG ...]

Without a name it takes every config in configs/. To import the libraries takes longer than such a run. So each command
is forked from a process that has them, and is still a process of its own. Those of the first config are started as a
user starts them. After a failure no other is started, and the exit code is 1.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests" / "support"))

from processes import Command  # noqa: E402 - in the folder named above

AT_A_TIME = 2


class Failed(Exception):
    """A command ended with another code than 0; carries what it printed."""


def commands(config: Path, run: Path) -> list[list[str]]:
    """What is done with a config."""
    return [["train", str(config), "--smoke", "--offline", "--quiet", "--output", str(run)], ["eval", str(run)]]


def started(arguments: Sequence[str], log: Path) -> int:
    """The exit code of `ftcls` as a user calls it."""
    with log.open("ab") as file:
        return subprocess.run(["ftcls", *arguments], stdout=file, stderr=file, check=False).returncode


def forked(arguments: Sequence[str], log: Path) -> int:
    """The exit code of `ftcls` in a process that has the libraries."""
    return Command(arguments, cwd=Path.cwd(), out=log).wait()


def smoke(config: Path, folder: Path, *, first: bool) -> str:
    """What training and evaluating a config printed.

    Raises:
        Failed: one of them did not end well.
    """
    log = folder / f"{config.stem}.log"
    for arguments in commands(config, folder / config.stem):
        code = (started if first else forked)(arguments, log)
        if code:
            command = " ".join(["ftcls", *arguments])
            raise Failed(f"{log.read_text(encoding='utf-8')}\nexit code {code}: {command}")
    return log.read_text(encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what each config's commands printed, as it ends; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", type=Path, metavar="CONFIG", help="a file; default: all of configs/")
    given = parser.parse_args(arguments).configs
    configs = [path.resolve() for path in given] or sorted((REPOSITORY / "configs").glob("*.yaml"))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_A_TIME) as pool:
        runs = [pool.submit(smoke, config, Path(folder), first=number == 0) for number, config in enumerate(configs)]
        for done in as_completed(runs):
            try:
                print(done.result(), end="", flush=True)
            except Failed as failure:
                pool.shutdown(cancel_futures=True)
                print(failure, file=sys.stderr)
                return 1
    print(f"{len(configs)} configs trained and evaluated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
