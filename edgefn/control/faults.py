"""What the control API answers when it refuses: a status, a code for programs, words for people."""

from collections.abc import Sequence


class FaultError(Exception):
    """A request is refused. `field` names what in it is wrong; `problems` lists them when there are several."""

    def __init__(self, status: int, code: str, message: str, *, field: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.problems = tuple(problems)

    def document(self) -> dict[str, object]:
        """Return the JSON body of the answer."""
        told: dict[str, object] = {"code": self.code, "message": str(self)}
        if self.field:
            told["field"] = self.field
        if self.problems:
            told["problems"] = list(self.problems)
        return {"error": told}


def invalid(field: str, message: str) -> FaultError:
    """Return the refusal of a request in which `field` is wrong."""
    return FaultError(400, "invalid-request", f"{field}: {message}" if field else message, field=field)


def unknown(what: str, message: str) -> FaultError:
    """Return the refusal of a request about something that isn't there."""
    return FaultError(404, f"unknown-{what}", message)
