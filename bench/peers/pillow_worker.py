"""Compresses files with Pillow as a worker of `bench/peers`: the usual calls."""

import io

from PIL import Image

from worker import serve


def compress(data, quality, width=0, format=""):
    image = Image.open(io.BytesIO(data))
    kind = format.upper() or image.format
    options = {"quality": quality}
    if kind == "JPEG":
        options["icc_profile"] = image.info.get("icc_profile")
    if width:
        # A thumbnail lets the decoder scale by powers of two first, which is Pillow's fastest way.
        image.thumbnail((width, image.height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


serve(compress)
