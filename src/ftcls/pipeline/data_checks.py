"""All that is checked about a corpus (`ftcls data`, and every report): each finding with examples and what to do."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.data.checks import leaks, outliers
from ftcls.data.checks.pooled import Pooled
from ftcls.data.corpus import Check, Corpus, SplitName
from ftcls.data.split import joined
from ftcls.environment.figures_as_text import number
from ftcls.pipeline.label_noise import Judged, judge

BRIEF: Final = 20_000_000
"""Work spent on label noise beside a training: some five seconds of one core."""
USUAL: Final = 200_000_000
"""Work of `ftcls data`: a minute."""
_CUT_INFO, _CUT_WARNING = 0.05, 0.25
"""Shares of truncated texts in a split from which on they are a finding, and a warning."""
UNKNOWN_INFO, UNKNOWN_WARNING = 0.02, 0.1
"""Shares of unknown tokens in a split from which on they are a finding, and a warning."""
_MOST_UNKNOWN = 5
"""Texts with unknown tokens shown as examples."""
_SUSPECTS = 20
"""Suspect labels shown as examples."""


def found(
    corpus: Corpus,
    *,
    lengths: Mapping[SplitName, NDArray[np.integer]],
    unknown: Mapping[SplitName, NDArray[np.integer]],
    max_length: int,
    truncation: str,
    seed: int,
    work: int | None,
    judged: Judged | None = None,
) -> tuple[Check, ...]:
    """Every finding, those that reading the corpus brought first.

    Args:
        corpus: all splits.
        lengths: [n] tokens of each text before truncation, by split.
        unknown: [n] tokens of each text that the tokenizer does not know, by split; of no split where nobody knows.
        max_length: tokens that the model reads.
        truncation: what is kept of a longer text: head, tail or head_tail.
        seed: draws the folds of the label check.
        work: how much to read for it, see `noise.judge`; None: everything.
        judged: the rows whose labels were judged already; None: a linear model judges them here.
    """
    pooled = Pooled(corpus.splits)
    group = leaks.groups(pooled.texts)
    return (
        *corpus.checks,
        *leaks.checks(pooled, group),
        *outliers.checks(pooled),
        *_truncated(lengths, max_length, truncation),
        *_unknown(pooled, unknown, lengths, max_length),
        *_noise(
            corpus, pooled, judged or _by_linear_model(corpus, pooled, group, seed=seed, work=work), judged is None
        ),
    )


def _truncated(lengths: Mapping[SplitName, NDArray[np.integer]], max_length: int, truncation: str) -> Iterator[Check]:
    cut = {name: int((length > max_length).sum()) for name, length in lengths.items()}
    shares = {name: cut[name] / len(length) for name, length in lengths.items()}
    worst = max(shares.values())
    if worst < _CUT_INFO:
        return
    examples = tuple(f"{name}: {cut[name]:,} ({share:.1%})" for name, share in shares.items())
    longest = lengths[max(shares, key=lambda name: shares[name])]
    advice = (
        f"Texts longer than model.max_length: {max_length}, whose {_LOST[truncation]} the model does not see. "
        f"{int(np.quantile(longest, 0.95)):,} would hold 95 % of them, if the checkpoint reads as many"
    )
    advice += "." if truncation == "head_tail" else "; model.truncation: head_tail keeps beginning and end."
    severity: Literal["info", "warning"] = "warning" if worst >= _CUT_WARNING else "info"
    yield Check("truncated_texts", severity, sum(cut.values()), examples, advice)


def _unknown(
    pooled: Pooled,
    unknown: Mapping[SplitName, NDArray[np.integer]],
    lengths: Mapping[SplitName, NDArray[np.integer]],
    max_length: int,
) -> Iterator[Check]:
    if not unknown:
        return
    read = {name: np.minimum(length, max_length) for name, length in lengths.items()}
    shares = {name: counts.sum() / max(1, read[name].sum()) for name, counts in unknown.items()}
    worst = max(shares.values())
    if worst < UNKNOWN_INFO:
        return
    counts, of = (np.concatenate([by_split[name] for name in pooled.names]) for by_split in (unknown, read))
    rows = np.flatnonzero(counts)
    rows = rows[np.argsort(-counts[rows] / of[rows], kind="stable")]
    part = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    examples = tuple(
        f"{pooled.shown(row)} ({counts[row]} of {of[row]} tokens)" for row in rows[:_MOST_UNKNOWN].tolist()
    )
    advice = (
        f"Tokens that the checkpoint's tokenizer does not know ({part}): the model reads one mark for all of them. "
        "Is the text in a script or language that the checkpoint was not trained on? Then take one that was, such as "
        "xlm-roberta-base. Or does it hold signs that data.clean could replace?"
    )
    severity: Literal["info", "warning"] = "warning" if worst >= UNKNOWN_WARNING else "info"
    yield Check("unknown_tokens", severity, len(rows), examples, advice, pooled.by_split(rows))


_LOST = {"head": "end", "tail": "beginning", "head_tail": "middle"}


def _by_linear_model(
    corpus: Corpus, pooled: Pooled, group: NDArray[np.int64], *, seed: int, work: int | None
) -> Judged | None:
    return judge(
        pooled.texts,
        pooled.targets,
        task=corpus.task,
        k=len(corpus.labels),
        groups=_together(pooled, group),
        seed=seed,
        work=work,
    )


def _noise(corpus: Corpus, pooled: Pooled, judged: Judged | None, linear: bool) -> Iterator[Check]:
    if judged is None or not judged.suspicion.candidate.any():
        return
    ranked = judged.suspicion.ranked()
    examples = tuple(_suspect(corpus, pooled, judged, index) for index in ranked[:_SUSPECTS].tolist())
    part = (
        f"{len(judged.rows):,} of {len(pooled.texts):,} rows were judged"
        if len(judged.rows) < len(pooled.texts)
        else "all rows were judged"
    )
    advice = (
        f"Labels that {'a linear model' if linear else 'the model'} trained on other rows finds improbable, the most "
        "suspect first: wrong labels stand there, and texts that are hard for it. Read the first before you believe "
        f"the count; {part}."
    )
    yield Check("label_noise", "info", len(ranked), examples, advice, pooled.by_split(judged.rows[ranked]))


def _together(pooled: Pooled, group: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [n]: near duplicates, and rows of one cluster of one split, have one number."""
    clusters = [split.clusters for split in pooled.splits.values()]
    if any(one is None for one in clusters):
        return group
    number = np.concatenate([one for one in clusters if one is not None])
    return joined(group, number * len(clusters) + pooled.origin)


def _suspect(corpus: Corpus, pooled: Pooled, judged: Judged, index: int) -> str:
    """One suspect label: where, what it says, what it should say, how probable it is, the text."""
    row = int(judged.rows[index])
    target, label = pooled.targets[row], int(judged.suspicion.suggested[index])
    if corpus.task == "multilabel":
        given = ", ".join(corpus.labels[at] for at in np.flatnonzero(target)) or "no label"
        change = f"{'without' if target[label] else 'also'} {corpus.labels[label]}"
    else:
        given, change = corpus.labels[int(target)], corpus.labels[label]
    where, text = pooled.shown(row).split(": ", 1)
    return f"{where}: {given} ({number(judged.suspicion.confidence[index], 3)}), rather {change}: {text}"
