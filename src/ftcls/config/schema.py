"""The schema of an experiment: every key, its default, and what it means.

Each field's docstring is its help text, its entry in the JSON schema and its line in the reference page.
Every default of ftcls stands here, in `outcome_schema` and nowhere else.
"""

from typing import Annotated, Literal

from pydantic import Field

from ftcls.config.contrastive_schema import Contrastive
from ftcls.config.distillation_schema import Distillation
from ftcls.config.loss_schema import Loss
from ftcls.config.outcome_schema import Decision, Metrics, Report
from ftcls.config.section import NonNegative, Positive, Section, Share, Task

CleaningStep = Literal[
    "lower_case", "html_breaks", "entities", "backslashes", "reuter", "special_characters", "spaces", "unicode"
]


class SplitPaths(Section):
    """One file per split."""

    train: str
    """The training file."""
    validation: str | None = None
    """The validation file; null: cut from the training split."""
    test: str | None = None
    """The test file; null: cut from the training split."""


class SplitNames(Section):
    """What a Hub data set calls its splits."""

    train: str
    """The training split."""
    validation: str | None = None
    """The validation split; null: cut from the training split."""
    test: str | None = None
    """The test split; null: cut from the training split."""


Columns = str | Annotated[tuple[str, ...], Field(min_length=1)]


class TextPair(Section):
    """Two texts that are read together, as the checkpoint's tokenizer puts pairs together."""

    first: Columns
    """The column of the first text, such as a premise, a question or a claim; several are joined by a space."""
    second: Columns
    """The column of the second text, such as a hypothesis, an answer or its evidence; several are joined by a space."""


VoteRule = Literal["majority", "soft"]


class SeparatedLabels(Section):
    """Several labels in one column."""

    column: str
    """The column that holds them."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    """What stands between two labels; null: the column holds lists."""
    votes: VoteRule | None = None
    """They are annotators' votes, of one label each: see votes of label columns. null: they all apply."""


class LabelColumns(Section):
    """A column of 0 and 1, or of a probability, for each label; or a column of labels for each annotator."""

    columns: Annotated[tuple[str, ...], Field(min_length=2)]
    """The columns; their names become the label names, but those of annotators."""
    kind: Literal["indicators", "probabilities"] = "indicators"
    """`indicators`: 0 and 1, multilabel; `probabilities`: how probable each label is, which is what training learns;
    of one label they add up to 1."""
    votes: VoteRule | None = None
    """Each column has the label that one annotator gave, or nothing. `majority`: the label with most votes, of equal
    ones the first in label order; of several labels those with half of the votes or more. `soft`: training learns each
    label's share of the votes; scores are against the majority, the loss against the shares. null: no votes."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    """Of votes for several labels: what stands between two of one annotator; null: single labels, or lists."""


class RowShare(Section):
    """A share of the rows."""

    share: Share
    """Share of the split's rows, stratified by label."""


class RowsPerLabel(Section):
    """As many rows of every label."""

    per_class: Positive
    """Rows of each label."""


class BalancedRows(Section):
    """As many rows of every label, by their total."""

    balanced: Positive
    """Rows of all labels together; where it does not divide evenly the first labels have one row more."""


RowCount = Positive | RowShare | RowsPerLabel | BalancedRows | None


class Split(Section):
    """How splits are cut where the data set does not bring them."""

    validation: Share | Positive = 0.1
    """Share or number of rows cut from train where there is no validation split."""
    test: Share | Positive | Literal["rest"] = 0.1
    """Share or number of rows cut from train where there is no test split; `rest`: every row of the source, whatever
    its split, that neither train nor validation took (data.subset.test caps them)."""
    pooled: bool = False
    """Put all splits together and cut validation and test anew."""
    stratify: bool = True
    """Keep the share of each label the same in every split."""
    group_equal_texts: bool = True
    """Never put two equal texts on different sides of a cut."""
    column: str | None = None
    """Source files, one file: the column that says train, validation (valid, val, dev) or test of each row, or 0, 1, 2.
    A split that it does not have is cut from train."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Cross-validation: the rows of train and validation, and those that test would be cut from, in so many folds, each
    predicted by a model of the others; the final model learns all of them. null: one split."""
    fold: Positive | None = None
    """One training of a cross-validation: this fold, from 1 to folds, is the test split; null: all of them."""


