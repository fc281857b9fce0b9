"""The same rows with the Trainer of transformers as it comes: is a low score the data's doing or the pipeline's?

    python studies/stock_trainer.py quickstart data.subset.train=null training.batch_size=16 [KEY=VALUE ...]

Data, checkpoint, max_length, learning rate, batch, epochs, weight decay and seed are the config's; everything else is
the stock Trainer's: mean loss of a padded batch, float32, no warm-up, no smoothing, the last step's weights. Prints
the accuracy on validation and test. One label per row only.
"""

import argparse
import sys
import tempfile
from typing import Any

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EvalPrediction,
    Trainer,
    TrainingArguments,
    set_seed,
)

from ftcls.config.load import load
from ftcls.data.corpus import Split
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.model.checkpoint import resolve


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """The examples of a split, tokenized and not yet padded."""

    def __init__(self, split: Split, tokenizer: Any, max_length: int) -> None:
        self.tokens = tokenizer(split.texts, truncation=True, max_length=max_length)["input_ids"]
        self.targets = split.targets.tolist()

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.tokens[index], "labels": self.targets[index]}


def main() -> int:
    """Train and score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args()

    devices.quiet()
    experiment = load(arguments.config, arguments.overrides)
    corpus = read(experiment.data, seed=experiment.seed)
    if corpus.task == "multilabel":
        parser.error("the stock script is for one label per row")
    checkpoint = str(resolve(experiment.model.checkpoint))
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    set_seed(experiment.seed)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=len(corpus.labels))
    longest = experiment.model.max_length or tokenizer.model_max_length
    splits = {name: Rows(split, tokenizer, longest) for name, split in corpus.splits.items()}
    section = experiment.training
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                folder,
                learning_rate=section.learning_rate,
                weight_decay=section.weight_decay,
                per_device_train_batch_size=section.batch_size,
                per_device_eval_batch_size=64,
                num_train_epochs=section.num_train_epochs,
                seed=experiment.seed,
                report_to=[],
                save_strategy="no",
                disable_tqdm=True,
            ),
            train_dataset=splits["train"],
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=accuracy,
        )
        trainer.train()
        found = {name: trainer.evaluate(splits[name])["eval_accuracy"] for name in ("validation", "test")}
    print(f"stock Trainer: accuracy {found['validation']:.3f} on validation, {found['test']:.3f} on test")
    return 0


def accuracy(outcome: EvalPrediction) -> dict[str, float]:
    """The share of rows whose highest logit is their label's."""
    return {"accuracy": float((outcome.predictions.argmax(-1) == outcome.label_ids).mean())}


if __name__ == "__main__":
    sys.exit(main())
