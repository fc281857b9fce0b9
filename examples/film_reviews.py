"""Reviews of IMDb's test set as a stream would bring them: one line each, film, a tab, the text.

    python examples/film_reviews.py aclImdb_v1.tar.gz --films 6 --reviews 20
    python examples/film_reviews.py aclImdb_v1.tar.gz --csv > reviews.csv

Films are those of the archive's urls files, by their number on IMDb; they were in nobody's training split.
"""

import argparse
import csv
import random
import re
import sys
import tarfile
from collections import defaultdict

PLACE = re.compile(r"aclImdb/test/(neg|pos)/(\d+)_\d+\.txt")


def main() -> None:
    """Print the reviews of some films, in an order that mixes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", help="aclImdb_v1.tar.gz")
    parser.add_argument("--films", type=int, default=6)
    parser.add_argument("--reviews", type=int, default=20, help="most reviews of one film")
    parser.add_argument("--csv", action="store_true", help="a CSV with the columns show and text")
    options = parser.parse_args()
    texts, films = read(options.archive)
    by_film = defaultdict(list)
    for key in sorted(texts):
        by_film[films[key]].append(texts[key])
    rng = random.Random(0)
    chosen = rng.sample(sorted(film for film, found in by_film.items() if len(found) >= options.reviews), options.films)
    lines = [(film, text) for film in chosen for text in rng.sample(by_film[film], options.reviews)]
    rng.shuffle(lines)
    if options.csv:
        csv.writer(sys.stdout).writerows([("show", "text"), *lines])
        return
    for film, text in lines:
        print(film, " ".join(text.split()), sep="\t", flush=True)


def read(archive: str) -> tuple[dict[tuple[str, int], str], dict[tuple[str, int], str]]:
    """The text and the film of every review of the test set, by label and number."""
    texts, films = {}, {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            if match := PLACE.fullmatch(member.name):
                texts[match[1], int(match[2])] = tar.extractfile(member).read().decode()
            elif match := re.fullmatch(r"aclImdb/test/urls_(neg|pos)\.txt", member.name):
                addresses = tar.extractfile(member).read().decode().splitlines()
                films |= {(match[1], i): re.search(r"tt\d+", line)[0] for i, line in enumerate(addresses)}
    return texts, films


if __name__ == "__main__":
    main()
