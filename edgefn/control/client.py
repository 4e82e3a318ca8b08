"""What the command line uses to talk to a running location."""

from aiohttp import ClientError, ClientSession, ClientTimeout

from edgefn.control.credentials import read_token, token_path


class ControlError(Exception):
    """The location could not be reached, or refused. The message says what to do."""


class ControlClient:
    """Speaks to the control API at `admin` (host, port) with the token in `data_dir`."""

    def __init__(self, admin: tuple[str, int], data_dir: str) -> None:
        self._base = f"http://{admin[0]}:{admin[1]}"
        self._data_dir = data_dir

    async def reload(self) -> str:
        """Ask the location to read its configuration again; return what it says. Raises `ControlError`."""
        try:
            token = read_token(self._data_dir)
        except OSError as error:
            where = token_path(self._data_dir)
            raise ControlError(f"{where}: {error.strerror}; is a location running with this data_dir?") from error
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=60.0)) as session,
                session.post(f"{self._base}/reload", headers={"Authorization": f"Bearer {token}"}) as response,
            ):
                answer: object = await response.json()
                status = response.status
        except (ClientError, TimeoutError, ValueError) as error:
            raise ControlError(f"no location answers at {self._base}: {error}") from error
        return _said(status, answer)


def _said(status: int, answer: object) -> str:
    match answer:
        case {"reloaded": str(said)} if status == 200:
            return said
        case {"problems": list(problems)}:
            raise ControlError("nothing was changed:\n" + "\n".join(str(problem) for problem in problems))
        case _:
            raise ControlError(f"the location answered {status}: {answer}")
