"""Measures Halftone beside gifsicle and sharp on the animated GIFs of a folder; prints a Markdown table.

Every tool makes each file in a process of its own, whose user and system time is counted, with what starting it takes: of Node.js
about 0.15 seconds.
"""

import argparse
import json
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

from PIL import Image

from measure import LADDER, QUALITY, between, geometric_mean, table

SHARP = """
const sharp = require('sharp');
const [input, output, quality] = process.argv.slice(1);
sharp.concurrency(1);
sharp(input, { animated: true, limitInputPixels: false }).webp({ quality: Number(quality) }).toFile(output);
"""
# gifsicle's losses, the greatest first.
LOSSES = [200, 140, 80, 40, 20]


class Tool:
    """A way to make a file: `setting` is what is asked for, `ladder` are others between which its bytes at our score are found."""

    def __init__(self, name, make, setting, ladder=()):
        self.name, self.make, self.setting, self.ladder = name, make, setting, ladder


def halftone(program, format=None):
    def make(source, output, quality):
        task = {"source": str(source), "output": str(output), "quality": quality, "format": format}
        subprocess.run([program], input=json.dumps(task) + "\n", text=True, stdout=subprocess.DEVNULL, check=True)

    return make


def gifsicle(source, output, loss):
    lossy = [f"--lossy={loss}"] if loss else []
    subprocess.run(["gifsicle", "-O3", *lossy, source, "-o", output], stderr=subprocess.DEVNULL, check=True)


def sharp(source, output, quality):
    subprocess.run(["node", "-e", SHARP, source, output, str(quality)], check=True)


def cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def is_animated(path):
    with Image.open(path) as picture:
        return getattr(picture, "is_animated", False)


def rows_of(kind, tools, sources, judge, output):
    """A row for each tool, ours first."""
    ours = {}
    for tool in tools:
        ratios, scores, equal, seconds = [], [], [], 0.0

        def made(source, setting):
            output.unlink(missing_ok=True)
            tool.make(source, output, setting)
            return judge(source, output), output.stat().st_size

        for source in sources:
            print(f"{kind}: {tool.name}, {source.name}", file=sys.stderr)
            before = cpu()
            score, size = made(source, tool.setting)
            seconds += cpu() - before
            ratios.append(size / source.stat().st_size)
            scores.append(score)
            if source not in ours:
                ours[source] = score, size
            elif tool.ladder and (found := between(ours[source][0], (made(source, step) for step in tool.ladder))):
                equal.append(ours[source][1] / found)
        same_score = f"{geometric_mean(equal):.2f} ({len(equal)})" if equal else ""
        grown = sum(ratio > 1 for ratio in ratios)
        numbers = f"{statistics.fmean(scores):.1f}", f"{min(scores):.1f}", str(grown), f"{seconds:.1f} s"
        yield [kind, tool.name, f"{geometric_mean(ratios):.3f}", same_score, *numbers]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("--score", required=True, help="the program that scores pictures")
    parser.add_argument("--halftone", required=True, help="the program that compresses them")
    arguments = parser.parse_args()
    sources = [path for path in sorted(arguments.images.rglob("*.gif")) if is_animated(path)]
    if not sources:
        return
    ours, ours_as_webp = halftone(arguments.halftone), halftone(arguments.halftone, "webp")
    kinds = {
        "GIF, lossless": [Tool("Halftone", ours, 100), Tool("gifsicle -O3", gifsicle, 0)],
        f"GIF, quality {QUALITY}": [Tool("Halftone", ours, QUALITY), Tool("gifsicle -O3 --lossy=80", gifsicle, 80, LOSSES)],
        f"WebP, quality {QUALITY}": [Tool("Halftone", ours_as_webp, QUALITY), Tool("sharp", sharp, QUALITY, LADDER)],
    }
    scorer = subprocess.Popen([arguments.score], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def judge(source, output):
        scorer.stdin.write(f"{source}\t{output}\n")
        scorer.stdin.flush()
        return float(scorer.stdout.readline())

    rows = []
    with tempfile.TemporaryDirectory() as work:
        for kind, tools in kinds.items():
            tools = [tool for tool in tools if tool.make is not gifsicle or shutil.which("gifsicle")]
            rows += rows_of(kind, tools, sources, judge, pathlib.Path(work) / "output")
    size = sum(path.stat().st_size for path in sources) / 1e6
    print(f"{len(sources)} animated GIFs, {size:.1f} MB. A score is that of up to eight pictures of the animation together.\n")
    head = ["", "tool", "bytes ÷ source", "our bytes ÷ its own, at our score", "mean score", "lowest", "larger than the source"]
    table([*head, "processor time"], rows)


if __name__ == "__main__":
    main()
