"""What stands between a corpus and a model: tokenizer, configuration, token ids."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import PretrainedConfig, PreTrainedTokenizerBase

from ftcls.config.schema import Model
from ftcls.data.corpus import Corpus, SplitName
from ftcls.model import loading, padding, settings, windows
from ftcls.model.pooling import Pooling
from ftcls.model.pooling import choose as choose_pooling
from ftcls.model.settings import Settings
from ftcls.model.template import pair_template, template
from ftcls.model.tokenize import Encoded, encode
from ftcls.model.windows import Windows
from ftcls.scoring import decision

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A corpus as a model reads it."""

    tokenizer: PreTrainedTokenizerBase
    config: PretrainedConfig
    encoded: Mapping[SplitName, Encoded]
    settings: Settings
    labels: tuple[str, ...]
    pooling: Pooling

    @property
    def probe(self) -> Encoded:
        """Texts to put a model to the test with: those of the validation split, or of train where there is none."""
        return self.encoded["validation"] if "validation" in self.encoded else self.encoded["train"]

    def padded(self, side: padding.Side) -> "Prepared":
        """The same texts, padded on that side from now on, by those who load the tokenizer too."""
        padding.use(self.tokenizer, side)
        return replace(self, encoded={name: replace(rows, padding_side=side) for name, rows in self.encoded.items()})

    def save(self, folder: Path) -> None:
        """Put beside weights what makes them a whole model."""
        self.tokenizer.save_pretrained(folder)
        settings.save(self.settings, folder)
        decided = decision.default(self.settings.task, len(self.labels))
        decision.save(decided, self.labels, folder / decision.FILE)


def prepare(corpus: Corpus, section: Model, *, clean: tuple[str, ...], quantized: bool = False) -> Prepared:
    """Load or train the tokenizer, settle max_length and pooling, and encode every split.

    Raises:
        ConfigError: the checkpoint cannot pool as it is told to, or windows have nothing new to read.
        UnavailableError: the checkpoint cannot be had.
        DataError: max_length leaves no room for text.
    """
    tokenizer = loading.load_tokenizer(section.source, train_texts=corpus.splits["train"].texts)
    config = loading.load_config(section.source, tokenizer, labels=corpus.labels, task=corpus.task)
    between = pair_template(tokenizer).between if corpus.text.pairs else None
    if between is not None and not len(between):
        log.warning(
            "%s: its tokenizer puts nothing between the texts of a pair: where the first ends, the model cannot see. "
            "Take an encoder, or end the first texts with a mark of their own",
            section.source,
        )
    pooling, config = choose_pooling(section.pooling, section.source, config, quantized=quantized)
    cut = windows_of(section, config, tokenizer)
    max_length = longest_text(section, config, tokenizer)
    padding.use(tokenizer, padding.side(config))
    loading.settle_token_types(tokenizer, config)
    # What plain transformers cuts at when it is told to truncate.
    tokenizer.model_max_length = max_length if cut is None else cut.size
    how = Settings(
        task=corpus.task,
        clean=clean,
        max_length=max_length,
        truncation=section.truncation,
        positive_label=corpus.positive_label,
        text=corpus.text,
        pair_truncation=section.pair_truncation,
        windows=cut,
    )
    encoded = {
        name: replace(
            encode_texts(split.texts, tokenizer, how),
            targets=corpus.learnt(name) if name == "train" else split.targets,
            weights=split.shares,
            soft=split.soft,
        )
        for name, split in corpus.splits.items()
    }
    if section.max_length is None and cut is None:
        _warn_of_unread(encoded, config, max_length)
    return Prepared(
        tokenizer=tokenizer,
        config=config,
        encoded=encoded,
        settings=how,
        labels=corpus.labels,
        pooling=pooling,
    )


def _warn_of_unread(encoded: Mapping[SplitName, Encoded], config: PretrainedConfig, max_length: int) -> None:
    """Say so where texts are cut that the checkpoint could read: nobody asked for this length."""
    cut = int(sum(rows.truncated.sum() for rows in encoded.values()))
    if cut and (most := loading.most_tokens(config)) is not None and most > max_length:
        longest = max(int(rows.full_lengths.max()) for rows in encoded.values())
        log.warning(
            "%s texts are cut at %d tokens, and the checkpoint reads %s: write model.max_length: %d for all of them, "
            "or %d if that is meant",
            *(f"{cut:,}", max_length, f"{most:,}", min(longest, most), max_length),
        )


def encode_texts(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, how: Settings) -> Encoded:
    """Token ids of cleaned texts, or pairs, as a model reads them."""
    return encode(
        texts,
        tokenizer,
        max_length=how.max_length,
        truncation=how.truncation,
        pair_truncation=how.pair_truncation,
        windows=how.windows,
    )


def windows_of(section: Model, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> Windows | None:
    """The windows of a config, with nothing left open; None: texts are read as one.

    Raises:
        ConfigError: they share so many tokens that nothing new is left.
    """
    if section.windows is None:
        return None
    size = loading.longest(config, tokenizer, section.windows.size, key="model.windows.size")
    stride = size // 4 if section.windows.stride is None else section.windows.stride
    found = Windows(size, stride, section.windows.pool)
    found.check(template(tokenizer).size)
    return found


def longest_text(section: Model, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """The max_length in force: windows know no bound but that of the config."""
    if section.windows is None:
        return loading.longest(config, tokenizer, section.max_length)
    return windows.LONGEST if section.max_length is None else section.max_length
