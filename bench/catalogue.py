#!/usr/bin/env python3
"""Prints a catalogue as CSV, the same each time:  bench/catalogue.py ROWS [URLS_PER_ROW] > catalogue.csv"""

import sys

COLOURS = ["navy blue", "ivory", "käsegelb", "dark, almost black"]


def row(number, urls):
    host = f"https://cdn{number % 7}.example.com/catalogue/2026"
    images = ",".join(f"{host}/{number}/view-{view}.jpg" for view in range(1, urls + 1))
    return f'{number},Cotton shirt {number},"{images}","{COLOURS[number % len(COLOURS)]}"\n'


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    rows, urls = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 2
    out = open(sys.stdout.fileno(), "w", encoding="utf-8", newline="")
    out.write("S. No,Product Name,Input Image Urls,Colour\n")
    for number in range(1, rows + 1):
        out.write(row(number, urls))
    out.close()


main()
