"""What others say, made fit for a log: nothing in it can end the line, move a cursor, or pose as another line."""


def one_line(text: str) -> str:
    """Return `text` with everything that is not printable written as an escape."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(ord(character)) for character in text)


def for_terminal(text: str, kept: str = "\t\n") -> str:
    """Return `text` with everything that is not printable, nor one of `kept`, written as an escape."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in kept else _escape(ord(each)) for each in text)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
