"""Compresses files with libvips as a worker of `bench/peers`: the usual calls, one thread."""

import os

os.environ["VIPS_CONCURRENCY"] = "1"

import pyvips  # noqa: E402

from worker import serve  # noqa: E402

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


serve(compress)