class Subset(Section):
    """Fewer rows: drawn by seed, stratified, smaller ones contained in larger ones."""

    train: RowCount = None
    """Training rows: null, a number, {share: 0.1}, {per_class: 100} of each label or {balanced: 800} in all."""
    validation: RowCount = None
    """Validation rows, likewise."""
    test: RowCount = None
    """Test rows, likewise."""


class Data(Section):
    """Where the examples come from and what is done to them before tokenizing."""

    source: Literal["imdb", "reuters21578", "ag_news", "go_emotions", "docstrings", "files", "hub"]
    """The reader: a known data set, `files` for one's own, or `hub` for any data set of the Hub."""
    path: str | SplitPaths | None = None
    """A copy in the original form, or one's own file, folder or file per split; null: the Hub, or the original archive
    from its home (`reuters21578`)."""
    dataset: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")] | None = None
    """The data set's id, `owner/name` (`hub`, which needs it)."""
    config: str | None = None
    """Which of the data set's configurations; null: its only or default one (`hub`)."""
    splits: SplitNames | None = None
    """The names of its splits; null: train, validation (or valid, val, dev) and test, as far as it has them (`hub`)."""
    revision: str | None = None
    """The Hub revision; null: the one ftcls was tested with, for `hub` the newest."""
    text: Columns | TextPair = "text"
    """The text column; several, [title, body], are joined by a space; {first: premise, second: hypothesis} is a pair of
    texts (`files`, `hub`)."""
    columns: tuple[str, ...] = ()
    """Columns beside the text, written before it with their names: `brand: Acme | price: 12 | the text`; what a row
    does not have is left out (`files`, `hub`)."""
    label: str | SeparatedLabels | LabelColumns = "label"
    """The label column; {column, separator} or {columns} for several labels; {columns, kind: probabilities}, or with
    votes: majority or soft, for labels that are not certain (`files`, `hub`)."""
    weight: str | None = None
    """A column with a number of 0 or more for each row: how much the row counts, in the loss, in every metric and in
    the simple models. 0 leaves the row out. Validation and test files may lack it (`files`, `hub`)."""
    group: str | None = None
    """A column of what a row belongs to with others: author, patient, document. Rows of one group are never on two
    sides of a split that ftcls cuts, and intervals draw whole groups. Test files may lack it (`files`, `hub`)."""
    task: Task | None = None
    """Required for `files` and `hub`; a known data set declares its own."""
    labels: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Label names in the order wanted; a row with any other is a bad row. null: all, in the data set's own or in
    natural order. `go_emotions` takes some of its labels: rows lose the others, or with single_label are left out."""
    topics: Literal["all", "R90", "R10"] | Annotated[tuple[str, ...], Field(min_length=2)] = "R90"
    """The topics that are labels: R90 occur in train and in test, R10 are the ten most frequent ones of train, all
    occur in one of the two; or a list of names (`reuters21578`)."""
    without_topics: Literal["keep", "drop"] = "keep"
    """Documents that have none of the topics: kept as rows without a label, or left out (`reuters21578`)."""
    grouping: Literal["ekman", "sentiment"] | None = None
    """The authors' groups of emotions, each one label beside neutral: seven of Ekman's, or four (`go_emotions`)."""
    single_label: bool = False
    """Only rows with exactly one label, counted after the grouping; the task is then multiclass (`go_emotions`)."""
    positive_label: str | None = None
    """The label that precision, recall and f1 of a binary task are about; null: the second one."""
    clean: tuple[CleaningStep, ...] = ()
    """Cleaning steps, run in the order given, on every split and on every text that is predicted."""
    split: Split = Split()
    """How splits are cut where the data set does not bring them."""
    subset: Subset = Subset()
    """Fewer rows than there are."""
    on_bad_row: Literal["error", "drop"] = "error"
    """Stop at a row that cannot be used, or drop and count it."""

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns that a label is read from."""
        if isinstance(self.label, LabelColumns):
            return self.label.columns
        return (self.label if isinstance(self.label, str) else self.label.column,)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns that a text is read from, or both texts of a pair."""
        sides = (self.text.first, self.text.second) if isinstance(self.text, TextPair) else (self.text,)
        return tuple(name for side in sides for name in ((side,) if isinstance(side, str) else side))

    @property
    def soft_labels(self) -> bool:
        """Whether training learns probabilities or shares of votes in place of labels."""
        return not isinstance(self.label, str) and (
            self.label.votes == "soft" or getattr(self.label, "kind", None) == "probabilities"
        )


class Windows(Section):
    """How texts that are longer than a window are read whole: in overlapping windows whose answers become one."""

    size: Annotated[int, Field(ge=8)] | None = None
    """Tokens of a window, special tokens included; null: what the checkpoint takes, at most 512."""
    stride: NonNegative | None = None
    """Tokens that a window shares with the one before it (the overlap, as tokenizers of transformers have it); null: a
    quarter of the size."""
    pool: Literal["mean", "max", "attention", "logits_mean"] = "mean"
    """How windows become one answer: the mean or the largest of the vectors that the head reads, or a learnt weighting
    of them; logits_mean: the mean of the logits of each window."""


class Model(Section):
    """The checkpoint and how texts are cut to fit it."""

    checkpoint: Annotated[str, Field(min_length=1)]
    """Hub id, local folder, a run, package:NAME/FOLDER, or scratch:bert (small, untrained)."""
    revision: Annotated[str, Field(pattern=r"^[\w][\w./-]*$")] | None = None
    """Commit, tag or branch of a checkpoint on the Hub; null: the newest. The commit that was had is in the report."""
    allow_code: bool = False
    """Let Python code run that comes with the checkpoint; also takes --allow-code in each command. Look at it."""
    max_length: Annotated[int, Field(ge=4)] | None = None
    """Longest text in tokens, special tokens included; null: what the checkpoint takes, at most 512, with windows
    65,536."""
    truncation: Literal["head", "tail", "head_tail"] = "head"
    """Which end of a longer text is kept; head_tail keeps half of each."""
    pair_truncation: Literal["longest_first", "only_second"] = "longest_first"
    """Which text of a pair is cut where both together are too long: the longer one, until both are equally long, then
    both; or the second alone. truncation says which end of it is kept."""
    windows: Windows | None = None
    """Read longer texts whole, up to max_length, in windows; null: a text is read as one, as far as it fits."""
    pooling: Literal["auto", "cls", "mean", "attention", "last"] = "auto"
    """How one vector is made of a text's tokens: the first token, their mean, a learnt weighting of them, the last one;
    auto: what the checkpoint declares (a sentence encoder), else the architecture's own way."""
    attention: Literal["eager", "sdpa", "flash_attention_2"] | None = None
    """The attention implementation; null: what the model chooses."""

    @property
    def source(self) -> str:
        """The checkpoint with its revision, as ID@REVISION."""
        return self.checkpoint if self.revision is None else f"{self.checkpoint}@{self.revision}"


