"""A small GoEmotions: comments nobody wrote."""

import csv
from pathlib import Path
from typing import Final

from ftcls.data.corpus import SplitName
from ftcls.data.miniature.draw import Draw
from ftcls.data.readers.go_emotions import FILES, LABELS

_SEED: Final = 2020
_ROWS: Final[dict[SplitName, int]] = {"train": 336, "validation": 112, "test": 112}
_NEUTRAL: Final = "neutral"

_WORDS: Final = {
    "admiration": ("what brilliant work", "you are so talented"),
    "amusement": ("haha that cracked me up", "lol hilarious"),
    "anger": ("this makes me furious", "I am livid"),
    "annoyance": ("how irritating", "stop pestering everyone"),
    "approval": ("fair point, agreed", "yes, exactly right"),
    "caring": ("please look after yourself", "take it easy, okay"),
    "confusion": ("I don't get it at all", "wait, huh"),
    "curiosity": ("how does that work, I wonder", "tell me more about it"),
    "desire": ("I wish I had one", "I want that badly"),
    "disappointment": ("I expected better", "what a letdown"),
    "disapproval": ("no, that is wrong", "I don't think that's okay"),
    "disgust": ("that is revolting", "ew, gross"),
    "embarrassment": ("I blushed so hard", "so awkward for me"),
    "excitement": ("I can't wait!!", "so hyped for this"),
    "fear": ("I am terrified", "that scares me to death"),
    "gratitude": ("thank you so much", "thanks, I appreciate it"),
    "grief": ("we lost him, rest in peace", "I still mourn her"),
    "joy": ("I am so happy today", "this made my day"),
    "love": ("I adore this", "love it to bits"),
    "nervousness": ("I am anxious about tomorrow", "my hands are shaking"),
    "optimism": ("it will get better", "hope the next one works out"),
    "pride": ("I did it all by myself", "so proud of us"),
    "realization": ("oh, now I see", "it just dawned on me"),
    "relief": ("phew, that was close", "glad it is over"),
    "remorse": ("I am sorry, my fault", "I regret saying so"),
    "sadness": ("that made me cry", "so sad to read"),
    "surprise": ("wow, did not see that coming", "I'm shocked"),
    _NEUTRAL: ("the bus leaves at noon", "it is in the second drawer"),
}
_AROUND: Final = (
    "{0} ({1}).",
    "{0}, [NAME] and the {1}.",
    "[NAME] on the {1}: {0}",
    "{0} \U0001f602 {1}",
    "The {1}\u2026 {0}",
    "As for [RELIGION] and the {1}, {0}.",
    "It\u2019s the {1}, {0}!",
    'They wrote "{1}" again, {0}.',
    '"{0}", the {1}',
)
_THING: Final = (
    "kettle", "ladder", "parrot", "tram", "casserole", "lighthouse", "trombone", "raffle", "tent", "scarf", "fence",
)  # fmt: skip


def write(folder: Path) -> None:
    """Write train.tsv, dev.tsv, test.tsv and emotions.txt."""
    draw = Draw(_SEED)
    (folder / "emotions.txt").write_text("\n".join(LABELS), encoding="utf-8", newline="\n")
    for split, count in _ROWS.items():
        with (folder / FILES[split]).open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter="\t", lineterminator="\n")
            for index in range(count):
                names = _names(index, draw)
                said = ", ".join(draw.one(_WORDS[name]) for name in names)
                numbers = ",".join(str(number) for number in sorted(LABELS.index(name) for name in names))
                rows.writerow([draw.one(_AROUND).format(said, draw.one(_THING)), numbers, f"{split[0]}{index:06x}"])


def _names(index: int, draw: Draw) -> list[str]:
    """Each label in turn; every sixth row has another one too, which may be neutral."""
    names = [LABELS[index % len(LABELS)]]
    if index % 6 == 5:
        names.append(draw.one([name for name in LABELS if name not in names]))
    return names
