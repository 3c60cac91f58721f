"""Reading still pictures through Pillow."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from dimcli.core import limits
from dimcli.core.errors import InputError
from dimcli.core.files import existing_file
from dimcli.core.installing import install
from dimcli.media.frames import Picture, quiet_libraries

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".avif")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "AVIF", "HEIF")
PICTURE_SIDE = 4096
"""Of a picture's sides, the longest that any output has: the largest ``--size``."""
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def read_picture(path: Path) -> Picture:
    """A still picture, RGB uint8 [H, W, 3], in sRGB.

    It is turned as its EXIF says, converted from its colour profile (ICC; without one it is taken
    as sRGB), laid on white where it is transparent, and made smaller where a side is longer than
    :data:`PICTURE_SIDE`; of an animation the first picture. HEIC needs the package ``pi-heif``.
    Raises InputError where the file is missing, empty, damaged, not a picture, or has more than
    :data:`dimcli.core.limits.PICTURE_PIXELS` pixels or ``JPEG_SCANS`` scans (told before it is
    decoded).
    """
    path = existing_file(path, "picture")
    heic = _is_heif(path)
    if heic:
        _enable_heif(path)
    try:
        with quiet_libraries(), warnings.catch_warnings():
            # Pillow warns of sizes below our limit, and of oddities that it can read
            warnings.simplefilter("ignore")
            Image.init()
            with Image.open(path, formats=FORMATS if heic else FORMATS[:-1]) as image:
                _check_size(path, image.width, image.height)
                if image.format in ("JPEG", "MPO") and has_too_many_scans(path.read_bytes()):
                    raise InputError(
                        f"{path}: is a JPEG of more than {limits.JPEG_SCANS} scans; save it anew"
                    )
                return _upright_srgb(image)
    except InputError:
        raise
    except Image.DecompressionBombError:
        _check_size(path, limits.PICTURE_PIXELS + 1, 1)
    except Exception:  # decoders raise whatever a damaged file makes them stumble over
        pass
    raise InputError(f"{path}: not a picture that can be read; expected JPEG, PNG, WebP, ...")


def has_too_many_scans(jpeg: bytes) -> bool:
    """Whether a JPEG says so often that pixels follow that decoding it takes for ever."""
    return jpeg.count(b"\xff\xda") > limits.JPEG_SCANS


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > limits.PICTURE_PIXELS:
        raise InputError(
            f"{path}: has more than {limits.PICTURE_PIXELS / 1e6:.0f} million pixels; make it "
            "smaller"
        )


def _is_heif(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:] in HEIF_BRANDS


def _enable_heif(path: Path) -> None:
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        raise InputError(
            f"{path}: is a HEIC picture, which needs `{install('heic')}`; or save it as JPEG"
        ) from None
    register_heif_opener()


def _upright_srgb(image: Image.Image) -> Picture:
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    cover = None
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        cover = image.getchannel("A")
        image = image.convert("RGB")
    elif image.mode.startswith("I"):  # 16 bits of grey
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    image = _in_srgb(image, profile)
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    if cover is not None:
        cover.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=cover)
        image = white
    return np.array(image, np.uint8)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and image.mode in ("RGB", "L", "CMYK"):
        try:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that is damaged or of other colours: as without one, as browsers do
    return image.convert("RGB")