class Adapter(Section):
    """Small matrices that are trained beside frozen weights (LoRA), in place of training all weights."""

    kind: Literal["none", "lora"] = "none"
    """`none`: all weights are trained; `lora`: low-rank updates of some linear layers (Hu et al. 2021), and the head in
    full."""
    r: Positive = 8
    """Rank of the updates."""
    alpha: Positive = 16
    """The updates are scaled by alpha / r."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the inputs of an update that is dropped while training."""
    target_modules: Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The layers that are updated, by the ends of their names; `all-linear`: every linear layer outside the head; null:
    what suits the architecture, as a rule the query and value projections."""
    rslora: bool = False
    """Scale by alpha / sqrt(r), which keeps high ranks stable (Kalajdzievski 2023)."""
    dora: bool = False
    """Learn the length of each weight column apart from its direction (Liu et al. 2024)."""
    merge: bool = False
    """Leave a plain checkpoint in model/, with the updates added to the weights, in place of an adapter."""
    quantization: Literal["none", "nf4", "int8"] = "none"
    """The frozen weights of the layers in four bits (nf4, double quantization) or eight; never the head."""


Rate = Annotated[float, Field(ge=0, le=0.5)]


class Augmentation(Section):
    """What happens to the words of a training text, anew in every epoch; validation and test stay as they are."""

    word_dropout: Rate = 0.0
    """Chance of each word to be left out; one word always stays."""
    word_swap: Rate = 0.0
    """Chance of each word to change places with the next one."""
    token_masking: Rate = 0.0
    """Chance of each token to be masked, as in the pretraining of a masked language model."""
    rare: bool = False
    """More of it for rows of rare labels, up to twice the rates, and less for others, down to half."""


class Training(Section):
    """Optimizer, schedule, evaluation, checkpoints, precision and device."""

    num_train_epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the training split; null: by its rows, few rows get many epochs."""
    max_steps: Positive | None = None
    """Stop after so many optimizer steps; takes the place of num_train_epochs."""
    batch_size: Positive = 16
    """Examples per optimizer step, over all devices."""
    sampling: Literal["balanced"] | None = None
    """`balanced`: an epoch is as long as before, but rows of rare labels come more often. Every label equally often;
    multilabel: by the square root of how rare the rarest label of a row is."""
    augmentation: Augmentation = Augmentation()
    """Changes to the words of the training texts."""
    eval_batch_size: Positive | None = None
    """Most examples in one forward pass outside training; null: token_budget alone decides."""
    token_budget: Annotated[int, Field(ge=4)] | None = None
    """Most tokens, padding included, in one forward pass; null: by device."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Peak learning rate; null: by the size of the model, and higher for an adapter."""
    head_learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Peak learning rate of the head; null: that of the rest, and where learning_rate is null too, what suits it."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Each layer is trained at so many times the learning rate of the one above it, the embeddings as one more."""
    freeze: NonNegative | None = None
    """The embeddings and so many first layers keep their weights; 0: the embeddings alone; null: all are trained."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW weight decay; never on biases and norms."""
    optim: Literal["adamw_torch_fused", "adamw_torch", "adamw_bnb_8bit", "paged_adamw_8bit", "paged_adamw_32bit"] = (
        "adamw_torch_fused"
    )
    """The optimizer: AdamW; with its state in 8 bits; with a state that moves to the main memory when that of the GPU
    is full (CUDA alone)."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass in place of keeping them: less memory, about a third more time."""
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = "linear"
    """Shape of the learning rate after warm-up."""
    warmup_steps: NonNegative | Share = 0.1
    """Steps of linear warm-up; below 1: a share of all steps."""
    max_grad_norm: Annotated[float, Field(ge=0)] = 1.0
    """Largest gradient norm; 0: no clipping."""
    eval_strategy: Literal["no", "steps", "epoch"] = "epoch"
    """When the validation split is scored; no: only after the last step."""
    eval_steps: Positive | None = None
    """Steps between evaluations; required by eval_strategy: steps."""
    save_strategy: Literal["no", "steps", "epoch"] = "epoch"
    """When a checkpoint is written; the best weights are kept whatever is chosen."""
    save_steps: Positive | None = None
    """Steps between checkpoints; required by save_strategy: steps."""
    save_total_limit: Positive = 2
    """Checkpoints kept; older ones are deleted after a newer one is complete."""
    logging_steps: Positive = 10
    """Steps between lines of history.jsonl."""
    early_stopping_patience: Positive | None = None
    """Stop after so many evaluations without a better metrics.best."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the training step; weights are float32 always."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")] = "auto"
    """auto, cpu, cuda, cuda:N or mps."""


class Experiment(Section):
    """One experiment: one file, one run directory."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Name of the run directory: letters, digits, dot, dash, underscore."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """Seeds splits, subsets, new weights, order and dropout."""
    data: Data
    """Where the examples come from and what is done to them before tokenizing."""
    model: Model
    """The checkpoint and how texts are cut to fit it."""
    adapter: Adapter = Adapter()
    """Small matrices that are trained beside frozen weights, in place of training all weights."""
    loss: Loss = Loss()
    """The loss of one example."""
    distillation: Distillation = Distillation()
    """Learning from another run's model."""
    contrastive: Contrastive | None = None
    """A start for few labels: the encoder learns from pairs of training texts first; null: it starts as it is."""
    training: Training = Training()
    """Optimizer, schedule, evaluation, checkpoints, precision and device."""
    metrics: Metrics = Metrics()
    """Which score decides."""
    decision: Decision = Decision()
    """How probabilities become labels."""
    report: Report = Report()
    """Where else the run is logged."""
