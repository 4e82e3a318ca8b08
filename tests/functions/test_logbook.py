"""What functions log: kept for a while, found again, and followed."""

from pathlib import Path

import orjson
import pytest

from edgefn.functions.logbook import LogEntry, LogFile, LogFollower, LogQuery, tail


def entry(number: int, function: str = "geo", version: str = "1", invocation: str = "i1") -> LogEntry:
    return LogEntry(f"2026-01-01T00:00:{number:02}Z", "fra1", function, version, invocation, "r1", f"line {number}")


def write(file: LogFile, *entries: LogEntry) -> None:
    file.write("".join(orjson.dumps(each).decode() + "\n" for each in entries))
    file.flush()


def numbers(entries: list[LogEntry]) -> list[int]:
    return [int(each.text.split()[1]) for each in entries]


def test_the_newest_lines_of_all_processes_come_in_order(tmp_path: Path) -> None:
    one, other = LogFile(tmp_path), LogFile(tmp_path)
    write(one, entry(1), entry(4))
    write(other, entry(2), entry(3))
    assert numbers(tail(tmp_path, LogQuery(), 10)) == [1, 2, 3, 4]
    assert numbers(tail(tmp_path, LogQuery(), 2)) == [3, 4]
    assert {path.name for path in tmp_path.iterdir()} == {"functions-0.ndjson", "functions-1.ndjson"}
    one.close()
    LogFile(tmp_path).close()  # takes the one that is free again
    assert len(list(tmp_path.iterdir())) == 2
    other.close()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (LogQuery(), [1, 2, 3]),
        (LogQuery(function="geo"), [1, 2]),
        (LogQuery(function="geo:2"), [2]),
        (LogQuery(function="ge"), []),
        (LogQuery(request="i2"), [2]),
        (LogQuery(request="r1"), [1, 2, 3]),
        (LogQuery(function="auth", request="i2"), []),
    ],
)
def test_lines_are_found_by_function_version_and_either_id(tmp_path: Path, query: LogQuery, found: list[int]) -> None:
    file = LogFile(tmp_path)
    write(file, entry(1), entry(2, version="2", invocation="i2"), entry(3, function="auth"))
    file.close()
    assert numbers(tail(tmp_path, query, 10)) == found


def test_there_is_never_more_than_two_files_full(tmp_path: Path) -> None:
    file = LogFile(tmp_path, most=1_000)
    for number in range(60):
        write(file, entry(number))
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["functions-0.full.ndjson", "functions-0.ndjson"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2_000
    found = numbers(tail(tmp_path, LogQuery(), 100))
    assert found == list(range(60 - len(found), 60))
    assert len(found) > 5


def test_whoever_follows_misses_nothing_when_files_come_and_fill_up(tmp_path: Path) -> None:
    file = LogFile(tmp_path, most=1_000)
    write(file, entry(0))
    follower = LogFollower(tmp_path, LogQuery(function="geo"))
    assert follower.poll() == []
    heard = []
    for number in range(1, 40):
        write(file, entry(number), entry(number, function="auth"))
        if number == 20:
            other = LogFile(tmp_path)
            write(other, entry(50))
            other.close()
        heard += numbers(follower.poll())
    assert heard == [*range(1, 21), 50, *range(21, 40)]
    file.write("torn")
    file.flush()
    assert follower.poll() == []
    follower.close()
    file.close()


def test_lines_are_readable_to_their_owner_only_and_damage_is_passed_over(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "logs")
    file.write('{"at": "x"}\n[1]\nnot json\n{"at": 1}\n')
    write(file, entry(1))
    file.close()
    assert numbers(tail(tmp_path / "logs", LogQuery(), 10)) == [1]
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700
    assert tail(tmp_path / "nowhere", LogQuery(), 10) == []
