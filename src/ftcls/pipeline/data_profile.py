"""What a config's data is like, before an hour of training is spent on it (`ftcls.inspect_data`)."""

import itertools
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftcls.config.load import Config, Overrides, load
from ftcls.config.schema import Experiment
from ftcls.data.checks import leaks
from ftcls.data.corpus import Corpus, Split, SplitName, fingerprint
from ftcls.data.read import read
from ftcls.data.split import label_sets, text_ids
from ftcls.data.summary import (
    Leaking,
    Lengths,
    Overview,
    Profile,
    Shared,
    SplitProfile,
    groups_of,
    votes_of,
    weights_of,
)
from ftcls.data.texts import is_blank, mapped, parts
from ftcls.errors import UnavailableError
from ftcls.model.loading import LONGEST
from ftcls.model.tokenize import unknown_tokens
from ftcls.pipeline import data_checks as checks
from ftcls.pipeline.own_data import Data, with_data
from ftcls.pipeline.prepare import prepare

log = logging.getLogger(__name__)


def inspect_data(
    config: Config, *, overrides: Overrides = (), data: Data | None = None, thorough: bool = False
) -> Profile:
    """Count labels, lengths, repeats and leaks, and look for odd texts and wrong labels, before a model is trained.

    Linear in the rows. Token ids and near duplicates go to the cache, where training finds them.

    Args:
        config: a file, the name of a shipped config, its sections as nested mappings, or an experiment.
        overrides: put over it: ``{"data.subset.train": 1000}``, or ``key.path=value``.
        data: as for `ftcls.train`.
        thorough: judge the labels of all rows, however many there are.

    Raises:
        FtclsError: the data cannot be had or used. A tokenizer that cannot be had is no error: words are counted then.
    """
    with tempfile.TemporaryDirectory() as folder:
        experiment = with_data(load(config, overrides), data, Path(folder))
        corpus = read(experiment.data, seed=experiment.seed)
    measured = _measure(corpus, experiment)
    rows = _rows(corpus, np.concatenate(list(measured.lengths.values())), measured.max_length)
    used = _overview(rows, _used(corpus), corpus.labels)
    splits = {
        str(name): replace(
            used.splits[name],
            weights=weights_of(split),
            votes=votes_of(split, corpus.task, corpus.labels),
            groups=groups_of(split),
        )
        for name, split in corpus.splits.items()
    }
    return Profile(
        name=experiment.name,
        source=corpus.source,
        fingerprint=fingerprint(corpus),
        task=corpus.task,
        labels=corpus.labels,
        positive_label=corpus.positive_label,
        checkpoint=experiment.model.checkpoint,
        max_length=measured.max_length,
        unit=measured.unit,
        used=replace(used, splits=splits),
        given=_overview(rows, _given(corpus), corpus.labels),
        checks=checks.found(
            corpus,
            lengths=measured.lengths,
            unknown=measured.unknown,
            max_length=measured.max_length,
            truncation=experiment.model.truncation,
            seed=experiment.seed,
            work=None if thorough else checks.USUAL,
        ),
        leaks={name: _leaking(leaks.leaks(corpus, name)) for name in corpus.splits if name != "train"},
        weight=corpus.weight,
        group=corpus.group,
    )


def _leaking(found: leaks.Leaks) -> Leaking:
    return Leaking(len(found.equal), int(found.equal.sum()), int(found.near.sum()))


