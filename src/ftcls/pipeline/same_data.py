"""Whether the data of a run is still what it was trained on."""

from ftcls.data.corpus import Corpus
from ftcls.errors import ConfigError, DataError
from ftcls.runs import data_record, report_schema
from ftcls.runs.directory import RunDir
from ftcls.training import checkpoints


def same_data(run: RunDir, corpus: Corpus, *, main: bool) -> None:
    """Keep in the run what its data is known by; a training that goes on must find the same.

    Raises:
        ConfigError: the checkpoints of the run are of other data.
    """
    now = data_record.of(corpus)
    before = data_record.read(run) if checkpoints.newest(run.checkpoints) is not None else None
    if before is None:
        if main:
            data_record.write(run, now)
        return
    if changed := data_record.differences(before, now):
        raise ConfigError(
            f"{run.path}: cannot be resumed, its data has changed since:\n"
            + "".join(f"  {each}\n" for each in changed)
            + f"Bring back the data as it was, or train anew: ftcls train {run.config}"
        )


def refuse_other_data(run: RunDir, corpus: Corpus) -> None:
    """Refuse to score a run on rows that it may have been trained on.

    Raises:
        DataError: the data of the run is no longer what it was trained on.
    """
    changed = _changed(run, corpus)
    if changed:
        raise DataError(
            f"{run.path}: its data has changed since it was trained, so rows of its training may now be test rows:\n"
            + "".join(f"  {each}\n" for each in changed)
            + "The rows that it was tested on stand in predictions/test.parquet. New rows are scored with --data FILE; "
            f"the data as it is now with --config {run.config}"
        )


def _changed(run: RunDir, corpus: Corpus) -> list[str]:
    now = data_record.of(corpus)
    before = data_record.read(run)
    if before is not None:
        return data_record.differences(before, now)
    if not run.done:
        return []
    # A run of an earlier version, whose report alone knows.
    known = report_schema.read_report(run).data.fingerprint
    return [] if known == now.fingerprint else ["other rows, labels or order of them"]
