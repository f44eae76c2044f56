"""Compresses files with Pillow as a worker of `bench/peers`: the usual call, quality 50."""

import io
import sys

from PIL import Image


def compress(data):
    image = Image.open(io.BytesIO(data))
    kind = image.format
    out = io.BytesIO()
    if kind == "JPEG":
        image.save(out, "JPEG", quality=50, icc_profile=image.info.get("icc_profile"))
    elif kind == "WEBP":
        image.save(out, "WEBP", quality=50)
    else:
        image.save(out, kind, quality=50)
    return out.getvalue()


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
