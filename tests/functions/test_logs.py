"""Log lines on their way to a disk that may be full."""

import errno
import io
import threading

from edgefn.functions.logs import LineWriter


class FullDisk(io.StringIO):
    """A file on a disk that has no room for the first flush."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = threading.Event()
        self.taken = threading.Event()

    def flush(self) -> None:
        if not self.refused.is_set():
            self.refused.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        self.taken.set()


def test_a_disk_that_was_full_for_a_while_gets_what_comes_then() -> None:
    disk = FullDisk()
    with LineWriter(disk) as writer:
        writer.write("lost")
        assert disk.refused.wait(5)
        writer.write("kept")
        assert disk.taken.wait(5)
    assert "kept\n" in disk.getvalue()
