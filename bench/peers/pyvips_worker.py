"""Compresses files with libvips as a worker of `bench/peers`: the usual call, quality 50, one thread."""

import os
import sys

os.environ["VIPS_CONCURRENCY"] = "1"

import pyvips  # noqa: E402

pyvips.cache_set_max(0)

SUFFIXES = {"jpegload_buffer": ".jpg", "pngload_buffer": ".png", "webpload_buffer": ".webp"}
OPTIONS = {".jpg": {"Q": 50}, ".webp": {"Q": 50}, ".png": {"palette": True, "Q": 50}}


def compress(data):
    image = pyvips.Image.new_from_buffer(data, "", access="sequential")
    suffix = SUFFIXES[image.get("vips-loader")]
    return image.write_to_buffer(suffix, keep="icc", **OPTIONS[suffix])


for line in sys.stdin:
    source, _, output = line.rstrip("\n").partition("\t")
    try:
        with open(source, "rb") as file:
            result = compress(file.read())
        if output:
            with open(output, "wb") as file:
                file.write(result)
        print(len(result), flush=True)
    except Exception as error:  # whatever a peer cannot do is reported, and left out of the tables
        print("error", str(error).replace("\n", " "), flush=True)
