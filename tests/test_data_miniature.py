from ftcls.data.miniature.write import write


def test_a_miniature_is_the_same_bytes_every_time(tmp_path):
    one = write("ag_news", tmp_path / "one")
    two = write("ag_news", tmp_path / "a" / "two")
    names = ["classes.txt", "test.csv", "train.csv"]
    assert sorted(path.name for path in one.iterdir()) == names
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def test_the_miniature_has_the_quirks_of_the_original(tmp_path):
    text = (write("ag_news", tmp_path) / "train.csv").read_text(encoding="utf-8")
    assert text.isascii()
    assert all(quirk in text for quirk in (" #39;", " quot;", " amp;", "\\$", "were\\scarce", "&lt;b&gt;", '""'))
    assert text.count("\n") == 240
