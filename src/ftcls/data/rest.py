"""A test split of all rows that training does not see: a tenth of a small set would be a handful of rows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from ftcls.data.corpus import Split, SplitName
from ftcls.errors import DataError

ORIGIN: Final = "every row that is neither in train nor in validation"
ORIGIN_OF_GROUPS: Final = "every row of groups of which no row is in train or in validation"


def rest(every: Split, taken: Mapping[SplitName, Split], *, part_equal_texts: bool) -> Split:
    """The rows of a source that train and validation did not take; no row of a group that they know.

    Args:
        every: all rows of all splits, numbered on.
        taken: train and validation, with the numbers of `every`.
        part_equal_texts: False: rows whose text was taken are left out, too.

    Raises:
        DataError: nothing is left.
    """
    numbers = np.concatenate([split.rows for split in taken.values()])
    left = ~np.isin(every.rows, numbers)
    if not part_equal_texts:
        texts = {text for split in taken.values() for text in split.texts}
        left &= np.fromiter((text not in texts for text in every.texts), dtype=bool, count=len(every))
    if every.clusters is not None:
        left &= ~np.isin(every.clusters, every.clusters[np.isin(every.rows, numbers)])
    rows = np.flatnonzero(left)
    if not len(rows):
        took = "every row" if every.clusters is None else "a row of every group"
        raise DataError(f"data.split.test: rest: train and validation took {took}; ask for fewer in data.subset")
    return replace(every.take(rows), origin=ORIGIN if every.clusters is None else ORIGIN_OF_GROUPS)