@dataclass(frozen=True, eq=False)
class _Rows:
    """What is known of all n rows, the splits one after the other."""

    text: NDArray[np.int64]
    """[n] equal texts have equal numbers; white space at the ends does not tell texts apart."""
    label: NDArray[np.int64]
    """[n] equal labels, or sets of labels, have equal numbers."""
    hot: NDArray[np.bool_]
    """[n, k]"""
    length: NDArray[np.int64]
    truncated: NDArray[np.bool_]
    empty: NDArray[np.bool_]

    def take(self, rows: NDArray[np.int64]) -> "_Rows":
        return _Rows(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class _Measured:
    """The texts as a tokenizer reads them."""

    lengths: Mapping[SplitName, NDArray[np.int64]]
    max_length: int
    unit: str
    """Of both."""
    unknown: Mapping[SplitName, NDArray[np.int64]]
    """Tokens that it does not know; empty where there is none to ask."""


def _measure(corpus: Corpus, experiment: Experiment) -> _Measured:
    try:
        prepared = prepare(corpus, experiment.model, clean=experiment.data.clean)
    except UnavailableError as error:
        log.warning("words are counted, not tokens: %s", str(error).splitlines()[0])
        words = {
            name: np.array([sum(len(part.split()) for part in parts(text)) for text in split.texts], dtype=np.int64)
            for name, split in corpus.splits.items()
        }
        return _Measured(words, experiment.model.max_length or LONGEST, "words", unknown={})
    encoded = {name: prepared.encoded[name] for name in corpus.splits}
    return _Measured(
        {name: rows.full_lengths.astype(np.int64) for name, rows in encoded.items()},
        prepared.settings.max_length,
        "tokens",
        unknown={name: unknown_tokens(rows, prepared.tokenizer) for name, rows in encoded.items()},
    )


def _rows(corpus: Corpus, lengths: NDArray[np.int64], max_length: int) -> _Rows:
    texts = [mapped(text, str.strip) for split in corpus.splits.values() for text in split.texts]
    targets = np.concatenate([split.targets for split in corpus.splits.values()])
    hot = targets > 0 if targets.ndim == 2 else targets[:, None] == np.arange(len(corpus.labels))
    return _Rows(
        text=text_ids(texts),
        label=label_sets(hot) if targets.ndim == 2 else targets.astype(np.int64),
        hot=hot,
        length=lengths,
        truncated=lengths > max_length,
        empty=np.fromiter(map(is_blank, texts), dtype=bool, count=len(texts)),
    )


Places = Mapping[str, tuple[str, NDArray[np.int64]]]
"""Origin and rows of each split."""


def _used(corpus: Corpus) -> Places:
    return {name: (split.origin or name, rows) for name, split, rows in _numbered(corpus)}


def _given(corpus: Corpus) -> Places:
    """The splits that the rows had in the source, in its order."""
    parts: dict[str, list[NDArray[np.int64]]] = {}
    for name, split, rows in _numbered(corpus):
        parts.setdefault(split.origin.removeprefix("cut from ") or name, []).append(rows)
    # Cut pieces lie in the order of the cut; the row numbers put them back.
    numbers = np.concatenate([split.rows for split in corpus.splits.values()])
    whole = {name: np.concatenate(rows) for name, rows in parts.items()}
    return {name: (name, rows[np.argsort(numbers[rows], kind="stable")]) for name, rows in whole.items()}


def _numbered(corpus: Corpus) -> Iterator[tuple[str, Split, NDArray[np.int64]]]:
    start = 0
    for name, split in corpus.splits.items():
        yield name, split, np.arange(start, start + len(split))
        start += len(split)


def _overview(rows: _Rows, places: Places, labels: Sequence[str]) -> Overview:
    parts = {name: (origin, rows.take(chosen)) for name, (origin, chosen) in places.items()}
    pairs = (_shared(a, parts[a][1], b, parts[b][1]) for a, b in itertools.combinations(parts, 2))
    return Overview(
        splits={name: _split(part, origin, labels) for name, (origin, part) in parts.items()},
        shared=tuple(pair for pair in pairs if pair.texts),
    )


def _split(rows: _Rows, origin: str, labels: Sequence[str]) -> SplitProfile:
    _, first, number = np.unique(rows.text, return_index=True, return_inverse=True)
    earlier = first[number]
    per_row = np.bincount(rows.hot.sum(axis=1))
    p50, p95, p99, longest = np.percentile(rows.length, [50, 95, 99, 100]).astype(int).tolist()
    return SplitProfile(
        examples=len(rows.text),
        origin=origin,
        label_counts=dict(zip(labels, rows.hot.sum(axis=0).tolist(), strict=True)),
        labels_per_row={count: int(n) for count, n in enumerate(per_row) if n},
        lengths=Lengths(p50, p95, p99, longest),
        truncated=int(rows.truncated.sum()),
        empty=int(rows.empty.sum()),
        duplicates=len(rows.text) - len(first),
        duplicates_with_other_labels=int((rows.label != rows.label[earlier]).sum()),
    )


def _shared(first: str, a: _Rows, second: str, b: _Rows) -> Shared:
    both = np.intersect1d(a.text, b.text)
    differing = set(_labelled(a, both)) ^ set(_labelled(b, both))
    return Shared(
        first=first,
        second=second,
        texts=len(both),
        with_other_labels=len({text for text, _ in differing}),
        rows=int(np.isin(b.text, both).sum()),
    )


def _labelled(rows: _Rows, texts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The pairs (text, labels) of the rows with one of these texts."""
    chosen = np.isin(rows.text, texts)
    return list(zip(rows.text[chosen].tolist(), rows.label[chosen].tolist(), strict=True))
