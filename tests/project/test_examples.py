"""The examples on small runs: what goes in, what comes out."""

import csv
import io
import os
import re
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import ftcls
import made_runs
from ftcls.inference.classifier import Classifier
from ftcls.runs import predictions

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@pytest.fixture
def example(monkeypatch, capsys):
    def run(name, *arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def archive(path, reviews):
    """IMDb's form: a film for every review, by its number."""
    with tarfile.open(path, "w:gz") as tar:

        def add(name, text):
            member = tarfile.TarInfo(f"aclImdb/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))

        for label in ("neg", "pos"):
            own = [(film, text) for each, film, text in reviews if each == label]
            for number, (_, text) in enumerate(own):
                add(f"test/{label}/{number}_1.txt", text)
            add(f"test/urls_{label}.txt", "".join(f"http://www.imdb.com/title/{f}/usercomments\n" for f, _ in own))
    return path


def test_film_reviews_stand_beside_their_films(tmp_path, example):
    reviews = [(label, f"tt{film}", f"{label} film\n{film}") for film in (11, 22, 33) for label in ("neg", "pos")]
    out = example("film_reviews.py", archive(tmp_path / "a.tar.gz", reviews), "--films", 2, "--reviews", 2)
    lines = [line.split("\t") for line in out.splitlines()]
    assert len(lines) == 4
    assert len({film for film, _ in lines}) == 2
    assert all(re.fullmatch(rf"(neg|pos) film {film[2:]}", text) for film, text in lines)
    table = example("film_reviews.py", tmp_path / "a.tar.gz", "--films", 2, "--reviews", 2, "--csv")
    rows = list(csv.reader(io.StringIO(table)))
    assert rows[0] == ["show", "text"]
    assert [[film, " ".join(text.split())] for film, text in rows[1:]] == lines


def test_reviews_are_flagged_and_counted_by_show(tmp_path, example):
    place = made_runs.make(tmp_path / "run", task="binary")
    texts = made_runs.texts(20, seed=3)[:-2]
    lines = "".join(f"show{i % 2}\t{text}\n" for i, text in enumerate(texts)) + "no tab\n"
    out = example("reviews_triage.py", place.path, "--label", "bad", "--from", "0.5", stdin=lines)
    said = [each.labels == ("bad",) for each in Classifier.from_pretrained(place.path).classify(texts)]
    flags, _, table = out.partition("\n\n")
    assert len(flags.splitlines()) == sum(said) > 0
    for show in (0, 1):
        share = sum(said[show::2]) / 9
        assert re.search(rf"show{show} +9  {share:.0%}  \(\d+% to \d+%\)", table)


def test_news_go_to_a_desk_or_to_a_person(tmp_path, example):
    place = made_runs.make(tmp_path / "run")
    (place.predictions / "validation.parquet").rename(place.predictions / "test.parquet")
    best = predictions.read(place.predictions / "test.parquet").probabilities.max(axis=1)
    texts = made_runs.texts()[:10]
    sure = sorted(best[:10])[5]
    out = example("news_routing.py", place.path, "--sure", sure, stdin="\n".join(texts))
    assert out.startswith(f"On 60 test texts: {(best >= sure).mean():.1%} are routed")
    assert out.count("a person") == 5


@pytest.mark.slow
def test_comments_get_their_labels(tmp_path):
    place = made_runs.make(tmp_path / "run", task="multilabel")
    command = tmp_path / "ftcls"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ftcls "$@"\n')
    command.chmod(0o755)
    source, path = str(Path(ftcls.__file__).parents[1]), f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(EXAMPLES / "emotion_tagging.sh"), str(place.path), "--threshold", "0"],
        input="word1 word2\nword3\n",
        env={**os.environ, "PYTHONPATH": source, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["joy|anger|fear", "word1", "word2"],
        ["joy|anger|fear", "word3"],
    ]
