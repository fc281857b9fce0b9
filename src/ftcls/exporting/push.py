"""A run on the Hub: its model with a card. Nothing of the data goes along unless it is asked for."""

import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import huggingface_hub
import numpy as np
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils._validators import validate_repo_id

from ftcls.config.load import load
from ftcls.environment import hub_access, manifest
from ftcls.environment.files import making, write_text
from ftcls.errors import ConfigError, DataError, UnavailableError
from ftcls.inference import reload_check
from ftcls.inference.classifier import Classifier
from ftcls.model import adapters, loading, own_code
from ftcls.reporting import model_card
from ftcls.reporting.model_card import Example
from ftcls.runs import predictions, report_schema
from ftcls.runs.directory import RunDir
from ftcls.runs.references import reference

log = logging.getLogger(__name__)

CARD: Final = "README.md"
REPLACED: Final = ("*.safetensors", "*.safetensors.index.json", "adapter_config.json")
"""What an earlier push may have left that would be loaded in place of the new weights, or on top of them."""


@dataclass(frozen=True)
class Published:
    """What was made, and where it went."""

    repository: str
    folder: Path | None
    """Where the files lie that would be uploaded; None: they were."""
    url: str | None
    """The commit on the Hub; None after a dry run."""
    private: bool
    """Whether only its owners see it; after a dry run, would."""
    files: dict[str, int]
    """Bytes by file name."""


def write(run: Path, repository: str, folder: Path, *, examples: int = 0, licence: str | None = None) -> dict[str, int]:
    """Write the files of a repository to a folder: the model of a finished run, and its card.

    An adapter is added to its base, so that what lies there is whole and plain transformers loads it.

    Args:
        run: the run directory.
        repository: ``USER/NAME``, which the card tells people to load.
        folder: an empty folder.
        examples: test texts of each label to show in the card.
        licence: the Hub's id of the licence.

    Returns:
        Bytes by file name.

    Raises:
        ConfigError: `repository` is no name of a repository.
        DataError: no finished run, or examples are wanted and its predictions hold no texts.
        UnavailableError: the base of an adapter cannot be had, or is no longer what the adapter was trained on.
    """
    _check_name(repository)
    place = RunDir(run.absolute())
    manifest.check_part(place.config)
    report, experiment = report_schema.read_report(place), load(place.config)
    base = model_card.base_model(experiment.model.checkpoint)
    about = model_card.metadata(report, experiment, base=base, licence=licence)
    shown = _examples(place, examples) if examples else []
    text = model_card.page(report, experiment, repository=repository, base=base, examples=shown)
    _copy_model(place.model, folder)
    write_text(folder / CARD, ModelCard(f"---\n{about.to_yaml()}\n---\n\n{text}").content)
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def upload(run: Path, repository: str, folder: Path, *, public: bool = False) -> tuple[str, bool]:
    """Upload the files that `write` wrote, as one commit; the repository is made where there is none.

    Weights that are there already are replaced, under whatever names; other files stay.

    Returns:
        The address of the commit, and whether the repository is private.

    Raises:
        ConfigError: the repository is there and public, and that was not asked for.
        UnavailableError: nobody is logged in, the Hub cannot be reached, or it refuses.
    """
    if not hub_access.connect():
        raise UnavailableError(
            f"{repository}: the Hub ({huggingface_hub.constants.ENDPOINT}) cannot be reached, or --offline was given. "
            "--dry-run writes the files without it"
        )
    api = HfApi()
    if huggingface_hub.get_token() is None:
        raise UnavailableError(f"{repository}: nobody is logged in to the Hub; run: hf auth login")
    try:
        private = _make(api, repository, public=public)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message=f"Model and card of the ftcls run {run.name}",
            delete_patterns=list(REPLACED),
        )
    except (*hub_access.ERRORS, RuntimeError) as error:  # the last: a large file that did not arrive
        raise hub_access.unavailable(
            f"the repository {repository}",
            remedy="look at the name and at what your token may write (hf auth whoami). Files show there only when all "
            "have arrived; the same command again sends what is missing",
            cause=error,
        ) from error
    return str(done.commit_url), private


