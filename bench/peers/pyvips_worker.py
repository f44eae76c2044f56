"""Compresses files with libvips as a worker of `bench/peers`: the usual calls, one thread."""

import json
import os
import sys

os.environ["VIPS_CONCURRENCY"] = "1"

import pyvips  # noqa: E402

pyvips.cache_set_max(0)

SUFFIXES = {"jpegload_buffer": ".jpg", "pngload_buffer": ".png", "webpload_buffer": ".webp"}
OPTIONS = {".jpg": {}, ".webp": {}, ".avif": {}, ".png": {"palette": True}}


def compress(data, quality, width=0, format=""):
    if width:
        image = pyvips.Image.thumbnail_buffer(data, width, height=10_000_000, size="down", no_rotate=True)
    else:
        image = pyvips.Image.new_from_buffer(data, "", access="sequential")
    suffix = f".{format}" if format else SUFFIXES[image.get("vips-loader")]
    return image.write_to_buffer(suffix, keep="icc", Q=quality, **OPTIONS[suffix])


for line in sys.stdin:
    task = json.loads(line)
    try:
        with open(task.pop("source"), "rb") as file:
            data = file.read()
        output = task.pop("output")
        result = compress(data, **task)
        if output:
            with open(output, "wb") as file:
                file.write(result)
        print(len(result), flush=True)
    except Exception as error:  # whatever a peer cannot do is reported, and left out of the tables
        print("error", str(error).replace("\n", " "), flush=True)
