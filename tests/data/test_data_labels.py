import numpy as np
import pytest

from ftcls.data import labels
from ftcls.data.raw import RawSplit
from ftcls.errors import ConfigError, DataError


def rows(*found):
    texts = [f"text {index}" for index in range(len(found))]
    return RawSplit(texts, list(found), np.arange(len(found)), len(found), lambda index: f"a.csv:{index + 2}")


def test_natural_order_counts_as_people_do():
    assert labels.natural(["10", "2", "1"]) == ("1", "2", "10")
    assert labels.natural(["-1", "1", "0", "0.5"]) == ("-1", "0", "0.5", "1")
    assert labels.natural(["grade 10", "grade 9", "a, b", "é"]) == ("a, b", "grade 9", "grade 10", "é")
    assert labels.natural(["1", "01"]) == labels.natural(["01", "1"])
    assert labels.natural(["x", "2", "10", "nan"]) == ("2", "10", "nan", "x")


@pytest.mark.parametrize("odd", ["nan", "NaN", "inf", "-inf", "1_000", "Infinity"])
def test_what_python_alone_calls_a_number_does_not_disturb_the_order(odd):
    # float("nan") is neither smaller nor larger than anything: the order would follow the hash of the process.
    names = ["1", "2", "3", "10", odd]
    orders = {labels.natural(names[start:] + names[:start]) for start in range(5)}
    assert len(orders) == 1
    assert [name for name in orders.pop() if name != odd] == ["1", "2", "3", "10"]


def test_the_labels_are_those_of_all_splits():
    splits = {"train": rows("b", "a"), "test": rows("c", None, ("d", "a"))}
    assert labels.union(splits) == ("a", "b", "c", "d")


def test_a_label_becomes_its_place_in_the_order_given():
    kept, targets, bad = labels.encode(rows("yes", "no", "yes"), ("yes", "no"), task="binary")
    assert kept.tolist() == [0, 1, 2]
    assert targets.tolist() == [0, 1, 0]
    assert targets.dtype == np.int64
    assert bad.count == 0


def test_several_labels_become_zeros_and_ones():
    _, targets, bad = labels.encode(rows(("a", "c"), (), None, "b"), ("a", "b", "c"), task="multilabel")
    assert targets.dtype == np.float32
    assert targets.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert bad.count == 0


def test_rows_without_a_usable_label_are_bad_rows_with_their_place_and_reason():
    kept, targets, bad = labels.encode(rows("a", None, "x", ("a", "b"), (), ("b",)), ("a", "b"), task="multiclass")
    assert kept.tolist() == [0, 5]
    assert targets.tolist() == [0, 1]
    assert bad.count == 4
    assert bad.examples == [
        "a.csv:3: no label",
        "a.csv:4: label 'x' is not one of 'a', 'b'",
        "a.csv:5: 2 labels ('a', 'b'); task multiclass takes one",
        "a.csv:6: no label",
    ]


def test_labels_that_no_classifier_can_be_learnt_with_are_refused():
    with pytest.raises(DataError, match="no label at all"):
        labels.check((), task="multiclass", source="a.csv")
    with pytest.raises(DataError, match="one label, 'a'; a classifier needs two or more"):
        labels.check(("a",), task="multilabel", source="a.csv")
    with pytest.raises(DataError, match="binary, but there are 3 labels: 'a', 'b', 'c'"):
        labels.check(("a", "b", "c"), task="binary", source="a.csv")
    with pytest.raises(ConfigError, match="'a' is listed twice"):
        labels.check(("a", "b", "a"), task="multiclass", source="a.csv")
    labels.check(tuple(map(str, range(100))), task="multiclass", source="a.csv")


def test_the_positive_label_is_the_second_unless_named():
    assert labels.positive(("ham", "spam"), task="binary", name=None) == "spam"
    assert labels.positive(("ham", "spam"), task="binary", name="ham") == "ham"
    assert labels.positive(("a", "b", "c"), task="multiclass", name=None) is None
    with pytest.raises(ConfigError, match="'eggs' is not a label; the labels are 'ham', 'spam'"):
        labels.positive(("ham", "spam"), task="binary", name="eggs")
    with pytest.raises(ConfigError, match="for task binary only"):
        labels.positive(("a", "b", "c"), task="multiclass", name="a")


def test_a_message_lists_a_dozen_of_a_hundred_labels():
    assert labels.listed([str(number) for number in range(100)]).endswith("'11' and 88 more")
