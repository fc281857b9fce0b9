#!/usr/bin/env bash
# Comments tagged with any number of 28 emotions, by the thresholds that were tuned with the model or one of your own.
#
#   bash examples/emotion_tagging.sh runs/go_emotions < comments.txt
#
# Prints the labels of each line: the first column of what `ftcls predict` gives, several labels separated by |.
set -euo pipefail

run=$1
shift # what follows goes to predict: --threshold 0.3, --threshold grief=0.1

ftcls predict "$run" - "$@" --quiet |
  python3 -c '
import csv, sys
for row in csv.DictReader(sys.stdin):
    print((row["labels"] or "-").ljust(28), row["text"])
'
