"""YAML as we take it: lines are known, words stay words, and hostile files end early."""

import pytest

from edgefn.configuration.document import Entry, Items, Scalar, Table, line_of, parse
from edgefn.model.errors import SettingsError


def problem(text):
    with pytest.raises(SettingsError) as caught:
        parse(text, "f.yaml")
    (only,) = caught.value.problems
    return only


def test_every_node_knows_its_line_and_stays_the_text_that_was_written():
    assert parse("a: no\nb:\n  - 1:30\n  - '007'\nc:\n", "f.yaml") == Table(
        (
            Entry("a", Scalar("no", 1), 1),
            Entry("b", Items((Scalar("1:30", 3), Scalar("007", 4)), 3), 2),
            Entry("c", Scalar("", 5, null=True), 5),
        ),
        1,
    )


def test_an_alias_stands_for_its_anchor_and_a_merge_gives_way_to_what_is_written():
    document = parse("base: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}\nsame: *b\n", "f.yaml")
    assert isinstance(document, Table)
    more, same = document.entries[1].value, document.entries[2].value
    assert isinstance(more, Table)
    assert isinstance(same, Table)
    assert [(entry.key, entry.value) for entry in more.entries] == [("y", Scalar("3", 2)), ("x", Scalar("1", 1))]
    assert [entry.key for entry in same.entries] == ["x", "y"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f.yaml:1: the file is empty; write location, listen, origins and routes"),
        ("a: 1\nb: 2\na: 3\n", 'f.yaml:3: "a" is here twice; the first one is in line 1'),
        ("a: 1\nb: [1, 2\n", "f.yaml:3: this is not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: *b\n", "f.yaml:1: this is not YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: this is not YAML: but found another document"),
        ("a: !!python/object:os.system x\n", 'f.yaml:1: the tag "tag:yaml.org,2002:python/object:os.system" means'),
        ("a: !secret x\n", 'f.yaml:1: the tag "!secret" means nothing here; take it out'),
        ("a: 1\n? [x]\n: 2\n", "f.yaml:2: a key must be plain text"),
        ("a: {<<: 5}\n", "f.yaml:1: << takes a table, or a list of tables"),
        ("a: \x01\n", "f.yaml:1: this is not YAML:"),
        ("a: &a [*a]\n", "f.yaml:1: lists and tables are nested more than 32 deep"),
        ("[" * 40 + "]" * 40, "f.yaml:1: lists and tables are nested more than 32 deep"),
        ("[" * 5000, "f.yaml:1: lists and tables are nested too deeply"),
        ("x" * 1_100_000, "f.yaml:1: the file is longer than 1048576 characters"),
    ],
)
def test_what_is_not_sound_is_refused_with_its_line(text, said):
    assert problem(text).startswith(said)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("a: 1\n b: 2\n", "begin in the same column"),
        ("a: b: c\n", "with a blank after each colon"),
        ("a:\n  b: 1\n c: 2\n", "begin in the same column"),
        ("a:\n  - b\n - c\n", "begin in the same column"),
        ("a:\n\tb: 1\n", "indent with blanks, not with tabs"),
        ("a: {b: *, c: d}\n", 'write text that begins with * in quotes: "*"'),
        ("a: {b: *.jpg, c: d}\n", "in quotes"),
        ('a: "b\nc: d\n', "close the quotes"),
        ("a: {b: 1\nc: d\n", "close the bracket"),
        ("a: 1\nb\nc: 2\n", "write a colon and a blank after each key"),
        ("a: @b\n", "write such text in quotes"),
    ],
)
def test_the_usual_mistakes_are_told_with_their_cure(text, cure):
    assert cure in problem(text)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a", 1),
        ("a.b", 2),
        ("a.b.c", 3),
        ("a.b.d", 4),
        ("a.b.d[0]", 5),
        ("a.b.d[1].e", 6),
        ("a.b.missing", 3),
        ("f.g.h", 7),
        ("nothing", 1),
    ],
)
def test_a_path_leads_to_its_line(path, line):
    document = parse("a:\n  b:\n    c: 1\n    d:\n      - e: 1\n      - e: 2\nf.g: {h: 1}\n", "f.yaml")
    assert line_of(document, path) == line


def test_a_billion_laughs_are_cut_short():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "unfolds to more than 50000 values; use fewer aliases" in problem("\n".join(lines))