def push(
    run: str | os.PathLike[str],
    repository: str,
    *,
    dry_run: bool = False,
    output: str | os.PathLike[str] | None = None,
    public: bool = False,
    examples: int = 0,
    licence: str | None = None,
) -> Published:
    """Upload a finished run to the Hugging Face Hub, with a model card made from its report.

    The model goes, the tokenizer, label names, cleaning and thresholds; no text of the data unless examples are asked
    for, and no path of this machine. The token is that of ``hf auth login``.

    Args:
        run: the run directory.
        repository: ``USER/NAME``; made if it is not there.
        dry_run: write the files to a folder and upload nothing; asks nobody.
        output: the folder of a dry run; None: ``hub/NAME``.
        public: whether everybody may see the repository.
        examples: test texts of each label to show in the card.
        licence: the Hub's id of the licence.

    Raises:
        ConfigError: a simple model, an output without a dry run; and see `upload`.
        FtclsError: see `write` and `upload`.
    """
    place = Path(run)
    if reference(os.fspath(run)).name is not None:
        raise ConfigError(f"{os.fspath(run)}: the Hub gets models of transformers, which a simple model is not")
    if dry_run:
        target = Path("hub") / repository.rpartition("/")[2] if output is None else Path(output)
        with making(target) as folder:
            files = write(place, repository, folder, examples=examples, licence=licence)
        return Published(repository, target, None, not public, files)
    if output is not None:
        raise ConfigError(f"--output {output}: goes with --dry-run; an upload writes nothing here")
    with tempfile.TemporaryDirectory() as name:
        files = write(place, repository, Path(name), examples=examples, licence=licence)
        url, private = upload(place, repository, Path(name), public=public)
    return Published(repository, None, url, private, files)


def _check_name(repository: str) -> None:
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise ConfigError(f"{repository}: no name of a repository: {error}") from error
    if repository.count("/") != 1:
        raise ConfigError(f"{repository}: write USER/NAME, such as me/{repository}")


def _copy_model(model: Path, folder: Path) -> None:
    """The model of a run without what is for this machine: a probe holds tokens of texts, an adapter a place here.

    A repository has digests of its own, and other files beside these: the manifest stays here.
    """
    manifest.check(model)
    if code := own_code.kept(model):
        raise UnavailableError(
            f"{model}: the model needs {', '.join(code)}, code that came with its checkpoint, and ftcls publishes no "
            "code. Publish the folder yourself if you may"
        )
    left_behind = shutil.ignore_patterns(reload_check.FILE, manifest.FILE, *adapters.FILES)
    shutil.copytree(model, folder, ignore=left_behind, dirs_exist_ok=True)
    if adapters.is_adapter(model):
        merged = Classifier.from_pretrained(model, device="cpu", dequantize=True)
        loading.save(merged.model, folder, windowed=merged.settings.windows is not None)


def _make(api: HfApi, repository: str, *, public: bool) -> bool:
    """Make the repository; one that is there keeps who may see it. Whether it is private."""
    try:
        there = api.model_info(repository)
    except RepositoryNotFoundError:
        api.create_repo(repository, private=not public)
        return not public
    if not there.private and not public:
        raise ConfigError(f"{repository}: is there already, and public; add --public, or name another repository")
    if there.private and public:
        log.warning("%s stays private; who may see it is changed on the Hub", repository)
    return bool(there.private)


def _examples(run: RunDir, most: int) -> list[Example]:
    """Of each label the test texts that the model gives it with the highest probability, and rightly."""
    path = run.predictions / "test.parquet"
    texts, said = predictions.read_rows(path).texts, predictions.read(path)
    if texts is None:
        raise DataError(f"{path}: holds no texts, so there are no examples to show; leave --examples out")
    gold, given = (
        np.asarray(rows, dtype=bool) if rows.ndim == 2 else np.eye(len(said.labels), dtype=bool)[rows]
        for rows in (said.gold, said.predicted)
    )
    found = []
    for index, label in enumerate(said.labels):
        right = np.flatnonzero(gold[:, index] & given[:, index])
        best = right[np.argsort(-said.probabilities[right, index], kind="stable")][:most]
        found += [Example(label, texts[row], float(said.probabilities[row, index])) for row in best]
    return found
