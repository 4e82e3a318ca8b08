"""Arguments that are names and numbers: what is none of these is told before anything is asked of anybody."""

import argparse
import re
from collections.abc import Callable


def name(text: str) -> str:
    """Return the name of a function, an alias, a location or a site. Raises `ArgumentTypeError`."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text, re.ASCII):
        told = f"{text[:80]!r} is no name; write at most 64 letters, digits, dashes and underscores"
        raise argparse.ArgumentTypeError(told)
    return text


def token_name(text: str) -> str:
    """Return the name of a token. Raises `ArgumentTypeError`."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", text, re.ASCII):
        told = (
            f"{text[:80]!r} is no name of a token; write 1 to 64 letters, digits and . _ @ -, a letter or digit first"
        )
        raise argparse.ArgumentTypeError(told)
    return text


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number from `least` to `most`, and raises `ArgumentTypeError`."""

    def read(text: str) -> int:
        number = int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(
                f"{text[:80]!r} does not fit; write a whole number from {least} to {most:,}"
            )
        return number

    return read
